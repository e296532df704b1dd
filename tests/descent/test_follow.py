"""The loop and its rules, against closed forms and PyTorch's optimizers."""

import math

import pytest
import torch

from thalweg.descent import adam, cosine, follow, langevin, momentum
from thalweg.errors import NonFiniteError
from thalweg.vectors import VectorSpace

DIAGONAL = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
START = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


def quadratic(point):
    return float(0.5 * (DIAGONAL * point**2).sum()), DIAGONAL * point


def by_torch(optimizer, steps, schedule=None):
    point = START.clone().requires_grad_()
    made = optimizer([point])
    base = made.param_groups[0]["lr"]
    for step in range(steps):
        made.param_groups[0]["lr"] = base * (schedule(step) if schedule else 1)
        point.grad = quadratic(point.detach())[1]
        made.step()
    return point.detach()


@pytest.mark.parametrize("schedule", [None, cosine(30)])
def test_rules_are_those_of_pytorch(schedule):
    pairs = {
        momentum(0.1, 0.9, weight_decay=0.01): lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        momentum(0.3, 0.0): lambda p: torch.optim.SGD(p, lr=0.3),
        adam(0.05): lambda p: torch.optim.Adam(p, lr=0.05),
    }
    for rule, theirs in pairs.items():
        found = follow(quadratic, START, rule, 30, schedule=schedule)
        torch.testing.assert_close(found, by_torch(theirs, 30, schedule), rtol=1e-12, atol=1e-14)
    assert START.tolist() == [1.0, -2.0, 3.0]


def test_gradient_descent_contracts_each_direction():
    found = follow(quadratic, START, momentum(0.1, 0.0), 7)
    torch.testing.assert_close(found, (1 - 0.1 * DIAGONAL) ** 7 * START)


def test_what_is_watched_is_where_the_steps_began():
    seen = []
    follow(quadratic, START, momentum(0.1, 0.0), 3, watch=lambda *step: seen.append(step))
    assert [step for step, _, _ in seen] == [0, 1, 2]
    for step, value, point in seen:
        torch.testing.assert_close(point, (1 - 0.1 * DIAGONAL) ** step * START)
        assert value == pytest.approx(quadratic(point)[0])


def test_a_watch_ends_the_walk_at_the_point_that_it_sees():
    found = follow(quadratic, START, momentum(0.1, 0.0), 100, watch=lambda step, value, point: step == 4)
    torch.testing.assert_close(found, (1 - 0.1 * DIAGONAL) ** 4 * START)


def test_langevin_has_the_stationary_law_of_its_discrete_chain():
    r"""x ← (1 − a)x + √ε ξ with a = ε(βλ + γ)/2 has the variance ε/(1 − (1 − a)²); γ pulls to the anchor."""
    space, beta, gamma, lr = VectorSpace(3, torch.float64, torch.device("cpu")), 2.0, 1.0, 0.2
    anchor = torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
    rule = langevin(space, lr, beta, torch.Generator().manual_seed(0), anchor=anchor, attraction=gamma)
    seen = []
    follow(quadratic, START, rule, 16_000, watch=lambda _, __, point: seen.append(point))
    points = torch.stack(seen[1000:])
    rate = lr * (beta * DIAGONAL + gamma) / 2
    variance, mean = lr / (1 - (1 - rate) ** 2), gamma * anchor / (beta * DIAGONAL + gamma)
    # A chain with autocorrelation 1 − a counts as a/(2 − a) of its length.
    effective = len(points) * rate / (2 - rate)
    assert ((points.mean(dim=0) - mean).abs() < 4 * (variance / effective).sqrt()).all()
    assert ((points.var(dim=0) / variance - 1).abs() < 4 * (2 / effective).sqrt() * math.sqrt(1)).all()


def test_divergence_is_said_with_its_step():
    with pytest.raises(NonFiniteError, match=r"step \d+ \(counted from 1\): the value is inf\. Take smaller steps\."):
        follow(quadratic, START, momentum(1e200, 0.0), 10)

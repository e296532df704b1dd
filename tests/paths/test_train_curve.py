"""Training curves, on landscapes whose best curve is known."""

import copy
import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import Counting, classes, cnn, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.descent import momentum
from thalweg.errors import ArgumentError, DataError, NonFiniteError
from thalweg.paths import Curve, barrier, straight, train_curve
from thalweg.paths._curve_slope import CurveSlope

CROSS = tw.objectives.cross_entropy()
IMAGES, CLASSES = randn(8, 1, 6, 6), classes(8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def double_well() -> tw.Landscape:
    """V = (x² − 1)² + 5(y − 1 + x²)²: from (−1, 0) to (1, 0) over the saddle (0, 1) of height 1, along y = 1 − x²."""
    return formula(lambda t: (t[0] ** 2 - 1) ** 2 + 5 * (t[1] - 1 + t[0] ** 2) ** 2, [-1.0, 0.0])


RIGHT = torch.tensor([1.0, 0.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("objective", "rule", "lr"), [("mean", "sgd", 0.03), ("mean", "adam", 0.1), ("max", "sgd", 0.03)]
)
def test_a_bend_finds_the_valley_of_the_double_well(objective, rule, lr):
    """The parabola with the control point (0, 2) is the valley itself."""
    landscape = double_well()
    found = train_curve(landscape, RIGHT, objective=objective, rule=rule, lr=lr, steps=250)
    assert found.curve.nodes[1].tolist() == pytest.approx([0.0, 2.0], abs=0.1)
    assert barrier(found.curve, landscape).max == pytest.approx(1.0, abs=0.02)
    assert torch.equal(found.curve.nodes[0], landscape.theta)
    assert torch.equal(found.curve.nodes[-1], RIGHT)
    assert len(found.history) == len(found.positions) == 250
    assert str(found).startswith(f"bezier curve A → B with 1 bend: {objective} ")


def test_logsumexp_lies_between_mean_and_max():
    """(1/β) ln E e^{βL} rises from the mean to the maximum with β; both ends are met in the limit."""
    landscape = double_well()

    def first(objective, sharpness=1.0):
        found = train_curve(
            landscape, RIGHT, objective=objective, sharpness=sharpness, samples=7, steps=1, generator=generator(5)
        )
        return float(found.history[0])

    at = [(part + float(torch.rand((), generator=_positions(5), dtype=torch.float64))) / 7 for part in range(7)]
    losses = [landscape.loss(torch.tensor([2 * t - 1, 0.0], dtype=torch.float64)) for t in at]
    assert first("max") == pytest.approx(max(losses), rel=1e-12)
    assert first("logsumexp", 1e-6) == pytest.approx(sum(losses) / 7, rel=1e-4)
    assert first("logsumexp", 1e4) == pytest.approx(max(losses), rel=1e-3)
    values = [first("logsumexp", beta) for beta in (0.01, 1.0, 100.0)]
    assert sum(losses) / 7 < values[0] < values[1] < values[2] < max(losses)


def _positions(seed):
    """The generator as it is when positions are first drawn: minibatches took a seed before."""
    source = generator(seed)
    torch.randint(2**62, (), generator=source)
    return source


@pytest.mark.parametrize("kind", ["bezier", "chain"])
@pytest.mark.parametrize("objective", ["mean", "logsumexp"])
def test_the_gradient_of_a_step_is_that_of_automatic_differentiation(kind, objective):
    """A graph through the whole curve, by torch alone."""
    landscape = double_well()
    nodes = randn(5, 2, seed=2)
    slope = CurveSlope(Curve(nodes, kind), landscape, None, objective, 4, 2.0, generator(1))
    with landscape.reading(), slope.walking() as evaluate:
        value, found = evaluate(nodes[1:-1].reshape(-1))
    inner = nodes[1:-1].clone().requires_grad_()
    curve = torch.cat([nodes[:1], inner, nodes[-1:]])
    draw = float(torch.rand((), generator=generator(1), dtype=torch.float64))
    count = 1 if objective == "mean" else 4
    positions = [(part + draw) / count for part in range(count)]
    if float(nodes[-1, 0] - nodes[0, 0]) < 0:
        positions = [1 - t for t in positions]
    points = [torch.tensor(Curve(nodes, kind).weights(t), dtype=torch.float64) @ curve for t in positions]
    losses = torch.stack([(x**2 - 1) ** 2 + 5 * (y - 1 + x**2) ** 2 for x, y in points])
    whole = losses[0] if objective == "mean" else (torch.logsumexp(2 * losses, 0) - math.log(4)) / 2
    (expected,) = torch.autograd.grad(whole, inner)
    assert value == pytest.approx(float(whole.detach()), rel=1e-12)
    torch.testing.assert_close(found.view(3, 2), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "bends", "objective"), [("bezier", 2, "mean"), ("chain", 3, "max")])
def test_exchanging_the_ends_gives_the_same_curve_backwards(kind, bends, objective):
    start, end = (tw.Landscape(scrambled(mlp(), seed), CROSS, [(randn(9, 4), classes(9))]) for seed in (0, 1))
    options = {"kind": kind, "bends": bends, "objective": objective, "steps": 20, "batch_size": 3, "lr": 0.1}
    there = train_curve(start, end, **options).curve.nodes
    back = train_curve(end, start, **options).curve.nodes
    torch.testing.assert_close(there, back.flip(0), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(there[1], straight(start.theta, end.theta, bends=bends).nodes[1], atol=1e-3)


def test_the_best_bend_in_a_bowl_has_no_slope():
    """L = ½‖θ‖²: E_t ‖θ(t)‖² is least at −(a + b)/4 for one bend of a chain, as ∫ w₁² = 1/3 and ∫ w₁ w₀ = 1/12."""
    landscape = quadratic(torch.eye(2).double(), torch.zeros(2).double(), [1.0, 0.0])
    end = torch.tensor([0.0, 2.0], dtype=torch.float64)
    best = -(landscape.theta + end) / 4
    nodes = torch.stack([landscape.theta, best, end])
    # With β → 0 the soft maximum over many positions is their mean.
    slope = CurveSlope(Curve(nodes, "chain"), landscape, None, "logsumexp", 200, 1e-9, generator(1))
    with landscape.reading(), slope.walking() as evaluate:
        torch.testing.assert_close(evaluate(best)[1], 0 * best, atol=1e-4, rtol=0)
        torch.testing.assert_close(evaluate(best + 0.3)[1], 0 * best + 0.1, atol=1e-3, rtol=0)


def test_one_gradient_of_one_minibatch_a_step():
    model = Counting(scrambled(mlp()))
    landscape = tw.Landscape(model, CROSS, [(randn(20, 4), classes(20))])
    before = model.seen[0]
    found = train_curve(landscape, -landscape.theta, bends=3, steps=7, batch_size=5)
    assert model.seen[0] - before == 7
    assert (found.cost.gradients, found.cost.losses) == (2, 0)
    before = model.seen[0]
    found = train_curve(landscape, -landscape.theta, objective="max", samples=3, steps=4, batch_size=5)
    assert model.seen[0] - before == 16
    assert (found.cost.gradients, found.cost.losses) == (1, 3)
    assert found.settings["samples"] == 3


def test_minibatches_of_max_are_those_that_were_looked_at():
    """On one item a step, the value at the top is that of the same item."""
    x = torch.tensor([[0.0], [10.0]], dtype=torch.float64)
    model = nn.Linear(1, 1, bias=False).double()
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(x, 0 * x)]).at(torch.ones(1).double())
    found = train_curve(landscape, torch.tensor([2.0]).double(), objective="max", steps=6, batch_size=1, lr=1e-9)
    assert sorted({round(float(v) / 50 - 1e-9, 1) > 0 for v in found.history}) == [False, True]
    assert all(float(v) == 0 or float(v) > 100 for v in found.history)


def test_a_model_with_batch_norm_stays_as_it_is_and_normalises_by_the_batch():
    start, end = (tw.Landscape(scrambled(cnn(), seed), CROSS, [(IMAGES, CLASSES)]) for seed in (0, 1))
    buffers = start.buffers
    with unchanged(start.model), unchanged(end.model):
        for batch_size in (None, 8):
            found = train_curve(start, end, steps=1, batch_size=batch_size)
            t = float(found.positions[0])
            model = copy.deepcopy(start.model).train()
            torch.nn.utils.vector_to_parameters(straight(start.theta, end.theta).point(t), model.parameters())
            expected = nn.functional.cross_entropy(model(IMAGES), CLASSES)
            assert float(found.history[0]) == pytest.approx(float(expected.detach()), rel=1e-10)
    for name, buffer in start.buffers.items():
        assert torch.equal(buffer, buffers[name])


def test_a_curve_can_be_trained_on():
    landscape = double_well()
    first = train_curve(landscape, RIGHT, bends=2, steps=5)
    on = train_curve(landscape, RIGHT, initial=first.curve, steps=1, lr=1e-12)
    torch.testing.assert_close(on.curve.nodes, first.curve.nodes, rtol=0, atol=1e-9)


def test_the_same_seed_gives_the_same_curve_and_another_rule_may_be_given():
    landscape = g2()
    end = -landscape.theta
    once, again = (train_curve(landscape, end, steps=5, batch_size=2, generator=generator(3)) for _ in range(2))
    assert torch.equal(once.curve.nodes, again.curve.nodes)
    other = train_curve(landscape, end, steps=5, batch_size=2, rule=momentum(0.03), generator=generator(3))
    assert torch.equal(once.curve.nodes, other.curve.nodes)
    assert not torch.equal(once.curve.nodes, train_curve(landscape, end, steps=5, batch_size=2).curve.nodes)
    state = torch.get_rng_state()
    train_curve(landscape, end, steps=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_progress_and_divergence():
    reporter = Reporter()
    train_curve(g2(), -g2().theta, steps=3, labels=("here", "there"), progress=reporter)
    assert (reporter.stages, reporter.done) == ([("curve here → there", 3)], 3)
    with pytest.raises(NonFiniteError, match=r"step \d+ \(counted from 1\): .* Take smaller steps"):
        train_curve(double_well(), RIGHT, lr=1e6, steps=50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spline"}, "kind: expected 'bezier' or 'chain', got 'spline'"),
        ({"objective": "median"}, "objective: expected 'mean', 'max' or 'logsumexp', got 'median'"),
        ({"schedule": "linear"}, "schedule: expected 'cosine' or 'constant'"),
        ({"bends": 0}, "bends: expected at least 1, got 0"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"samples": 2.5}, r"samples: expected a whole number, got 2\.5"),
        ({"sharpness": 0.0}, "sharpness: expected a positive finite number"),
        ({"lr": -1.0}, "lr: expected a positive finite number"),
        ({"rule": "lion"}, "rule: expected 'sgd', 'adam' or a rule of thalweg.descent, got 'lion'"),
        ({"rule": 3}, "rule: expected 'sgd', 'adam' or a rule of thalweg.descent, got int"),
        ({"rule": momentum(0.1), "lr": 0.1}, r"lr: expected None with a rule, which has its own, got 0\.1"),
        ({"batch_size": 9}, "batch_size: expected a whole number from 1 to the 4 data items, got 9"),
        ({"initial": Curve(torch.zeros(3, 2))}, "curve: expected nodes of the 9 parameters of the landscape, got 2"),
        ({"initial": straight(torch.zeros(9).double(), torch.ones(9).double())},
         "curve: expected its first node where the landscape of that end stands"),
        ({"initial": straight(g1().theta, torch.ones(9).double())}, "initial: expected a curve with at least one bend"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(options, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        train_curve(g1(), torch.ones(9, dtype=torch.float64), **options)


def test_ends_that_do_not_belong_together_are_named():
    with pytest.raises(ArgumentError, match="end: expected the parameters of start"):
        train_curve(g1(), g2())
    with pytest.raises(ArgumentError, match=r"end: expected torch.float64 on cpu, got torch.float32"):
        train_curve(g1(), torch.ones(9))
    with pytest.raises(DataError, match="expected an objective whose batches can be cut"):
        train_curve(double_well(), RIGHT, batch_size=1)

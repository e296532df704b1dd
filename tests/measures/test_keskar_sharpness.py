"""The box of Keskar et al. against its corners, tried one by one."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import generator, randn
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError

BOWL = torch.diag(torch.tensor([10.0, 1.0], dtype=torch.float64))
ZERO = torch.zeros(2, dtype=torch.float64)
DOUBLE = torch.float64


def test_a_quadratic():
    """½(10x² + y²) at (0, 1): |x| ≤ ε, |y − 1| ≤ 2ε."""
    epsilon = 0.1
    found = tw.keskar_sharpness(quadratic(BOWL, ZERO, [0.0, 1.0]), epsilon)
    rise = 0.5 * (10 * epsilon**2 + (1 + 2 * epsilon) ** 2) - 0.5
    assert found.rise == pytest.approx(rise, rel=1e-12)
    assert found.value == pytest.approx(100 * rise / 1.5, rel=1e-12)
    assert (found.base, found.epsilon, found.subspace, found.lower_bound) == (0.5, epsilon, None, True)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 1.0))
def test_at_most_the_best_corner_and_with_many_starts_that_one(seed, epsilon):
    """A convex loss is largest in a corner of the box."""
    source = generator(seed)
    root, theta = torch.randn(3, 3, dtype=DOUBLE, generator=source), torch.randn(3, dtype=DOUBLE, generator=source)
    landscape = quadratic(root @ root.mT, torch.randn(3, dtype=DOUBLE, generator=source), theta.tolist())
    halves = epsilon * (theta.abs() + 1)
    corners = [torch.tensor(signs) for signs in itertools.product((-1.0, 1.0), repeat=3)]
    best = max(landscape.loss(theta + halves * corner) for corner in corners) - landscape.loss()
    assert tw.keskar_sharpness(landscape, epsilon, restarts=0).rise <= best * (1 + 1e-10)
    found = tw.keskar_sharpness(landscape, epsilon, restarts=16)
    assert found.rise == pytest.approx(best, rel=1e-9)


def test_a_maximum_inside_the_box():
    """x − 2x² at 0 with |x| ≤ 1: the corners are at −1 and −3, the maximum at ¼."""
    found = tw.keskar_sharpness(formula(lambda t: t[0] - 2 * t[0] ** 2, [0.0]), 1.0)
    assert found.rise == pytest.approx(0.125, rel=1e-6)


@pytest.mark.parametrize("network", [g1, g2])
def test_golden_networks_against_their_corners(network):
    """At ε = 1e-3 the box is small beside the curvature: the first corner is the best of many tried at random."""
    landscape = network()
    with unchanged(landscape.model):
        found = tw.keskar_sharpness(landscape)
    theta, g = landscape.theta, landscape.gradient()
    halves = 1e-3 * (theta.abs() + 1)
    first = landscape.loss(theta + halves * g.sign()) - landscape.loss()
    assert found.rise >= first
    assert found.rise == pytest.approx(float((halves * g.abs()).sum()), rel=0.02)
    assert found.value == pytest.approx(100 * found.rise / (1 + landscape.loss()))


@pytest.mark.parametrize("network", [g1, g2])
def test_against_the_optimiser_of_the_paper(network):
    """Keskar et al. maximise by ten iterations of L-BFGS-B from the centre; SciPy's finds no more."""
    landscape = network()
    theta, base = landscape.theta, landscape.loss()
    halves = 0.3 * (theta.abs() + 1)

    def falling(delta):
        loss, gradient = landscape.loss_and_gradient(theta + torch.from_numpy(delta))
        return -loss, -gradient.numpy()

    box = optimize.Bounds(-halves.numpy(), halves.numpy())
    theirs = optimize.minimize(falling, 0 * halves.numpy(), jac=True, method="L-BFGS-B", bounds=box)
    ours = tw.keskar_sharpness(landscape, 0.3, steps=150, restarts=0)
    assert ours.rise >= (-theirs.fun - base) * (1 - 1e-6)


def test_the_identity_is_the_whole_space():
    landscape = g1()
    whole = tw.keskar_sharpness(landscape, 0.05)
    given_one = tw.keskar_sharpness(landscape, 0.05, subspace=torch.eye(9, dtype=DOUBLE))
    assert given_one.value == pytest.approx(whole.value, rel=1e-12)
    assert (whole.subspace, given_one.subspace) == (None, 9)


def test_a_subspace_against_dense_algebra():
    """The box in z has half-widths ε(|A⁺θ| + 1), whatever the lengths and angles of the columns."""
    landscape = g2()
    columns = randn(21, 3, seed=5) * torch.tensor([1.0, 5.0, 0.2], dtype=DOUBLE)
    theta, g = landscape.theta, landscape.gradient()
    halves = 0.01 * ((torch.linalg.pinv(columns) @ theta).abs() + 1)
    corner = halves * (columns.mT @ g).sign()
    found = tw.keskar_sharpness(landscape, 0.01, subspace=columns, restarts=0, steps=1)
    assert found.rise == pytest.approx(landscape.loss(theta + columns @ corner) - landscape.loss(), rel=1e-10)
    one = tw.keskar_sharpness(landscape, 0.01, subspace=columns[:, 0], restarts=0)
    assert one.subspace == 1


def test_random_subspaces():
    landscape = g2()
    found = [tw.keskar_sharpness(landscape, 0.01, subspace=4, generator=generator(seed)) for seed in (0, 0, 1)]
    assert found[0].value == found[1].value != found[2].value
    assert str(found[0]) == f"sharpness ≥ {found[0].value:.4g} in the box of 4 dimensions with ε = 0.01"
    assert found[0].rise > 0


def test_cost_and_options():
    few = tw.keskar_sharpness(g2(), 0.5, steps=2, restarts=3)
    assert few.cost.gradients <= 1 + 4 * 2
    assert len(few.restarts) == 4
    more = tw.keskar_sharpness(g2(), 0.5, steps=12, restarts=3)
    assert more.rise >= few.rise
    assert more.cost.gradients > few.cost.gradients


def test_at_a_minimum():
    landscape = quadratic(BOWL, ZERO, [0.0, 0.0])
    assert tw.keskar_sharpness(landscape, 0.1).rise == pytest.approx(0.055)
    with pytest.raises(ArgumentError, match=r"restarts: expected at least 1 where the gradient vanishes, got 0"):
        tw.keskar_sharpness(landscape, 0.1, restarts=0)


def test_a_loss_below_minus_one_has_no_value():
    found = tw.keskar_sharpness(formula(lambda t: t[0] - 3, [0.0]), 0.1)
    assert found.value is None
    assert found.rise == pytest.approx(0.1)
    assert str(found) == "sharpness in the box undefined: 1 + L = -2"


def test_a_loss_that_is_unbounded_in_the_box():
    with pytest.raises(NonFiniteError, match=r"epsilon: expected a box in which the loss is finite, but in it: loss"):
        tw.keskar_sharpness(formula(lambda t: -(2 - t[0]).log(), [0.0]), 2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon: expected a positive finite number, got 0\.0"),
        ({"epsilon": math.nan}, r"epsilon: expected a positive finite number, got nan"),
        ({"steps": 0}, r"steps: expected at least 1, got 0"),
        ({"subspace": 0}, r"subspace: expected None, a number from 1 to P = 2, or columns, got 0"),
        ({"subspace": 3}, r"subspace: expected None, a number from 1 to P = 2, or columns, got 3"),
        ({"subspace": torch.ones(2, 3).double()}, r"subspace: expected at most P = 2 columns, got 3"),
        (
            {"subspace": torch.ones(2, 2).double()},
            r"subspace: expected independent columns, got some that are dependent",
        ),
        ({"subspace": torch.zeros(2).double()}, r"subspace: expected independent columns"),
        ({"subspace": torch.ones(3).double()}, r"subspace: expected shape \(2,\) or \(2, k\), got \(3,\)"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.keskar_sharpness(quadratic(BOWL, ZERO, [0.0, 1.0]), **arguments)


def test_what_is_of_another_type_is_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"subspace: expected None, a number from 1 .* got 'all'"):
        tw.keskar_sharpness(g1(), subspace="all")

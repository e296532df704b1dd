"""The rise of the loss in a ball against maxima known in closed form or by brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exact_pairs import exact_pairs
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import hessian
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.measures import sharpness

BOWL = torch.diag(torch.tensor([10.0, 1.0], dtype=torch.float64))
ZERO = torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("network", "one_step", "maximum"),
    [(g1, 0.0143180843083978, 0.0144463011140), (g2, 0.0398962255209423, 0.0399041215865)],
)
def test_golden_networks(network, one_step, maximum):
    landscape = network()
    with unchecked(), unchanged(landscape.model):
        first, found = sharpness(landscape, 0.05), sharpness(landscape, 0.05, "ascent")
    assert first.value == first.raw == pytest.approx(one_step, rel=1e-10)
    assert found.value == found.raw == pytest.approx(maximum, rel=1e-9)
    assert (first.rho, first.method, first.base, first.restarts) == (0.05, "one-step", landscape.loss(), None)
    assert first.lower_bound
    assert found.lower_bound


def test_a_quadratic_off_its_minimum():
    """O51: ½(10x² + y²) at (0, 1), ρ = ½: one step along y gives 0.625, but the maximum leans into x: 47/36."""
    landscape = quadratic(BOWL, ZERO, [0.0, 1.0])
    assert sharpness(landscape, 0.5).value == pytest.approx(0.625, rel=1e-14)
    found = sharpness(landscape, 0.5, "ascent")
    assert found.value == pytest.approx(47 / 36, rel=1e-9)
    # The gradient's own start stays on the axis of symmetry: the random ones find the rest.
    assert float(found.restarts[0]) == pytest.approx(0.625)


def test_at_a_minimum_one_step_is_undefined_and_ascent_is_not():
    landscape = quadratic(BOWL, ZERO, [0.0, 0.0])
    first = sharpness(landscape, 0.05)
    assert (first.value, first.raw) == (0.0, None)
    assert (first.cost.gradients, first.cost.losses) == (1, 0)
    found = sharpness(landscape, 0.05, "ascent")
    assert found.value == pytest.approx(0.0125, rel=1e-9)
    assert len(found.restarts) == 2  # the random ones alone: there is no gradient to start along


def test_an_overshoot_keeps_its_sign_in_raw():
    """L = x − 2x², ρ = 1: the step along +x lands at −1, while δ = 0 and the interior maximum 1/8 are in the ball."""
    landscape = formula(lambda t: t[0] - 2 * t[0] ** 2, [0.0])
    first = sharpness(landscape, 1.0)
    assert (first.value, first.raw) == (0.0, -1.0)
    assert sharpness(landscape, 1.0, "ascent").value == pytest.approx(0.125, rel=1e-6)


def test_a_maximum_has_no_rise():
    found = sharpness(quadratic(-BOWL, ZERO, [0.0, 0.0]), 0.1, "ascent")
    assert found.value == 0
    assert found.raw <= 0


def test_directions_are_starts_both_ways():
    """At the minimum of a bowl with an eigenvector given and one step a start, the maximum is hit at once."""
    landscape = quadratic(BOWL, ZERO, [0.0, 0.0])
    pairs = exact_pairs(BOWL, 1)
    found = sharpness(landscape, 0.1, "ascent", steps=1, restarts=0, directions=pairs)
    assert found.restarts.tolist() == pytest.approx([0.05, 0.05])
    assert (found.cost.gradients, found.cost.losses) == (3, 0)
    both = sharpness(landscape, 0.1, "ascent", steps=1, restarts=0, directions=3 * torch.eye(2, dtype=torch.float64))
    assert both.restarts.tolist() == pytest.approx([0.05, 0.05, 0.005, 0.005])
    one = sharpness(landscape, 0.1, "ascent", steps=1, restarts=0, directions=torch.tensor([0, 5.0]).double())
    assert one.restarts.tolist() == pytest.approx([0.005, 0.005])


def test_an_asymmetric_landscape_needs_both_signs():
    landscape = formula(lambda t: t[0] ** 2 + t[0] ** 3, [0.0])
    found = sharpness(landscape, 0.5, "ascent", restarts=0, directions=torch.ones(1, dtype=torch.float64))
    assert found.restarts.tolist() == pytest.approx([0.375, 0.125])


def test_steps_and_restarts_act_and_are_counted():
    landscape = g1()
    few = sharpness(landscape, 0.05, "ascent", steps=2, restarts=3)
    assert len(few.restarts) == 4
    assert few.cost.gradients == 1 + 4 * 2
    more = sharpness(landscape, 0.05, "ascent", steps=8, restarts=3)
    assert bool((more.restarts >= few.restarts).all())
    assert more.value > few.value
    assert len(sharpness(landscape, 0.05, "ascent", restarts=0).restarts) == 1


def test_the_generator_decides_the_random_starts():
    landscape = g1()

    def rises(seed: int | None):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return sharpness(landscape, 0.05, "ascent", steps=1, generator=generator).restarts.tolist()

    with unchecked(), unchanged(landscape.model):
        assert rises(None) == rises(None) == rises(0)
        assert rises(1) != rises(0)
        assert rises(1)[0] == rises(0)[0]


@settings(max_examples=10)
@given(st.floats(0.01, 2), st.integers(0, 2**31))
def test_ascent_is_at_least_one_step_and_at_most_the_maximum_of_a_quadratic(rho, seed):
    """The maximum over the ball by the trust-region equations: δ = (μ − A)⁻¹g, ‖δ‖ = ρ, found here by bisection."""
    source = torch.Generator().manual_seed(seed)
    matrix = torch.randn(4, 4, dtype=torch.float64, generator=source)
    matrix, slope = matrix @ matrix.mT, torch.randn(4, dtype=torch.float64, generator=source)
    landscape = quadratic(matrix, slope, [0.0] * 4)
    maximum = _trust_region(matrix, slope, rho)
    first, found = sharpness(landscape, rho), sharpness(landscape, rho, "ascent")
    assert first.value - 1e-12 * maximum <= found.value <= maximum * (1 + 1e-10)
    wide = sharpness(landscape, rho, "ascent", steps=60, directions=exact_pairs(matrix, 1))
    assert wide.value == pytest.approx(maximum, rel=1e-6)


def _trust_region(matrix: torch.Tensor, slope: torch.Tensor, rho: float) -> float:
    values, vectors = torch.linalg.eigh(matrix)
    g = vectors.mT @ slope
    low, high = float(values[-1]), float(values[-1]) + float(g.norm()) / rho + 1
    for _ in range(200):
        mu = (low + high) / 2
        low, high = (mu, high) if float((g / (mu - values)).norm()) > rho else (low, mu)
    delta = g / (high - values)
    return float(g @ delta + 0.5 * (values * delta**2).sum())


@pytest.mark.parametrize("method", ["one-step", "ascent"])
def test_a_loss_that_is_unbounded_in_the_ball(method):
    landscape = formula(lambda t: -(2 - t[0]).log(), [0.0])
    with unchecked(), unchanged(landscape.model):
        assert sharpness(landscape, 1.0, method).value == pytest.approx(math.log(2))
        with pytest.raises(
            NonFiniteError,
            match=r"rho: expected a ball in which the loss is finite, but at distance 2 of 2 from the point: "
            r"loss: expected a finite number, got inf in batch 0 .* choose a smaller rho",
        ):
            sharpness(landscape, 2.0, method)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0}, r"rho: expected a positive finite number, got 0\.0"),
        ({"rho": -1.0}, r"rho: expected a positive finite number, got -1\.0"),
        ({"rho": math.nan}, r"rho: expected a positive finite number, got nan"),
        ({"rho": 0.1, "steps": 3}, r"steps: expected None with method='one-step', which has no use for it"),
        ({"rho": 0.1, "restarts": 3}, r"restarts: expected None with method='one-step'"),
        ({"rho": 0.1, "directions": ZERO}, r"directions: expected None with method='one-step'"),
        ({"rho": 0.1, "generator": torch.Generator()}, r"generator: expected None with method='one-step'"),
        ({"rho": 0.1, "method": "ascent", "steps": 0}, r"steps: expected at least 1, got 0"),
        ({"rho": 0.1, "method": "ascent", "restarts": -1}, r"restarts: expected at least 0, got -1"),
        ({"rho": 0.1, "method": "ascent", "restarts": 0}, r"restarts: expected at least 1 where the gradient vanishes"),
        (
            {"rho": 0.1, "method": "ascent", "directions": ZERO},
            r"directions: expected vectors that are not zero, got length 0 in column 0",
        ),
        (
            {"rho": 0.1, "method": "ascent", "directions": torch.ones(3, dtype=torch.float64)},
            r"directions: expected shape \(2,\) or \(2, k\), got \(3,\)",
        ),
        (
            {"rho": 0.1, "method": "ascent", "directions": exact_pairs(BOWL, 1).without_vectors()},
            r"directions: expected eigenpairs with vectors, got some without",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        sharpness(quadratic(BOWL, ZERO, [0.0, 0.0]), **arguments)


def test_an_unknown_method_is_named():
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=r"method: expected 'one-step', 'ascent' or 'trust-region', got 'two-step'"),
    ):
        sharpness(g1(), 0.1, "two-step")


def test_the_leading_eigenvector_of_a_network_is_a_start():
    landscape = g1()
    pairs = exact_pairs(hessian(landscape).dense(), 2)
    found = sharpness(landscape, 0.05, "ascent", directions=pairs)
    assert len(found.restarts) == 1 + 4 + 2
    assert found.value >= sharpness(landscape, 0.05, "ascent").value - 1e-12

"""Rises along directions against polynomials, whose orders and reaches are known."""

import math

import pytest
import torch

import thalweg as tw
from tests.exact_pairs import exact_pairs
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import generator
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ConvergenceWarning, NonFiniteError

BOWL = torch.diag(torch.tensor([10.0, 1.0], dtype=torch.float64))
ZERO = torch.zeros(2, dtype=torch.float64)
AXES = torch.eye(2, dtype=torch.float64)
DOUBLE = torch.float64


def test_a_quadratic_is_its_own_model():
    landscape = quadratic(BOWL, ZERO, [1.0, 2.0])
    found = tw.perturbation_law(landscape, [1.0, 0.1, 0.01], 2 * AXES)
    assert found.epsilons.tolist() == [0.01, 0.1, 1.0]
    assert found.slopes.tolist() == pytest.approx([10.0, 2.0])
    assert found.curvatures.tolist() == pytest.approx([10.0, 1.0])
    assert torch.allclose(found.forward, found.predicted)
    assert torch.allclose(found.even, torch.tensor([[5e-4, 5e-2, 5.0], [5e-5, 5e-3, 0.5]], dtype=DOUBLE))
    assert found.orders == pytest.approx((2.0, 2.0), abs=1e-8)
    assert found.reaches == (1.0, 1.0)
    assert found.largest == pytest.approx(10)
    assert torch.allclose(found.ceiling, found.even[0])
    assert bool((found.even <= found.ceiling * (1 + 1e-9)).all())


def test_where_the_quartic_term_takes_over():
    """½ax² + bx⁴: the model is off by 10 % of ½aε² at ε² = 0.05 a/b."""
    landscape = formula(lambda t: 0.5 * t[0] ** 2 + t[0] ** 4, [0.0])
    epsilons = torch.linspace(0.02, 0.4, 20, dtype=DOUBLE)
    found = tw.perturbation_law(landscape, epsilons, torch.ones(1, dtype=DOUBLE))
    limit = math.sqrt(0.05)
    assert found.reaches[0] == float(epsilons[epsilons <= limit].max())
    assert 2 < found.orders[0] < 3
    wide = tw.perturbation_law(landscape, epsilons, torch.ones(1, dtype=DOUBLE), tolerance=0.2)
    assert wide.reaches[0] == float(epsilons[epsilons <= math.sqrt(0.1)].max())


def test_a_flat_direction_has_another_order():
    landscape = formula(lambda t: t[0] ** 2 + t[1] ** 4, [0.0, 0.0])
    found = tw.perturbation_law(landscape, [0.1, 0.2, 0.4], AXES, largest=2.0)
    # The base is zero, so that nothing is hidden by its rounding.
    assert found.orders == pytest.approx((2.0, 4.0))
    assert found.reaches == (0.4, 0.0)
    assert str(found) == "ΔL ~ ε^4.00 along 2 directions, quadratic up to ε = 0"


def test_the_slope_cancels_in_the_even_part():
    """Away from a critical point ΔL itself is of order one, the even part of order two."""
    landscape = formula(lambda t: 5 * t[0] + t[0] ** 2 + 0.5 * t[0] ** 3, [0.0])
    found = tw.perturbation_law(landscape, [0.01, 0.02, 0.04], torch.ones(1, dtype=DOUBLE))
    assert found.orders == pytest.approx((2.0,), abs=1e-9)
    assert float(found.forward[0, -1]) == pytest.approx(5 * 0.04 + 0.04**2 + 0.5 * 0.04**3)
    assert float(found.backward[0, -1]) == pytest.approx(-5 * 0.04 + 0.04**2 - 0.5 * 0.04**3)


def test_what_rounding_hides_is_none():
    """On a plane there is no even part; beside a large constant there is none that is seen."""
    plane = tw.perturbation_law(quadratic(0 * BOWL, ZERO, [0.0, 0.0]), [0.1, 0.2], AXES)
    assert (plane.orders, plane.reaches) == ((None, None), (None, None))
    assert str(plane) == "ΔL hidden by rounding along 2 directions"
    hidden = tw.perturbation_law(formula(lambda t: 1e6 + t[0] ** 2, [0.0]), [1e-6, 1e-5], torch.ones(1, dtype=DOUBLE))
    assert hidden.orders == (None,)
    assert hidden.reaches == (None,)
    seen = tw.perturbation_law(formula(lambda t: 1.0 + t[0] ** 2, [0.0]), [1e-6, 1e-5], torch.ones(1, dtype=DOUBLE))
    assert seen.orders == pytest.approx((2.0,), abs=0.01)


def test_random_directions_have_the_mean_curvature():
    matrix = torch.diag(torch.arange(1.0, 31.0, dtype=DOUBLE))
    landscape = quadratic(matrix, torch.zeros(30, dtype=DOUBLE), [0.0] * 30)
    found = tw.perturbation_law(landscape, [0.1, 0.2], 12)
    spread = float(found.curvatures.std()) / math.sqrt(12)
    assert abs(float(found.curvatures.mean()) - 15.5) < 4 * spread
    assert found.largest == pytest.approx(30, rel=1e-3)
    again = tw.perturbation_law(landscape, [0.1, 0.2], 12, generator=generator(0))
    assert torch.equal(found.curvatures, again.curvatures)
    other = tw.perturbation_law(landscape, [0.1, 0.2], 12, generator=generator(1))
    assert not torch.equal(found.curvatures, other.curvatures)


@pytest.mark.parametrize("network", [g1, g2])
def test_golden_networks(network):
    """Along eigenvectors the curvature is the eigenvalue, and no product is made for λ_max."""
    landscape = network()
    operator = tw.hessian(landscape)
    pairs = exact_pairs(operator.dense(), 2)
    before = operator.matvecs
    with unchanged(landscape.model):
        found = tw.perturbation_law(landscape, [1e-3, 1e-2, 1e-1], pairs, operator=operator)
    assert torch.allclose(found.curvatures, pairs.values)
    assert found.largest == float(pairs.values[0])
    assert found.orders[0] == pytest.approx(2, abs=0.05)
    assert found.reaches[0] >= 1e-2
    assert found.cost.matvecs == operator.matvecs - before == 2
    assert (found.cost.gradients, found.cost.losses) == (1, 2 * 2 * 3)
    assert found.resolution == pytest.approx(100 * 2.22e-16 * found.base, rel=0.01)


def test_an_unconverged_largest_eigenvalue_is_told_of(monkeypatch):
    landscape = g2()
    pairs = exact_pairs(tw.hessian(landscape).dense(), 1, converged=torch.zeros(1, dtype=torch.bool))
    monkeypatch.setattr("thalweg.measures._perturbation_law.eigenpairs", lambda *_, **__: pairs)
    with pytest.warns(ConvergenceWarning, match=r"λ_max has not converged within 10 products: it is at least 1\.12"):
        tw.perturbation_law(landscape, [0.1, 0.2], 1)


def test_a_loss_that_is_not_finite():
    with pytest.raises(NonFiniteError, match=r"epsilons: expected distances at which the loss is finite, but at 2:"):
        tw.perturbation_law(formula(lambda t: -(2 - t[0]).log(), [0.0]), [1.0, 2.0], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilons": [0.1]}, r"epsilons: expected at least 2 different ones, got 1"),
        ({"epsilons": [0.1, 0.1]}, r"epsilons: expected at least 2 different ones, got 1"),
        ({"epsilons": [0.1, -0.1]}, r"epsilons: expected positive finite numbers in a row, got \[0\.1, -0\.1\]"),
        ({"epsilons": [0.1, math.nan]}, r"epsilons: expected positive finite numbers in a row"),
        ({"directions": 0}, r"directions: expected a number of random ones of at least 1, .* got 0"),
        ({"directions": ZERO}, r"directions: expected vectors that are not zero, got length 0 in column 0"),
        ({"directions": torch.ones(3).double()}, r"directions: expected shape \(2,\) or \(2, k\), got \(3,\)"),
        (
            {"directions": exact_pairs(BOWL, 1).without_vectors()},
            r"directions: expected eigenpairs with vectors, got some without",
        ),
        ({"tolerance": 0.0}, r"tolerance: expected a positive finite number, got 0\.0"),
        ({"largest": math.inf}, r"largest: expected a finite number, got inf"),
        (
            {"operator": tw.FunctionOperator(lambda v: v, 3, dtype=DOUBLE)},
            r"operator: expected shape \(2, 2\), got \(3, 3\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.perturbation_law(quadratic(BOWL, ZERO, [0.0, 1.0]), **{"epsilons": [0.1, 0.2], **arguments})


def test_what_is_of_another_type_is_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"directions: expected a number of random ones"):
        tw.perturbation_law(g1(), [0.1, 0.2], "top")

"""The maximum of the quadratic model in a ball, against the secular equation in NumPy and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import classes, generator, mlp, randn
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ConvergenceWarning, NonFiniteError
from thalweg.measures._trust_region import maximiser

BOWL = torch.diag(torch.tensor([10.0, 1.0], dtype=torch.float64))
ZERO = torch.zeros(2, dtype=torch.float64)
DOUBLE = torch.float64


def secular(matrix: torch.Tensor, slope: torch.Tensor, rho: float) -> tuple[float, float]:
    """The maximum and μ by bisection on the whole spectrum, where g has a part along the leading eigenvector."""
    values, vectors = np.linalg.eigh(matrix.numpy())
    g = vectors.T @ slope.numpy()
    if values[-1] < 0 and np.linalg.norm(g / values) <= rho:
        delta = -g / values
        return float(g @ delta + 0.5 * (values * delta**2).sum()), 0.0
    low, high = max(0.0, values[-1]), max(0.0, values[-1]) + np.linalg.norm(g) / rho + 1
    for _ in range(200):
        mu = (low + high) / 2
        low, high = (mu, high) if np.linalg.norm(g / (mu - values)) > rho else (low, mu)
    delta = g / (high - values)
    return float(g @ delta + 0.5 * (values * delta**2).sum()), high


def rotated(values: list[float], slope: list[float], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix with these eigenvalues, and a vector with this component along each eigenvector."""
    basis = torch.linalg.qr(randn(len(values), len(values), seed=seed)).Q
    diagonal, along = torch.tensor(values, dtype=DOUBLE), torch.tensor(slope, dtype=DOUBLE)
    return basis @ torch.diag(diagonal) @ basis.mT, basis @ along


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 10), st.integers(0, 2**31), st.integers(1, 9), st.floats(-3, 3))
def test_random_matrices_against_the_secular_equation(rho, seed, size, shift):
    source = generator(seed)
    matrix = torch.randn(size, size, dtype=DOUBLE, generator=source)
    matrix = (matrix + matrix.mT) / 2 + shift * torch.eye(size, dtype=DOUBLE)
    slope = torch.randn(size, dtype=DOUBLE, generator=source)
    # Nearly hard cases have tests of their own; bisection loses their digits.
    assume(abs(float(torch.linalg.eigh(matrix).eigenvectors[:, -1] @ slope)) > 1e-3 * float(slope.norm()))
    found = tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * size), rho, tol=1e-8)
    maximum, multiplier = secular(matrix, slope, rho)
    assert found.model == pytest.approx(maximum, rel=1e-9)
    assert found.multiplier == pytest.approx(multiplier, rel=1e-6, abs=1e-9)
    assert found.reached == pytest.approx(maximum, rel=1e-8)
    assert found.model <= maximum * (1 + 1e-12) <= (found.model + found.slack) * (1 + 1e-9)
    assert found.length <= rho * (1 + 1e-12)
    assert found.interior == (multiplier == 0)
    assert found.converged
    # The conditions that make a maximum (Moré & Sorensen).
    delta = found.delta
    assert torch.allclose(found.multiplier * delta - matrix @ delta, slope, atol=1e-5 * float(slope.norm()))
    assert found.multiplier >= max(0.0, found.largest) - 1e-9
    assert found.multiplier * (rho - found.length) == pytest.approx(0, abs=1e-8)


def test_a_quadratic_off_its_minimum():
    """½(10x² + y²) at (0, 1), ρ = ½: the gradient (0, 1) is orthogonal to the leading axis, and 1/(10 − 1) < ½."""
    found = tw.quadratic_sharpness(quadratic(BOWL, ZERO, [0.0, 1.0]), 0.5)
    assert found.model == pytest.approx(47 / 36, rel=1e-12)
    assert found.value == pytest.approx(47 / 36, rel=1e-12)
    assert (found.hard_case, found.interior) == (True, False)
    assert found.multiplier == pytest.approx(10)
    assert found.delta.abs().tolist() == pytest.approx([math.sqrt(0.25 - 1 / 81), 1 / 9])


def test_at_a_minimum():
    found = tw.quadratic_sharpness(quadratic(BOWL, ZERO, [0.0, 0.0]), 0.05)
    assert found.model == pytest.approx(0.0125, rel=1e-12)
    assert found.value == pytest.approx(0.0125, rel=1e-12)
    assert found.hard_case
    assert found.cost.losses == 2


@pytest.mark.parametrize(
    ("network", "maximum"),
    [(g1, 0.0144463011140), (g2, 0.0399041215865)],
)
def test_golden_networks(network, maximum):
    """The rise at δ is a lower bound of the true maximum, by less than the third order that the model leaves out."""
    landscape = network()
    matrix, slope = tw.hessian(landscape).dense(), landscape.gradient()
    with unchanged(landscape.model):
        found = tw.quadratic_sharpness(landscape, 0.05)
    assert found.model == pytest.approx(secular(matrix, slope, 0.05)[0], rel=1e-7)
    assert found.value < maximum * (1 + 1e-10)
    assert found.value == pytest.approx(maximum, rel=1e-4)
    assert found.value > tw.sharpness(landscape, 0.05).value
    climbed = tw.sharpness(landscape, 0.05, "ascent", restarts=0, directions=found.delta)
    assert climbed.value == pytest.approx(maximum, rel=1e-9)
    assert climbed.value >= found.value


def test_the_true_maximum_of_the_golden_networks_by_many_starts():
    """Gradient, both ends of the spectrum both ways, the trust region's δ and random starts: none finds more."""
    for network, maximum in ((g1, 0.0144463011140), (g2, 0.0399041215865)):
        landscape = network()
        pairs = tw.eigenpairs(tw.hessian(landscape), 4, "BE")
        found = tw.sharpness(landscape, 0.05, "ascent", steps=40, restarts=4, directions=pairs)
        assert len(found.restarts) == 1 + 8 + 4
        assert found.value == pytest.approx(maximum, rel=1e-9)


@pytest.mark.parametrize("along", [0.0, 1e-14, 1e-9, 1e-5, 1e-2])
def test_hard_and_nearly_hard_cases(along):
    """With eigenvalues 4, 1, −2 and g nearly orthogonal to the first, the maximum is continuous in that component."""
    matrix, slope = rotated([4.0, 1.0, -2.0], [along, 0.3, 0.6])
    rho = 1.0
    found = tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * 3), rho, tol=1e-11)
    inside = 0.3**2 / (4 - 1) ** 2 + 0.6**2 / (4 + 2) ** 2
    exact = 0.5 * (0.3**2 / 3 + 0.6**2 / 6) + 0.5 * 4 * rho**2
    # To first order in the component, by the length that the leading eigenvector makes up for.
    assert found.model == pytest.approx(exact + along * math.sqrt(rho**2 - inside), rel=1e-10, abs=along**2)
    assert found.length == pytest.approx(rho)
    assert found.multiplier == pytest.approx(4 + along / math.sqrt(rho**2 - inside), rel=1e-9, abs=along**2)
    assert found.hard_case == (along < 1e-12)
    # To a wider tolerance both sides are as good.
    assert tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * 3), rho).hard_case == (along < 1e-4)
    assert found.slack < 1e-6


def test_orthogonal_to_the_leading_eigenspace_but_not_hard():
    """A gradient that fills the ball by itself: μ > λ_max although nothing of it points along the leading vector."""
    matrix, slope = rotated([4.0, 1.0, -2.0], [0.0, 30.0, 60.0])
    found = tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * 3), 1.0, tol=1e-9)
    assert not found.hard_case
    assert found.multiplier > 4
    assert found.model == pytest.approx(secular(matrix, slope, 1.0)[0], rel=1e-9)


def test_a_multiple_leading_eigenvalue():
    matrix, slope = rotated([5.0, 5.0, 5.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.4, 0.5])
    found = tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * 5), 1.0, tol=1e-9)
    assert found.hard_case
    assert found.model == pytest.approx(0.5 * (0.4**2 / 4 + 0.5**2 / 5) + 2.5, rel=1e-9)
    matrix, slope = rotated([5.0, 5.0, 5.0, 1.0, 0.0], [0.1, -0.2, 0.3, 0.4, 0.5])
    found = tw.quadratic_sharpness(quadratic(matrix, slope, [0.0] * 5), 1.0, tol=1e-9)
    assert not found.hard_case
    assert found.model == pytest.approx(secular(matrix, slope, 1.0)[0], rel=1e-9)


def test_the_hard_case_takes_the_side_that_the_loss_prefers():
    """x² + x³ at 0: the model has two maximisers, ±½, where the loss is ⅜ and ⅛."""
    found = tw.quadratic_sharpness(formula(lambda t: t[0] ** 2 + t[0] ** 3 - t[1] ** 2, [0.0, 0.0]), 0.5)
    assert found.hard_case
    assert found.model == pytest.approx(0.25)
    assert found.value == found.reached == pytest.approx(0.375)


def test_a_maximum_inside_the_ball():
    """L = x − 2x²: the maximum 1/8 at ¼; with ρ = 0.1 it is at the edge, 0.1 − 0.02."""
    landscape = formula(lambda t: t[0] - 2 * t[0] ** 2, [0.0])
    found = tw.quadratic_sharpness(landscape, 1.0)
    assert (found.interior, found.hard_case, found.multiplier) == (True, False, 0.0)
    assert found.value == pytest.approx(0.125)
    assert found.length == pytest.approx(0.25)
    assert str(found) == "S_1 ≥ 0.125 (trust region); quadratic model 0.125 (inside the ball)"
    edge = tw.quadratic_sharpness(landscape, 0.1)
    assert not edge.interior
    assert edge.value == pytest.approx(0.08)


def test_at_a_maximum_nothing_rises():
    found = tw.quadratic_sharpness(quadratic(-BOWL, ZERO, [0.0, 0.0]), 0.1)
    assert (found.value, found.model, found.length, found.interior) == (0.0, 0.0, 0.0, True)


def test_a_plane_has_no_curvature():
    found = tw.quadratic_sharpness(quadratic(0 * BOWL, torch.tensor([3.0, 4.0], dtype=DOUBLE), [0.0, 0.0]), 0.1)
    assert found.model == found.value == pytest.approx(0.5)
    assert found.multiplier == pytest.approx(50)


def network(dtype: torch.dtype = DOUBLE) -> tw.Landscape:
    return tw.Landscape(
        mlp().to(dtype), tw.objectives.cross_entropy(), [(randn(40, 4, dtype=dtype), classes(40))], dtype=dtype
    )


def test_a_network_in_single_precision():
    found, wide = tw.quadratic_sharpness(network(torch.float32), 0.3), tw.quadratic_sharpness(network(), 0.3)
    assert found.converged
    assert found.model == pytest.approx(wide.model, rel=1e-5)
    assert found.value == pytest.approx(wide.value, rel=1e-4)


def test_the_model_is_third_order_in_rho():
    landscape = network()
    gaps = []
    for rho in (0.02, 0.01):
        found = tw.quadratic_sharpness(landscape, rho, tol=1e-8)
        gaps.append(abs(found.model - found.reached))
    assert gaps[0] / gaps[1] == pytest.approx(8, rel=0.1)


def test_another_matrix_has_another_model():
    landscape = network()
    ggn = tw.ggn(landscape)
    found = tw.quadratic_sharpness(landscape, 0.3, operator=ggn, tol=1e-8)
    assert found.model == pytest.approx(secular(ggn.dense(), landscape.gradient(), 0.3)[0], rel=1e-9)
    assert found.model != pytest.approx(tw.quadratic_sharpness(landscape, 0.3).model, rel=1e-3)


def test_cost_is_counted():
    landscape = network()
    operator = tw.hessian(landscape)
    found = tw.quadratic_sharpness(landscape, 0.3, operator=operator)
    assert (found.cost.matvecs, found.cost.gradients, found.cost.losses) == (operator.matvecs, 1, 1)
    assert found.cost.matvecs < 60


def test_the_method_of_sharpness():
    landscape = network()
    found, model = tw.sharpness(landscape, 0.3, "trust-region"), tw.quadratic_sharpness(landscape, 0.3)
    assert (found.value, found.raw, found.base) == (model.value, model.reached, model.base)
    assert (found.method, found.restarts, found.lower_bound) == ("trust-region", None, True)
    assert found.cost.matvecs == model.cost.matvecs
    assert str(found).endswith("(trust-region)")


def test_too_few_products_are_told_of():
    source = generator(3)
    matrix = torch.randn(60, 60, dtype=DOUBLE, generator=source)
    matrix, slope = matrix @ matrix.mT, torch.randn(60, dtype=DOUBLE, generator=source)
    landscape = quadratic(matrix, slope, [0.0] * 60)
    with pytest.warns(ConvergenceWarning, match=r"has not converged within \d+ products: it may be .* above"):
        found = tw.quadratic_sharpness(landscape, 1.0, max_matvecs=4)
    assert not found.converged
    # What was found is attained all the same.
    maximum = secular(matrix, slope, 1.0)[0]
    assert 0.5 * maximum < found.model < maximum
    assert found.reached == pytest.approx(found.model)


def test_a_loss_that_is_unbounded_in_the_ball():
    with pytest.raises(NonFiniteError, match=r"rho: expected a ball in which the loss is finite, but at distance 2 of"):
        tw.quadratic_sharpness(formula(lambda t: -(2 - t[0]).log(), [0.0]), 2.0)


def test_without_delta_and_words():
    found = tw.quadratic_sharpness(network(), 0.3)
    assert found.without_delta().delta is None
    assert found.without_delta().model == found.model
    assert str(found) == f"S_0.3 ≥ {found.value:.4g} (trust region); quadratic model {found.model:.4g}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0}, r"rho: expected a positive finite number, got 0\.0"),
        ({"rho": math.inf}, r"rho: expected a positive finite number, got inf"),
        ({"rho": 1.0, "tol": 0.0}, r"tol: expected a positive number, got 0\.0"),
        ({"rho": 1.0, "max_matvecs": 1}, r"max_matvecs: expected at least 2, got 1"),
        (
            {"rho": 1.0, "operator": tw.FunctionOperator(lambda v: v, 3, dtype=DOUBLE)},
            r"operator: expected shape \(2, 2\), got \(3, 3\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.quadratic_sharpness(quadratic(BOWL, ZERO, [0.0, 0.0]), **arguments)


def test_what_is_of_another_type_is_named():
    landscape = quadratic(BOWL, ZERO, [0.0, 0.0])
    with unchecked(), pytest.raises(ArgumentError, match=r"rho: expected a positive finite number, got 'x'"):
        tw.quadratic_sharpness(landscape, "x")
    with unchecked(), pytest.raises(ArgumentError, match=r"operator: expected an operator, got str"):
        tw.quadratic_sharpness(landscape, 1.0, operator="H")
    with unchecked(), pytest.raises(ArgumentError, match=r"landscape: expected a Landscape, got int"):
        tw.quadratic_sharpness(3, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.floats(1e-3, 1e3), st.booleans())
def test_the_small_problem_by_its_conditions(size, seed, rho, integers):
    """Moré & Sorensen: (μ − M) y = g, μ ≥ max(0, λ_max), μ(ρ − ‖y‖) = 0; integers make hard cases common."""
    source = np.random.default_rng(seed)
    shape = (size + 1, size)
    drawn = source.integers(-2, 3, shape).astype(float) if integers else source.standard_normal(shape)
    matrix, slope = drawn[:-1], drawn[-1]
    matrix = np.diag(np.diag(matrix)) if integers else matrix + matrix.T
    found = maximiser(matrix, slope, rho, 1e-13, 1e-14)
    for point in (found.point, found.mirrored):
        if point is None:
            continue
        scale = abs(matrix).sum() * np.linalg.norm(point) + np.linalg.norm(slope)
        assert np.linalg.norm(found.multiplier * point - matrix @ point - slope) <= 1e-9 * scale
        assert np.linalg.norm(point) <= rho * (1 + 1e-9)
        assert found.multiplier * (rho - np.linalg.norm(point)) == pytest.approx(0, abs=1e-9 * (1 + scale))
    assert found.multiplier >= max(0.0, np.linalg.eigvalsh(matrix)[-1]) - 1e-12
    assert found.hard == (found.mirrored is not None)


def test_it_says_that_it_is_a_lower_bound():
    found = tw.quadratic_sharpness(g1(), 0.05)
    assert found.lower_bound
    assert found.lower_bound is tw.sharpness(g1(), 0.05, "trust-region").lower_bound
    assert type(found).from_dict(found.to_dict()).lower_bound

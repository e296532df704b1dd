"""Log-determinants as flatness, against dense eigenvalues and closed forms."""

import math

import pytest
import torch

import thalweg as tw
from tests.formula import quadratic
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import log_determinant_flatness
from thalweg.errors import ArgumentError

BOWL = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
SADDLE = torch.diag(torch.tensor([2.0, -1.0], dtype=torch.float64))
ZERO = torch.zeros(2, dtype=torch.float64)


def bowl():
    return quadratic(BOWL, ZERO, [0.0, 0.0])


def test_zero_up_to_rounding_has_no_logarithm():
    """The Gauss–Newton matrix of the golden network has rank 4 of 9: ln of what rounding left of zero is no number."""
    with pytest.raises(ArgumentError, match="expected enough damping"):
        log_determinant_flatness(g1(), 0.0, matrix=tw.ggn)
    dense = torch.linalg.eigvalsh(tw.ggn(g1()).dense())[-4:]
    found = log_determinant_flatness(g1(), 1e-9, matrix=tw.ggn)
    assert found.value == pytest.approx(float(dense.log().sum()) + 5 * math.log(1e-9), abs=1e-5)


def tridiagonal(size: int):
    matrix = 2 * torch.eye(size, dtype=torch.float64)
    matrix -= torch.diag(torch.ones(size - 1), 1).double() + torch.diag(torch.ones(size - 1), -1).double()
    return quadratic(matrix, torch.zeros(size, dtype=torch.float64), [0.0] * size)


def test_the_golden_network_by_magnitudes():
    landscape = g1()
    with unchecked(), unchanged(landscape.model):
        found = log_determinant_flatness(landscape, 1e-3, absolute=True)
    assert found.value == pytest.approx(-14.6082290370, abs=1e-9)
    assert (found.dimension, found.subspace, found.matrix, found.absolute) == (9, "all", "hessian", True)
    assert found.estimate.standard_error == 0
    assert found.estimate.converged
    assert found.slack < 1e-6
    assert str(found) == "ln det(|hessian| + 0.001 I) = -14.61 on all 9 directions"


def test_closed_forms():
    assert log_determinant_flatness(bowl(), 0.0).value == pytest.approx(math.log(5), rel=1e-12)
    chain = tridiagonal(50)
    whole = log_determinant_flatness(chain, 0.01, known=50)
    assert whole.value == pytest.approx(6.70602953026, rel=1e-10)
    assert log_determinant_flatness(chain, 0.0, known=50).value == pytest.approx(math.log(51), rel=1e-9)
    assert whole.mean == pytest.approx(6.70602953026 / 50)


def test_an_estimate_covers_and_counts_its_products():
    """The determinant of the chain with damping: sinh((P + 1)φ)/sinh φ, 2 cosh φ = 2 + ε."""
    found = log_determinant_flatness(tridiagonal(200), 0.5, known=10, steps=24)
    phi = math.acosh(1.25)
    low, high = found.estimate.interval(0.999)
    assert low < math.log(math.sinh(201 * phi) / math.sinh(phi)) < high
    assert 0 < found.estimate.standard_error < 6
    assert found.estimate.cost.matvecs >= 8 * 24


@pytest.mark.parametrize("absolute", [True, False])
def test_it_is_exact_where_probes_would_take_as_many_products(absolute):
    landscape = g2()
    values = torch.linalg.eigvalsh(tw.hessian(landscape).dense())
    epsilon = 1e-3 if absolute else 1.0
    expected = float(((values.abs() if absolute else values) + epsilon).log().sum())
    found = log_determinant_flatness(landscape, epsilon, absolute=absolute, probes=3, steps=7)
    assert found.value == pytest.approx(expected, abs=1e-8)
    assert (found.estimate.standard_error, found.estimate.cost.matvecs, found.slack) == (0.0, 21, 0.0)
    assert found.estimate.converged
    rough = log_determinant_flatness(landscape, epsilon, absolute=absolute, known=4, probes=2, steps=10)
    assert rough.estimate.standard_error > 0


def test_the_gauss_newton_matrix_needs_damping_alone():
    landscape = g2()
    dense = tw.ggn(landscape).dense()
    expected = float(torch.linalg.slogdet(dense + 0.1 * torch.eye(21, dtype=torch.float64)).logabsdet)
    found = log_determinant_flatness(landscape, 0.1, matrix=tw.ggn, known=21)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.matrix == "ggn"


@pytest.mark.parametrize(("absolute", "order"), [(False, False), (True, True)])
def test_leading_eigenvectors(absolute, order):
    values = torch.linalg.eigvalsh(tw.hessian(g2()).dense())
    leading = values[(values.abs() if order else values).argsort(descending=True)[:4]]
    expected = float((leading.abs() + 0.01).log().sum())
    found = log_determinant_flatness(g2(), 0.01, k=4, absolute=absolute)
    assert found.value == pytest.approx(expected, abs=max(found.slack, 1e-9))
    assert (found.dimension, found.subspace) == (4, "top")
    assert found.slack < 1e-4


def test_a_given_subspace_is_that_of_the_projected_matrix():
    source = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(21, 5, dtype=torch.float64, generator=source)).Q
    inside = basis.mT @ tw.ggn(g2()).dense() @ basis
    expected = float(torch.linalg.slogdet(inside + 0.2 * torch.eye(5, dtype=torch.float64)).logabsdet)
    found = log_determinant_flatness(g2(), 0.2, subspace=basis, matrix=tw.ggn)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert (found.dimension, found.subspace, found.estimate.cost.matvecs) == (5, "given", 5)
    single = log_determinant_flatness(bowl(), 0.0, subspace=torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert single.value == pytest.approx(math.log(2))


def test_units_of_the_loss_add_their_logarithm():
    """A loss c times as large, with c times the damping, has d ln c more."""
    larger = quadratic(10 * BOWL, ZERO, [0.0, 0.0])
    gap = log_determinant_flatness(larger, 1.0).value - log_determinant_flatness(bowl(), 0.1).value
    assert gap == pytest.approx(2 * math.log(10))


def test_a_saddle_is_refused_with_what_to_do():
    saddle = quadratic(SADDLE, ZERO, [0.0, 0.0])
    message = r"epsilon: expected enough damping .* got 0\.5 with the eigenvalue -1\. Take epsilon above 1, abso"
    with pytest.raises(ArgumentError, match=message):
        log_determinant_flatness(saddle, 0.5)
    with pytest.raises(ArgumentError, match="expected enough damping"):
        log_determinant_flatness(saddle, 0.5, k=2)
    assert log_determinant_flatness(saddle, 0.5, k=1).value == pytest.approx(math.log(2.5))
    assert log_determinant_flatness(saddle, 2.0).value == pytest.approx(math.log(4))
    assert log_determinant_flatness(saddle, 0.0, absolute=True).value == pytest.approx(math.log(2))
    flat = quadratic(torch.diag(torch.tensor([1.0, 0.0]).double()), ZERO, [0.0, 0.0])
    with pytest.raises(ArgumentError, match="Take a larger epsilon"):
        log_determinant_flatness(flat, 0.0, absolute=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": -1.0}, r"epsilon: expected a finite number that is not negative, got -1\.0"),
        ({"epsilon": math.inf}, r"epsilon: expected a finite number"),
        ({"epsilon": "1"}, r"epsilon: expected a finite number that is not negative, got '1'"),
        ({"epsilon": 1.0, "k": 1, "subspace": ZERO}, r"k, subspace: expected one of the two, got both"),
        ({"epsilon": 1.0, "subspace": 2}, r"subspace: expected orthonormal columns \(P, m\), got int"),
        ({"epsilon": 1.0, "subspace": 2 * torch.eye(2).double()}, r"subspace|basis: expected orthonormal"),
        ({"epsilon": 1.0, "k": 3}, r"k: expected between 1 and the number of parameters 2, got 3"),
        ({"epsilon": 1.0, "known": 0}, r"known: expected at least 1, got 0"),
        ({"epsilon": 1.0, "probes": 0}, r"probes: expected at least 1, got 0"),
        ({"epsilon": 1.0, "steps": 1.5}, r"steps: expected a whole number, got 1\.5"),
        ({"epsilon": 1.0, "absolute": 1}, r"absolute: expected True or False, got 1"),
        ({"epsilon": 1.0, "matrix": BOWL}, r"matrix: expected a function of a landscape"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        log_determinant_flatness(bowl(), **arguments)
    with unchecked(), pytest.raises(ArgumentError, match="landscape: expected a Landscape, got Linear"):
        log_determinant_flatness(torch.nn.Linear(1, 1), 1.0)

"""verify finds what is broken, and passes what is sound."""

import pytest
import torch

import thalweg as tw
from tests import golden

MATRIX = torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64))


def operator(f):
    return tw.FunctionOperator(f, 5, dtype=torch.float64)


@pytest.mark.parametrize(
    ("f", "asymmetric", "nonlinear"),
    [
        (lambda v: MATRIX @ v, False, False),
        (lambda v: (MATRIX + 1e-3 * torch.ones(5, 5, dtype=torch.float64).triu(1)) @ v, True, False),
        (lambda v: MATRIX @ v + 1e-6, False, True),
        (lambda v: MATRIX @ v * v.norm(), True, True),
        (lambda v: 0 * v, False, False),
    ],
)
def test_faults_are_found(f, asymmetric, nonlinear):
    found = tw.verify(operator(f))
    if asymmetric:
        assert found.asymmetry > found.tolerance
    if nonlinear:
        assert found.nonlinearity > found.tolerance
    assert found.passed == (not asymmetric and not nonlinear)
    assert found.difference is None
    assert ("NOT symmetric" in str(found)) != found.passed


def test_noise_is_found():
    source = torch.Generator().manual_seed(0)
    noisy = operator(lambda v: MATRIX @ v + 1e-9 * torch.randn(5, dtype=torch.float64, generator=source))
    found = tw.verify(noisy)
    assert not found.passed
    assert 1e-11 < found.repetition < 1e-8
    assert f"two equal products differ by {found.repetition:.1e}" in str(found)
    assert "equal products" not in str(tw.verify(operator(lambda v: MATRIX @ v)))


def test_the_hessian_agrees_with_a_finite_difference():
    for landscape in (golden.g1(), golden.g2()):
        op = tw.hessian(landscape)
        found = tw.verify(op)
        assert found.passed
        assert 0 < found.difference < 1e-8
        assert op.matvecs == 4
        assert "finite difference" in str(found)


def test_a_wrong_point_is_found_by_the_finite_difference():
    landscape = golden.g1()
    op = tw.hessian(landscape)
    op._engine = tw.hessian(landscape.at(landscape.theta + 0.3))._engine
    found = tw.verify(op)
    assert found.passed
    assert found.difference > 0.01


@pytest.fixture(scope="module")
def g1_hessian():
    return tw.hessian(golden.g1())


def test_randomness_is_an_argument(g1_hessian, untouched_rng):
    op = g1_hessian
    one, two = tw.verify(op), tw.verify(op, generator=torch.Generator().manual_seed(0))
    other = tw.verify(op, generator=torch.Generator().manual_seed(1))
    assert one == two
    assert other.difference != one.difference

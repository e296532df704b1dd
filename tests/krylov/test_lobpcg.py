"""Block conjugate gradients and the power iteration against prescribed spectra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.krylov.spectra import operator, second_difference, wanted
from tests.unchecked import unchecked

SPECTRA = {
    "curved": [50 * 0.7**i for i in range(20)] + np.linspace(-0.2, 0.5, 80).tolist(),
    "degenerate": [10.0] * 4 + [6.0] * 4 + [1.0] * 40,
    "outlier": [1e6, *np.linspace(0.5, 1.5, 50).tolist()],
    "rank-deficient": [5.0, 4.0, 3.0, 2.0, 1.0] + [0.0] * 45,
    "zero": [0.0] * 20,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("which", ["LA", "SA"])
@pytest.mark.parametrize("name", SPECTRA)
def test_prescribed_spectra(name, which, dtype):
    eigenvalues = SPECTRA[name]
    op, matrix = operator(eigenvalues, dtype=dtype)
    found = tw.lobpcg(op, 5, which, tol=1e-3, max_matvecs=2000)
    assert found.converged.all()
    assert found.matvecs == op.matvecs
    exact = torch.tensor(wanted(eigenvalues, 5, which), dtype=torch.float64)
    assert ((found.values - exact).abs() <= found.residuals + 1e-6 * found.scale).all()
    misses = (matrix @ found.vectors - found.vectors * found.values.to(dtype)).norm(dim=0)
    assert (misses <= found.residuals + 1e-6 * found.scale).all()
    gap = found.vectors.mT @ found.vectors - torch.eye(5, dtype=dtype)
    assert float(gap.abs().max()) < 50 * torch.finfo(dtype).eps ** 0.75
    assert not found.complete


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=6, max_size=30), st.sampled_from(["LA", "SA"]))
def test_residual_bounds_hold(eigenvalues, which):
    op, matrix = operator(eigenvalues)
    found = tw.lobpcg(op, 2, which, max_matvecs=3000)
    rounding = 1e-11 * max(map(abs, eigenvalues)) + 1e-300
    misses = (matrix @ found.vectors - found.vectors * found.values).norm(dim=0)
    assert (misses <= found.residuals + rounding).all()
    assert found.matvecs == op.matvecs


def test_the_documented_cost_against_lanczos():
    """On a spectrum without gaps it needs several times the products of eigenpairs."""
    eigenvalues = np.linspace(0, 1, 200).tolist()
    op, _ = operator(eigenvalues)
    found, other = tw.lobpcg(op, 4, tol=1e-5, max_matvecs=4000), tw.eigenpairs(op, 4, tol=1e-5)
    assert found.converged.all()
    assert found.matvecs > 1.5 * other.matvecs
    assert found.values.tolist() == pytest.approx(other.values.tolist(), abs=1e-6)


def test_used_up_products_are_said():
    op, _ = operator(np.linspace(0, 1, 200).tolist())
    with pytest.warns(tw.errors.ConvergenceWarning, match="eigenpairs converged within"):
        found = tw.lobpcg(op, 4, max_matvecs=30)
    assert found.matvecs <= 30
    with pytest.warns(tw.errors.ConvergenceWarning, match="The power iteration has not converged within 30 products"):
        assert tw.power_iteration(op, max_matvecs=30).matvecs == 30


def test_the_power_iteration_finds_the_largest_magnitude():
    """Its residual falls by |λ₂/λ₁| a product, and bounds the error."""
    op, matrix = operator([-8.0, 4.0, 2.0, *np.linspace(0, 1, 30).tolist()])
    found = tw.power_iteration(op, tol=1e-8)
    assert float(found.values) == pytest.approx(-8, abs=1e-7)
    assert found.which == "LM"
    assert found.matvecs == op.matvecs
    v = found.vectors[:, 0]
    assert float((matrix @ v - found.values * v).norm()) <= float(found.residuals) * (1 + 1e-6)
    # Half a digit of 2 a product: from about one to 1e-8 in some 27.
    assert 20 <= found.matvecs <= 36


def test_opposite_signs_never_end():
    op, _ = operator([3.0, -3.0, 1.0, 0.5])
    with pytest.warns(tw.errors.ConvergenceWarning):
        found = tw.power_iteration(op)
    assert not found.converged.any()
    assert float(found.residuals) > 0.1


def test_a_zero_matrix_and_one_dimension():
    zero = tw.power_iteration(tw.FunctionOperator(torch.zeros_like, 3))
    assert zero.converged.all()
    assert float(zero.values) == 0
    single = tw.power_iteration(tw.FunctionOperator(lambda v: -2 * v, 1, dtype=torch.float64))
    assert float(single.values) == -2
    assert single.matvecs == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda op: tw.lobpcg(op, 0), "k: expected between 1 and a third of the 30 parameters, got 0"),
        (lambda op: tw.lobpcg(op, 11), "k: expected between 1 and a third of the 30 parameters, got 11"),
        (lambda op: tw.lobpcg(op, 2.0), "k: expected a whole number"),
        (lambda op: tw.lobpcg(op, 2, "LM"), "which: expected 'LA' or 'SA', got 'LM'"),
        (lambda op: tw.lobpcg(op, 2, tol=0.0), "tol: expected a positive number, got 0.0"),
        (lambda op: tw.lobpcg(op, 2, max_matvecs=1), "max_matvecs: expected at least k = 2, got 1"),
        (lambda op: tw.power_iteration(op, tol=-1.0), "tol: expected a positive number, got -1.0"),
        (lambda op: tw.power_iteration(op, max_matvecs=0), "max_matvecs: expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    matrix = second_difference(30)
    op = tw.FunctionOperator(lambda v: matrix @ v, 30, dtype=torch.float64)
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        call(op)

"""Products of half precision: bounds that hold against the dense matrix, and no convergence that is none."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.krylov.spectra import operator

SPECTRUM = [10.0, 10.0, 6.0, 3.0, *np.linspace(-0.5, 0.5, 196).tolist()]


def rounded(kind, spectrum=SPECTRUM, seed=0):
    """An operator whose products are rounded, and the matrix that they are products of."""
    _, matrix = operator(spectrum, seed)
    n = len(spectrum)
    if kind == "half throughout":
        matrix = matrix.to(torch.bfloat16)
        return tw.FunctionOperator(lambda v: matrix @ v, n, dtype=torch.bfloat16), matrix.double()
    if kind == "half, exact inside":
        return tw.FunctionOperator(lambda v: (matrix @ v.double()).bfloat16(), n, dtype=torch.bfloat16), matrix
    if kind == "sixteen bits":
        return tw.FunctionOperator(lambda v: (matrix @ v.double()).half(), n, dtype=torch.float16), matrix
    product = lambda v: (matrix @ v.double()).bfloat16().float()  # noqa: E731
    return tw.FunctionOperator(product, n, dtype=torch.float32), matrix


KINDS = ["half throughout", "half, exact inside", "sixteen bits", "rounded products"]
WAYS = [{}, {"max_vectors": 20}, {"method": "block"}]


def found(op, k, which="LA", **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tw.errors.ConvergenceWarning)
        return tw.eigenpairs(op, k, which, **more)


def misses(pairs, matrix):
    vectors = pairs.vectors.double()
    return torch.linalg.vector_norm(matrix @ vectors - vectors * pairs.values, dim=0)


@pytest.mark.parametrize("more", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_residuals_hold_against_the_dense_matrix(kind, more):
    for seed in range(3):
        op, matrix = rounded(kind, seed=seed)
        pairs = found(op, 4, generator=torch.Generator().manual_seed(seed), **more)
        assert (misses(pairs, matrix) <= pairs.residuals).all()
        assert (pairs.residuals < 0.03 * 10).all(), "a bound that says nothing"
        assert pairs.values.tolist() == pytest.approx([10, 10, 6, 3], abs=0.1)
        assert not pairs.converged.any(), "no pair of such products is known to 1e-4"
        assert pairs.matvecs < 60, "what cannot converge is not waited for"


@pytest.mark.parametrize("kind", KINDS)
def test_a_tolerance_above_the_rounding_is_met(kind):
    op, matrix = rounded(kind)
    pairs = tw.eigenpairs(op, 4, tol=0.03)
    assert pairs.converged.all()
    assert pairs.vectors.dtype == torch.float32
    assert (misses(pairs, matrix) <= pairs.residuals).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from(["LA", "SA", "LM", "BE"]),
    st.sampled_from(KINDS),
    st.sampled_from(WAYS),
)
def test_an_eigenvalue_lies_within_each_residual(seed, k, which, kind, more):
    generator = torch.Generator().manual_seed(seed)
    spectrum = (torch.randn(80, generator=generator) * torch.arange(1, 81) ** -0.7).tolist()
    op, matrix = rounded(kind, spectrum, seed)
    pairs = found(op, k, which, generator=generator, **more)
    gaps = (torch.linalg.eigvalsh(matrix)[:, None] - pairs.values).abs().min(dim=0).values
    assert (gaps <= pairs.residuals).all()
    assert (misses(pairs, matrix) <= pairs.residuals).all()


def test_half_precision_needs_a_basis():
    op, _ = rounded("half throughout")
    with pytest.raises(tw.errors.ArgumentError, match="expected 'full' or 'selective' for products in half precision"):
        tw.eigenpairs(op, 2, reorthogonalise="none")


def test_exact_numbers_are_not_taken_for_rounded_ones():
    diagonal = torch.tensor([4.0, 2.0, 1.0, *[0.0] * 60])
    pairs = tw.eigenpairs(tw.FunctionOperator(lambda v: diagonal * v, 63), 3)
    assert pairs.converged.all()
    assert pairs.residuals.max() < 1e-4
    assert tw.eigenpairs(tw.FunctionOperator(lambda v: 3 * v, 1), 1).converged.all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_question_is_asked_in_single_precision(kind):
    op, matrix = rounded(kind)
    exact, entries = torch.linalg.eigvalsh(matrix), matrix.diagonal()
    # Rounding of each product, which probes see as well.
    slack = 2.0**-8 * float(exact.abs().max())
    found = tw.spectrum(op, top=4, bottom=1, tol=0.05, probes=16, steps=20)
    assert found.top.vectors.dtype == torch.float32
    assert abs(found.frobenius.value - float(exact.square().sum())) <= 4 * found.frobenius.standard_error + slack * 20
    sums = [found.trace, tw.trace(op, probes=60), tw.trace(op, probes=60, method="hutch++")]
    sums.append(tw.function_trace(op, torch.abs, probes=16, steps=20))
    truths = [exact.sum(), exact.sum(), exact.sum(), exact.abs().sum()]
    for estimate, truth in zip(sums, truths, strict=True):
        assert abs(estimate.value - float(truth)) <= 4 * estimate.standard_error + slack * 14
    spectral = tw.density(op, probes=8, steps=20)
    assert float(torch.trapezoid(spectral.density, spectral.grid)) == pytest.approx(1, abs=1e-5)
    parts = tw.diagonal(op, probes=60)
    assert parts.values.dtype != torch.bfloat16
    gaps = (parts.values.double() - entries).abs() / (parts.standard_error.double() + slack)
    assert float(gaps.median()) < 1.5
    power = tw.power_iteration(op, tol=0.05)
    assert float(power.values[0]) == pytest.approx(10, abs=0.2)

"""Prescribed spectra, bounds that hold, and the copies that one starting vector cannot see."""

import math

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from tests.krylov.spectra import operator, second_difference, wanted
from tests.unchecked import unchecked
from thalweg.krylov._lanczos import Lanczos

TAIL = [1 / (i + 1) for i in range(96)]
SPECTRA = {
    "double top": [10.0, 10.0, 6.0, 3.0, *TAIL],
    "triples": [10.0] * 3 + [6.0] * 2 + [3.0] * 3 + TAIL,
    "nearly double": [10.0, 10.0 - 1e-10, 6.0, 3.0, *TAIL],
    "low rank": [5.0, 4.0, 3.0, *[0.0] * 100],
    "identity": [1.0] * 40,
    "zero": [0.0] * 20,
    "flat": np.linspace(-1, 1, 120).tolist(),
    "one outlier in a million": [1e6, *np.linspace(0, 1, 60).tolist()],
    "both ends double": [8.0, 8.0, -9.0, -9.0, 2.0, *np.linspace(-1, 1, 60).tolist()],
    "one dimension": [3.0],
    "two dimensions": [1.0, -2.0],
}


@pytest.mark.parametrize("which", ["LA", "SA", "LM", "BE"])
@pytest.mark.parametrize("name", SPECTRA)
def test_prescribed_spectra_are_found_whole(name, which):
    spectrum = SPECTRA[name]
    for k in {1, min(3, len(spectrum)), min(6, len(spectrum))}:
        for seed in range(2):
            op, matrix = operator(spectrum, seed)
            pairs = tw.eigenpairs(op, k, which, tol=1e-9, generator=torch.Generator().manual_seed(seed))
            scale = max(abs(x) for x in spectrum)
            expected = torch.tensor(wanted(spectrum, k, which), dtype=torch.float64)
            found = pairs.values
            if which == "LM":  # values of one magnitude may come in either order
                found, expected = found.abs(), expected.abs()
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-9 * scale + 1e-15)
            assert pairs.converged.all()
            assert pairs.complete
            torch.testing.assert_close(pairs.vectors.mT @ pairs.vectors, torch.eye(k, dtype=torch.float64))
            true = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
            assert (true <= pairs.residuals + 1e-13 * scale).all()
            assert pairs.matvecs == op.matvecs == pairs.cost.matvecs


BULK = (torch.linspace(0, 4, 600, dtype=torch.float64) ** 3 / 64).tolist()
COPIES = {
    "two fourfold": ([10.0] * 4 + [6.0] * 4, 8, "LA"),
    "threefold below": ([10.0, 10.0, 6.0, 6.0, 3.0, 3.0, 3.0], 7, "LA"),
    "fivefold": ([10.0] * 5, 5, "LA"),
    "both ends": ([7.0, 7.0, 6.0, -3.0, -3.0, -2.0], 5, "BE"),
}


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_comes_up_late_in_a_run_converges(name, tol):
    """Rounding brings a copy up at the end of a run; the next one finds it, but only the first can finish it."""
    head, k, which = COPIES[name]
    diagonal = torch.tensor(head + BULK, dtype=torch.float64)
    for seed in range(10):
        op = tw.FunctionOperator(lambda v: diagonal * v, len(diagonal), dtype=torch.float64)
        pairs = tw.eigenpairs(op, k, which, tol=tol, generator=torch.Generator().manual_seed(seed))
        assert pairs.converged.all()
        assert pairs.complete
        assert pairs.matvecs < 100, "a fraction of the 300 that a search that waits would take"
        expected = torch.tensor(wanted(diagonal.tolist(), k, which), dtype=torch.float64)
        torch.testing.assert_close(pairs.values, expected, rtol=0, atol=2 * tol * 10)


WRONG = {
    "eigenpairs": (lambda op: tw.eigenpairs("L", 2), "operator: expected an operator, got str"),
    "trace": (lambda op: tw.trace(torch.eye(3)), "operator: expected an operator, got Tensor"),
    "density": (lambda op: tw.density(None), "operator: expected an operator, got NoneType"),
    "k": (lambda op: tw.eigenpairs(op, 2.5), r"k: expected a whole number, got 2\.5"),
    "max_matvecs": (
        lambda op: tw.eigenpairs(op, 2, max_matvecs=3.5),
        r"max_matvecs: expected a whole number, got 3\.5",
    ),
    "probes": (lambda op: tw.trace(op, probes=2.5), r"probes: expected a whole number, got 2\.5"),
    "steps": (lambda op: tw.density(op, steps=True), "steps: expected a whole number, got True"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_types_are_named(name):
    call, message = WRONG[name]
    op, _ = operator([3.0, 2.0, 1.0])
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        call(op)


def test_a_single_start_misses_the_copies_that_the_search_finds():
    op, _ = operator([10.0, 10.0, 6.0, 3.0, 1.0])
    lanczos = Lanczos(op, 5)
    lanczos.start(op.space.randn(torch.Generator().manual_seed(1)))
    while not lanczos.ended:
        lanczos.step()
    alone = np.linalg.eigvalsh(lanczos.matrix)[::-1]
    assert alone[:3] == pytest.approx([10, 6, 3])
    assert tw.eigenpairs(op, 3).values.tolist() == pytest.approx([10, 10, 6])


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=25),
    st.integers(1, 6),
    st.sampled_from(["LA", "SA", "LM", "BE"]),
    st.integers(0, 10**6),
)
def test_an_eigenvalue_lies_within_each_residual(spectrum, k, which, seed):
    op, matrix = operator(spectrum, seed)
    k = min(k, len(spectrum))
    pairs = tw.eigenpairs(op, k, which, tol=1e-6, generator=torch.Generator().manual_seed(seed))
    exact = torch.linalg.eigvalsh(matrix)
    gaps = (exact[:, None] - pairs.values).abs().min(dim=0).values
    assert (gaps <= pairs.residuals + 1e-12).all()
    assert len(pairs.values) == k


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_random_multiplicities_are_counted(seed, copies):
    spectrum = [7.0] * copies + [5.0] + np.linspace(-2, 2, 50).tolist()
    op, _ = operator(spectrum, seed)
    pairs = tw.eigenpairs(op, copies + 1, generator=torch.Generator().manual_seed(seed))
    assert pairs.values.tolist() == pytest.approx([7.0] * copies + [5.0], rel=1e-3)


def test_known_tridiagonal_matrix():
    """O15: two steps from v ∝ 1 on diag(1, 2, 3)."""
    diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    lanczos = Lanczos(tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64), 3)
    lanczos.start(torch.ones(3, dtype=torch.float64))
    lanczos.step()
    lanczos.step()
    values, vectors = np.linalg.eigh(lanczos.matrix)
    assert values == pytest.approx([2 - math.sqrt(2 / 3), 2 + math.sqrt(2 / 3)])
    assert vectors[0] ** 2 == pytest.approx([0.5, 0.5])
    lanczos.step()
    matrix = lanczos.matrix
    assert np.diag(matrix) == pytest.approx([2, 2, 2])
    assert np.diag(matrix, 1) == pytest.approx([math.sqrt(2 / 3), math.sqrt(1 / 3)])
    assert lanczos.ended


def test_second_differences_and_complete_spectrum():
    """O13: with k = P the answer is the whole spectrum."""
    matrix = second_difference(5)
    op = tw.FunctionOperator(lambda v: matrix @ v, 5, dtype=torch.float64)
    pairs = tw.eigenpairs(op, 5, tol=1e-12)
    expected = [3.732050807569, 3, 2, 1, 0.267949192431]
    assert pairs.values.tolist() == pytest.approx(expected, abs=1e-11)
    assert pairs.complete
    assert pairs.matvecs == 5


def test_agrees_with_arpack():
    op, matrix = operator([5.0, 4.5, 4.0, *np.linspace(-1, 1, 150).tolist(), -6.0], seed=4)
    for which in ("LA", "SA", "LM", "BE"):
        theirs = np.sort(scipy.sparse.linalg.eigsh(matrix.numpy(), k=4, which=which, return_eigenvectors=False))
        ours = tw.eigenpairs(op, 4, which, tol=1e-9).values
        assert np.sort(ours.numpy()) == pytest.approx(theirs, abs=1e-8)


@pytest.mark.parametrize("which", ["LA", "SA", "LM", "BE"])
def test_the_order_of_the_result(which):
    op, _ = operator(np.linspace(-3, 2, 30).tolist())
    values = tw.eigenpairs(op, 5, which, tol=1e-8).values
    key = -values.abs() if which == "LM" else values if which == "SA" else -values
    assert (key.diff() >= 0).all()


def test_single_precision_has_honest_residuals():
    op, matrix = operator([10.0, 10.0, 6.0, 3.0, *TAIL], dtype=torch.float32)
    pairs = tw.eigenpairs(op, 4, tol=1e-5)
    double, vectors = matrix.double(), pairs.vectors.double()
    true = torch.linalg.vector_norm(double @ vectors - vectors * pairs.values, dim=0)
    assert (true <= 2 * pairs.residuals).all()
    assert pairs.values.tolist() == pytest.approx([10, 10, 6, 3], rel=1e-5)
    assert pairs.vectors.dtype == torch.float32


def test_same_seed_same_bits_and_the_seed_matters():
    op, _ = operator(SPECTRA["flat"])
    first, again, other = (tw.eigenpairs(op, 3, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.vectors, again.vectors)
    assert torch.equal(first.values, again.values)
    assert not torch.equal(first.vectors, other.vectors)
    assert torch.equal(tw.eigenpairs(op, 3).vectors, tw.eigenpairs(op, 3).vectors)


def test_the_tolerance_is_paid_for():
    op, _ = operator(SPECTRA["flat"])
    rough, fine = tw.eigenpairs(op, 2, tol=1e-2), tw.eigenpairs(op, 2, tol=1e-10)
    assert rough.matvecs < fine.matvecs
    assert rough.residuals.max() <= 1e-2 * rough.scale
    assert fine.residuals.max() <= 1e-10 * fine.scale


def test_too_few_products_are_said_aloud():
    """The neighbour's default stops at 2k products without a word, with an error of 93 % of λ₁."""
    op, _ = operator(np.linspace(0, 1, 200).tolist())
    with pytest.warns(tw.errors.ConvergenceWarning, match=r"of 5 eigenpairs converged within 10 products"):
        pairs = tw.eigenpairs(op, 5, max_matvecs=10)
    assert pairs.matvecs == 10
    assert not pairs.converged.all()
    assert not pairs.complete


@pytest.mark.parametrize("spare", [1, 2, 3])
def test_an_unfinished_search_for_copies_is_said_aloud(spare):
    """Running out of products is no invariant subspace: it excludes nothing."""
    op, _ = operator([5.0, *np.linspace(-1, 1, 300).tolist()])
    enough = tw.eigenpairs(op, 1)
    with pytest.warns(tw.errors.ConvergenceWarning, match="the search for missed copies"):
        pairs = tw.eigenpairs(op, 1, max_matvecs=enough.matvecs - spare)
    assert pairs.converged.all()
    assert not pairs.complete


def test_asymmetry_is_found():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(60, 60, dtype=torch.float64, generator=generator)
    op = tw.FunctionOperator(lambda v: matrix @ v, 60, dtype=torch.float64)
    with pytest.raises(tw.errors.ArgumentError, match="expected a symmetric matrix"):
        tw.eigenpairs(op, 3)


def test_a_product_that_is_not_finite_is_named():
    def broken(v):
        return v * math.nan if op.matvecs == 4 else torch.linspace(0, 1, 50) * v

    op = tw.FunctionOperator(broken, 50)
    with pytest.raises(tw.errors.NonFiniteError, match="non-finite one in product"):
        tw.eigenpairs(op, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k: expected between 1 and the number of parameters 4, got 0"),
        ({"k": 5}, "k: expected between 1 and the number of parameters 4, got 5"),
        ({"k": 1, "which": "SM"}, "which: expected 'LA', 'SA', 'LM' or 'BE', got 'SM'"),
        ({"k": 1, "tol": 0.0}, "tol: expected a positive number, got 0.0"),
        ({"k": 3, "max_matvecs": 2}, "max_matvecs: expected at least k = 3, got 2"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    op, _ = operator([1.0, 2.0, 3.0, 4.0])
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.eigenpairs(op, **arguments)


def test_a_basis_that_does_not_fit_is_refused_before_it_is_taken():
    op = tw.FunctionOperator(lambda v: v, 10**12)
    with pytest.raises(
        tw.errors.MemoryBudgetError, match=r"300 basis vectors of 1000000000000 entries take 1\.2e\+06 GB"
    ):
        tw.eigenpairs(op, 2)
    assert op.matvecs == 0


def test_results_print_and_travel():
    op, _ = operator([4.0, 2.0, 1.0])
    pairs = tw.eigenpairs(op, 2)
    assert str(pairs).startswith("2 eigenvalues (LA): 4 (±")
    back = tw.Eigenpairs.from_dict(pairs.to_dict())
    assert torch.equal(back.vectors, pairs.vectors)
    assert back.values.tolist() == pairs.values.tolist()
    assert tw.Eigenpairs.from_dict(pairs.without_vectors().to_dict()).vectors is None

"""Every method, reorthogonalisation and place of the basis against dense answers and against each other."""

import warnings

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.krylov.spectra import operator, wanted
from tests.unchecked import unchecked
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._three_term import ThreeTerm

SPECTRA = {
    "clustered": [10.0, 10.0 - 1e-7, 10.0 - 2e-7, 6.0, *np.linspace(-1, 1, 60).tolist()],
    "degenerate": [10.0] * 3 + [6.0] * 2 + np.linspace(-1, 1, 60).tolist(),
    "rank-deficient": [5.0, 4.0, 3.0, *[0.0] * 50],
    "one outlier in a million": [1e6, *np.linspace(0, 1, 60).tolist()],
    "both ends double": [8.0, 8.0, -9.0, -9.0, 2.0, *np.linspace(-1, 1, 60).tolist()],
    "identity": [1.0] * 30,
    "zero": [0.0] * 20,
    "one dimension": [3.0],
    "two dimensions": [1.0, -2.0],
}
WAYS = {
    "selective": {},
    "full": {"reorthogonalise": "full"},
    "on disk": {"basis": "disk"},
    "restarted": {"max_vectors": 20},
    "restarted, full": {"max_vectors": 20, "reorthogonalise": "full"},
    "restarted on disk": {"max_vectors": 24, "basis": "disk"},
    "block": {"method": "block"},
    "block of 2": {"method": "block", "block": 2},
    "block, restarted": {"method": "block", "block": 3, "max_vectors": 30},
}


def arguments(name, size):
    way = dict(WAYS[name])
    if "block" in way:
        way["block"] = min(way["block"], size)
    return way


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SPECTRA)
def test_prescribed_spectra_are_found_whole_by_every_method(name, way):
    spectrum = SPECTRA[name]
    scale = max(abs(x) for x in spectrum)
    for which in ("LA", "LM", "BE"):
        k = min(4, len(spectrum))
        op, matrix = operator(spectrum, 1)
        pairs = tw.eigenpairs(op, k, which, tol=1e-9, **arguments(way, len(spectrum)))
        found, expected = pairs.values, torch.tensor(wanted(spectrum, k, which), dtype=torch.float64)
        if which == "LM":
            found, expected = found.abs(), expected.abs()
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-9 * scale + 1e-15)
        assert pairs.converged.all()
        assert pairs.complete
        torch.testing.assert_close(pairs.vectors.mT @ pairs.vectors, torch.eye(k, dtype=torch.float64))
        true = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
        assert (true <= pairs.residuals + 1e-13 * scale).all()
        assert pairs.matvecs == op.matvecs == pairs.cost.matvecs


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("which", ["LA", "SA", "LM", "BE"])
@pytest.mark.parametrize("name", SPECTRA)
def test_without_a_basis_each_eigenvalue_comes_once(name, which, vectors):
    spectrum = SPECTRA[name]
    scale = max(abs(x) for x in spectrum)
    tol = 1e-9
    different = []
    for x in spectrum:
        if all(abs(x - y) > 2 * tol * scale for y in different):
            different.append(x)
    k = min(3, len(different))
    op, matrix = operator(spectrum, 1)
    pairs = tw.eigenpairs(op, k, which, tol=tol, reorthogonalise="none", vectors=vectors)
    found, expected = pairs.values, torch.tensor(wanted(different, k, which), dtype=torch.float64)
    if which == "LM":
        found, expected = found.abs(), expected.abs()
    torch.testing.assert_close(found, expected, rtol=0, atol=2 * tol * scale + 1e-15)
    assert pairs.converged.all()
    assert not pairs.complete
    assert pairs.matvecs == op.matvecs
    exact = torch.linalg.eigvalsh(matrix)
    assert ((exact[:, None] - pairs.values).abs().min(dim=0).values <= pairs.residuals + 1e-14 * scale).all()
    if vectors:
        true = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
        assert (true <= pairs.residuals + 1e-14 * scale).all()
    else:
        assert pairs.vectors is None


GHOSTLY = [1000.0, 300.0, *np.linspace(0, 1, 300).tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ghosts_come_without_reorthogonalisation_and_are_told(dtype):
    op, _ = operator(GHOSTLY, dtype=dtype)
    recurrence = ThreeTerm(op, op.space.randn())
    for steps in range(1, 200):
        recurrence.step()
        if steps % 7 == 0:
            told = recurrence.values(1e-4)
            assert (told.values > 200).sum() <= 2, "a ghost has been taken for an eigenvalue"
    tridiagonal = np.diag(recurrence.diagonal) + np.diag(recurrence.couplings[:-1], 1)
    tridiagonal += np.diag(recurrence.couplings[:-1], -1)
    raw = np.linalg.eigvalsh(tridiagonal)
    assert (raw > 999).sum() > 2, "this spectrum was to make ghosts"
    assert recurrence.values(1e-4).values[-2:] == pytest.approx([300, 1000], rel=20 * torch.finfo(dtype).eps)
    for more in WAYS.values():
        pairs = tw.eigenpairs(op, 3, tol=1e-4, **more)
        assert pairs.values.tolist() == pytest.approx([1000, 300, 1], abs=0.1)


@pytest.mark.parametrize("way", [*WAYS, "none"])
def test_single_precision_has_honest_residuals_by_every_method(way):
    spectrum = [10.0, 10.0, 6.0, 3.0, *[1 / (i + 1) for i in range(96)]]
    op, matrix = operator(spectrum, dtype=torch.float32)
    more = {"reorthogonalise": "none"} if way == "none" else WAYS[way]
    pairs = tw.eigenpairs(op, 3, tol=1e-5, **more)
    double, vectors = matrix.double(), pairs.vectors.double()
    true = torch.linalg.vector_norm(double @ vectors - vectors * pairs.values, dim=0)
    assert (true <= 2 * pairs.residuals).all()
    assert pairs.converged.all()
    assert pairs.values.tolist() == pytest.approx([10, 6, 3] if way == "none" else [10, 10, 6], rel=2e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=40),
    st.integers(1, 4),
    st.sampled_from(["LA", "SA", "LM", "BE"]),
    st.sampled_from([*WAYS, "none"]),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 10**6),
)
def test_an_eigenvalue_lies_within_each_residual_of_every_method(spectrum, k, which, way, dtype, seed):
    op, matrix = operator(spectrum, seed, dtype)
    k = min(k, len(spectrum))
    more = {"reorthogonalise": "none"} if way == "none" else arguments(way, len(spectrum))
    with warnings.catch_warnings():
        # Some of these do not converge, or have fewer different values than were asked for: bounds hold all the same.
        warnings.simplefilter("ignore", tw.errors.ConvergenceWarning)
        pairs = tw.eigenpairs(op, k, which, tol=1e-5, generator=torch.Generator().manual_seed(seed), **more)
    double = matrix.double()
    exact = torch.linalg.eigvalsh(double)
    gaps = (exact[:, None] - pairs.values).abs().min(dim=0).values
    assert (gaps <= pairs.residuals + 1e-12).all()
    vectors = pairs.vectors.double()
    true = torch.linalg.vector_norm(double @ vectors - vectors * pairs.values, dim=0)
    assert (true <= 2 * pairs.residuals + 1e-12).all()


def test_restarts_agree_with_arpack():
    op, matrix = operator([5.0, 4.5, 4.0, *np.linspace(-1, 1, 150).tolist(), -6.0], seed=4)
    for which in ("LA", "SA", "LM", "BE"):
        theirs = scipy.sparse.linalg.eigsh(matrix.numpy(), k=4, which=which, ncv=20, return_eigenvectors=False)
        for more in ({"max_vectors": 20}, {"method": "block"}):
            ours = tw.eigenpairs(op, 4, which, tol=1e-9, **more).values
            assert np.sort(ours.numpy()) == pytest.approx(np.sort(theirs), abs=1e-8)


def test_a_restart_costs_products_and_less_the_more_room_it_has():
    op, _ = operator(np.linspace(-1, 1, 300).tolist())
    products = [tw.eigenpairs(op, 3, tol=1e-6, max_vectors=m).matvecs for m in (None, 40, 15)]
    assert products == sorted(products)
    assert products[0] < products[2] < 12 * products[0]


def test_a_copy_is_found_by_a_search_that_was_itself_restarted():
    """The flat part takes the search many more steps than there is room for."""
    spectrum = [1.02, 1.02, 1.02, *np.linspace(-1, 1, 300).tolist()]
    for seed in range(3):
        op, _ = operator(spectrum, seed)
        pairs = tw.eigenpairs(op, 4, tol=1e-8, max_vectors=14, generator=torch.Generator().manual_seed(seed))
        assert pairs.values.tolist() == pytest.approx([1.02] * 3 + [1], abs=1e-7)
        assert pairs.complete


def test_a_block_sees_copies_without_a_search():
    op, _ = operator([10.0] * 3 + np.linspace(-1, 1, 100).tolist())
    lanczos = Lanczos(op, 60, width=3)
    lanczos.begin(torch.Generator().manual_seed(0))
    while not lanczos.ended:
        lanczos.step()
    assert np.linalg.eigvalsh(lanczos.matrix)[-4:] == pytest.approx([1, 10, 10, 10], abs=1e-3)


@pytest.mark.parametrize("way", [*WAYS, "none"])
def test_same_seed_same_bits_by_every_method(way):
    op, _ = operator(np.linspace(-1, 1, 80).tolist())
    more = {"reorthogonalise": "none"} if way == "none" else WAYS[way]
    first, again, other = (
        tw.eigenpairs(op, 2, generator=torch.Generator().manual_seed(seed), **more) for seed in (5, 5, 6)
    )
    assert torch.equal(first.vectors, again.vectors)
    assert torch.equal(first.values, again.values)
    assert not torch.equal(first.vectors, other.vectors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("more", [{}, {"max_vectors": 20}, {"method": "block"}])
def test_the_place_of_the_basis_changes_no_bit(more, dtype):
    op, _ = operator(np.linspace(-1, 1, 200).tolist(), dtype=dtype)
    pairs = [tw.eigenpairs(op, 3, basis=place, **more) for place in ("device", "host", "disk")]
    for each in pairs[1:]:
        assert torch.equal(each.values, pairs[0].values)
        assert torch.equal(each.vectors, pairs[0].vectors)
        assert torch.equal(each.residuals, pairs[0].residuals)


@pytest.mark.parametrize("way", WAYS)
def test_asymmetry_is_found_by_every_method(way):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(60, 60, dtype=torch.float64, generator=generator)
    op = tw.FunctionOperator(lambda v: matrix @ v, 60, dtype=torch.float64)
    for more in (WAYS[way], {"reorthogonalise": "none"}):
        with pytest.raises(tw.errors.ArgumentError, match="expected a symmetric matrix"):
            tw.eigenpairs(op, 3, **more)


@pytest.mark.parametrize("way", WAYS)
def test_more_steps_than_dimensions_stop_exactly(way):
    spectrum = np.linspace(-3, 2, 12).tolist()
    op, _ = operator(spectrum)
    pairs = tw.eigenpairs(op, 12, max_matvecs=500, **WAYS[way])
    assert pairs.matvecs == 12
    assert pairs.complete
    assert pairs.values.tolist() == pytest.approx(spectrum[::-1], abs=1e-12)


def test_without_a_basis_an_invariant_subspace_stops_exactly_and_says_what_it_saw():
    op, _ = operator([2.0, 2.0, -1.0, -1.0, -1.0])
    with pytest.warns(tw.errors.ConvergenceWarning, match="2 of 4 different eigenvalues converged"):
        pairs = tw.eigenpairs(op, 4, reorthogonalise="none", vectors=False)
    assert pairs.values.tolist() == pytest.approx([2, -1])
    assert pairs.matvecs == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "davidson"}, "method: expected 'lanczos' or 'block', got 'davidson'"),
        ({"reorthogonalise": "some"}, "reorthogonalise: expected 'full', 'selective' or 'none', got 'some'"),
        ({"basis": "tape"}, "basis: expected 'device', 'host', 'disk' or 'auto', got 'tape'"),
        ({"method": "block", "reorthogonalise": "none"}, "reorthogonalise: expected 'full' for method='block'"),
        ({"method": "block", "block": 0}, "block: expected between 1 and the number of parameters 50, got 0"),
        ({"block": 3}, "block: expected none for method='lanczos', got 3"),
        ({"max_vectors": 9}, "max_vectors: expected at least 10 for k = 2, got 9. More, such as 24"),
        ({"max_vectors": 9.5}, r"max_vectors: expected a whole number, got 9\.5"),
        ({"max_vectors": 20, "reorthogonalise": "none"}, "max_vectors: expected none to be given"),
        ({"basis": "disk", "reorthogonalise": "none"}, "basis: expected none to be given"),
    ],
)
def test_what_does_not_go_together_is_named(given, message):
    op, _ = operator(np.linspace(0, 1, 50).tolist())
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.eigenpairs(op, 2, **given)
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.krylov_memory(op, 2, **given)
    assert op.matvecs == 0

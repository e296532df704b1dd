"""Diagonals: exact where they are, unbiased elsewhere, with errors that cover."""

import numpy as np
import pytest
import torch
from scipy import stats

import thalweg as tw
from tests.krylov.spectra import operator
from tests.unchecked import unchecked

DECAYING = [100 * 0.8**i for i in range(100)]
FLAT = np.linspace(0.5, 1.5, 100).tolist()


def test_signs_are_exact_on_a_diagonal_matrix():
    entries = torch.arange(30, dtype=torch.float64)
    found = tw.diagonal(tw.FunctionOperator(lambda v: entries * v, 30, dtype=torch.float64), probes=3)
    torch.testing.assert_close(found.values, entries, rtol=0, atol=1e-14)
    assert not found.standard_error.any()
    assert found.cost.matvecs == 3


def test_the_variance_of_an_entry_is_known():
    """A probe's variance is Σ_{j≠i} a_ij², by Bekas, Kokiopoulou and Saad; that of 400 probes a 400th."""
    op, matrix = operator(FLAT)
    found = tw.diagonal(op, probes=400)
    variance = (matrix.square().sum(dim=1) - matrix.diagonal().square()) / 400
    torch.testing.assert_close(found.standard_error.square(), variance, rtol=0.35, atol=0)


@pytest.mark.parametrize("method", ["hutchinson", "xdiag"])
@pytest.mark.parametrize("probes", [16, 32, 64])
@pytest.mark.parametrize("eigenvalues", [DECAYING, FLAT], ids=["decaying", "flat"])
def test_intervals_cover(eigenvalues, probes, method):
    """95 % intervals of single entries cover in 90 to 99 % of all, and the mean of many estimates is the diagonal."""
    op, matrix = operator(eigenvalues)
    truth, hits, gaps = matrix.diagonal(), [], []
    for seed in range(40):
        found = tw.diagonal(op, probes=probes, method=method, generator=torch.Generator().manual_seed(seed))
        half = float(stats.t.ppf(0.975, found.dof)) * found.standard_error
        hits.append(((found.values - truth).abs() <= half).double().mean())
        gaps.append(found.values - truth)
    assert 0.90 <= float(torch.stack(hits).mean()) <= 0.99
    errors = torch.stack(gaps)
    # The mean of 40 has a fortieth of the mean square error; entries are correlated, hence the room.
    assert float(errors.mean(dim=0).square().mean()) <= 2 * float(errors.square().mean()) / 40


def test_sketches_are_better_where_eigenvalues_decay():
    op, matrix = operator(DECAYING)
    gaps = [tw.diagonal(op, probes=64, method=method).values - matrix.diagonal() for method in ("hutchinson", "xdiag")]
    assert float(gaps[1].norm()) < float(gaps[0].norm()) / 50


@pytest.mark.parametrize("eigenvalues", [[5.0, 3.0, 2.0] + [0.0] * 27, [1.0] * 2, [2.0], [0.0] * 12])
def test_few_directions_are_exact(eigenvalues):
    op, matrix = operator(eigenvalues)
    found = tw.diagonal(op, probes=12, method="xdiag")
    torch.testing.assert_close(found.values, matrix.diagonal(), rtol=1e-10, atol=1e-12)
    assert float(found.standard_error.max()) < 1e-10


def test_the_same_bits_for_the_same_seed():
    op, _ = operator(FLAT)
    for method in ("hutchinson", "xdiag"):
        assert torch.equal(tw.diagonal(op, method=method).values, tw.diagonal(op, method=method).values)
    assert str(tw.diagonal(op)).startswith("diagonal of 100 entries, mean ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": 1}, "probes: expected at least 2 with method='hutchinson', got 1"),
        ({"probes": 5, "method": "xdiag"}, "probes: expected at least 6 with method='xdiag', got 5"),
        ({"probes": 8.0}, "probes: expected a whole number"),
        ({"method": "exact"}, "method: expected 'hutchinson' or 'xdiag', got 'exact'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.diagonal(operator(FLAT)[0], **arguments)

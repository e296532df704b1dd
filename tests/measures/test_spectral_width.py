"""The width of the spectrum, and the bound on what it misses."""

import pytest
import torch

from tests.exact_pairs import diagonal, exact_pairs
from tests.golden import g1
from thalweg import FunctionOperator, hessian
from thalweg.errors import ArgumentError
from thalweg.krylov import eigenpairs
from thalweg.measures import spectral_width

H = diagonal(5, 2, 1, -3)


def test_golden_network():
    matrix = hessian(g1()).dense()
    width = spectral_width(exact_pairs(matrix, 1), exact_pairs(matrix, 1, "SA"))
    assert width.value == pytest.approx(2.94102246779, rel=1e-10)
    assert width.slack < 1e-14
    assert width.converged


@pytest.mark.parametrize(
    "pairs",
    [
        (exact_pairs(H, 2), exact_pairs(H, 2, "SA")),
        (exact_pairs(H, 2, "BE"),),
        (exact_pairs(H, 2), exact_pairs(H, 3, "BE")),
        (exact_pairs(H, 4, "LM"),),
        (exact_pairs(H, 4, "SA"),),
    ],
)
def test_every_way_to_hold_both_ends(pairs):
    width = spectral_width(*pairs)
    assert (width.value, width.largest, width.smallest) == pytest.approx((8, 5, -3))
    assert width.cost.matvecs == 10 * len(pairs)


def test_the_slack_is_the_sum_of_the_two_residuals():
    top = exact_pairs(H, 2, residuals=torch.tensor([0.25, 7.0]))
    bottom = exact_pairs(H, 2, "SA", residuals=torch.tensor([0.5, 7.0]), converged=torch.tensor([False, True]))
    width = spectral_width(top, bottom)
    assert (width.slack, width.converged) == (0.75, False)
    assert str(width) == "spectral width 8 (true width at most 7.5e-01 more)"


@pytest.mark.parametrize("seed", range(5))
def test_the_true_width_is_within_the_slack(seed):
    values = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    op = FunctionOperator(lambda v: values * v, 60, dtype=torch.float64)
    width = spectral_width(eigenpairs(op, 1, "LA", tol=1e-2), eigenpairs(op, 1, "SA", tol=1e-2))
    true = float(values.max() - values.min())
    assert width.value - 1e-12 <= true <= width.value + width.slack
    assert width.cost.matvecs == op.matvecs


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ((exact_pairs(H, 2),), r"bottom: expected eigenpairs of the lower end, since top holds 2 of which='LA' only"),
        (
            (exact_pairs(H, 2, "SA"),),
            r"top: expected eigenpairs of the upper end \(which='LA' or 'BE'\), got 2 of which='SA'",
        ),
        ((exact_pairs(H, 3, "LM"),), r"top: .* got 3 of which='LM'"),
        ((exact_pairs(H, 1, "BE"),), r"top: .* got 1 of which='BE'"),
        ((exact_pairs(H, 1), exact_pairs(H, 1)), r"bottom: expected .* \(which='SA' or 'BE'\), got 1 of which='LA'"),
    ],
)
def test_a_missing_end_is_named(pairs, message):
    with pytest.raises(ArgumentError, match=message):
        spectral_width(*pairs)

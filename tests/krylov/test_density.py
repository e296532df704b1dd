"""Mass, moments, exactness at full rank, and the weights that a neighbour forgot."""

import math

import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator, second_difference
from tests.unchecked import unchecked


def laplacian(n: int = 50) -> tw.FunctionOperator:
    matrix = second_difference(n)
    return tw.FunctionOperator(lambda v: matrix @ v, n, dtype=torch.float64)


def test_weights_are_real_non_negative_and_sum_to_one():
    result = tw.density(laplacian(), probes=5, steps=20)
    assert result.weights.dtype == torch.float64
    assert (result.weights >= 0).all()
    torch.testing.assert_close(result.weights.sum(dim=1), torch.ones(5, dtype=torch.float64))
    assert result.cost.matvecs == 100


def test_the_curve_holds_all_mass():
    result = tw.density(laplacian())
    assert float(torch.trapezoid(result.density, result.grid)) == pytest.approx(1, abs=1e-6)


def test_known_value_of_the_smoothed_density():
    """O13: at 2 with σ = 0.1, n = 50; the mean over 100 probes is within four standard errors."""
    grid = torch.tensor([1.5, 2.0], dtype=torch.float64)
    result = tw.density(laplacian(), probes=100, steps=50, grid=grid, width=0.1)
    assert abs(float(result.density[1]) - 0.162541221609) < 4 * float(result.standard_error[1])
    assert float(result.standard_error[1]) < 0.04


def test_full_rank_is_exact_for_each_probe():
    """m = P steps reproduce the eigenvalues, with the squared overlaps of the probe as weights."""
    op, matrix = operator([3.0, 2.0, 1.0, -1.0])
    result = tw.density(op, probes=1, steps=4, distribution="rademacher")
    values, vectors = torch.linalg.eigh(matrix)
    torch.testing.assert_close(result.nodes[0], values)
    probe = op.space.rademacher(torch.Generator().manual_seed(0))
    torch.testing.assert_close(result.weights[0], (vectors.mT @ probe).square() / 4)
    assert result.standard_error is None


def test_two_steps_integrate_a_logarithm_exactly():
    """O14: vᵀ ln(A) v for v = (1, 1) and (1, −1)."""
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    op = tw.FunctionOperator(lambda v: matrix @ v, 2, dtype=torch.float64)
    known = {1: 2.47025579436, -1: 0.748620030506}
    result = tw.density(op, probes=8, steps=2, distribution="rademacher")
    found = 2 * (result.weights * result.nodes.log()).sum(dim=1)
    signs = op.space.rademacher(torch.Generator().manual_seed(0), 1)
    assert {round(float(x), 9) for x in found} <= {round(x, 9) for x in known.values()}
    assert float(found[0]) == pytest.approx(known[int(signs[0, 0] * signs[1, 0])])


@pytest.mark.parametrize(("order", "exact"), [(0, 1.0), (1, 2.0), (2, 298 / 50)])
def test_moments(order, exact):
    result = tw.density(laplacian(), probes=30, steps=20)
    moment = tw.spectral_moment(result, order)
    assert abs(moment.value - exact) <= 4 * moment.standard_error + 1e-12


def test_two_spectra_are_not_averaged_into_one_range():
    """A neighbour takes the mean of the runs' extreme Ritz values as the grid, and loses the mass beyond it."""
    diagonal = torch.tensor([0.0] * 9 + [9.0], dtype=torch.float64)
    op = tw.FunctionOperator(lambda v: diagonal * v, 10, dtype=torch.float64)
    result = tw.density(op, probes=3, steps=5, distribution="rademacher")
    mean = float(torch.trapezoid(result.grid * result.density, result.grid))
    assert mean == pytest.approx(0.9, abs=1e-6)


def test_an_early_end_is_padded_without_weight():
    op, _ = operator([2.0] * 5 + [1.0] * 5)
    result = tw.density(op, probes=3, steps=8)
    assert result.nodes.shape == (3, 8)
    assert result.cost.matvecs == 6
    assert (result.weights[:, 2:] == 0).all()
    torch.testing.assert_close(result.weights.sum(dim=1), torch.ones(3, dtype=torch.float64))


def test_a_constant_matrix_has_a_peak_of_positive_width():
    op, _ = operator([3.0] * 5)
    result = tw.density(op, probes=2)
    assert result.width > 0
    peak = result.grid[result.density.argmax()]
    assert float(peak) == pytest.approx(3, abs=result.width)


def test_every_option_changes_something():
    op = laplacian()
    base = tw.density(op, probes=2, steps=10)
    assert tw.density(op, probes=3, steps=10).nodes.shape == (3, 10)
    assert tw.density(op, probes=2, steps=12).nodes.shape == (2, 12)
    assert tw.density(op, probes=2, steps=10, width=0.5).density.max() < base.density.max()
    signs = tw.density(op, probes=2, steps=10, distribution="rademacher")
    other = tw.density(op, probes=2, steps=10, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(signs.nodes, base.nodes)
    assert not torch.equal(other.nodes, base.nodes)
    assert torch.equal(tw.density(op, probes=2, steps=10).nodes, base.nodes)


def test_steps_beyond_the_dimension_stop_there():
    op, _ = operator([1.0, 2.0, 3.0])
    assert tw.density(op, probes=1, steps=50).nodes.shape == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": 0}, "probes: expected at least 1, got 0"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"width": 0.0}, "width: expected a positive number, got 0.0"),
        ({"grid": torch.tensor([1.0, 0.0])}, "grid: expected at least two increasing points"),
        ({"distribution": "uniform"}, "distribution: expected"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.density(laplacian(), **arguments)


def test_negative_order_is_refused():
    with pytest.raises(tw.errors.ArgumentError, match="order: expected a number that is not negative, got -1"):
        tw.spectral_moment(tw.density(laplacian(), probes=1, steps=2), -1)


def test_results_print_and_travel():
    result = tw.density(laplacian(), probes=2, steps=5)
    assert str(result).startswith("spectral density from 2 probes of 5 steps on [")
    back = tw.Density.from_dict(result.to_dict())
    torch.testing.assert_close(back.density, result.density)
    assert back.width == pytest.approx(result.width)
    assert math.isfinite(back.cost.seconds)

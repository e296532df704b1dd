"""Both ends of the Hessian over planes of functions whose Hessian is known."""

import math
import warnings

import pytest
import torch

import thalweg as tw
from tests.formula import formula, quadratic
from tests.landscape.models import classes, mlp, randn
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.surfaces import convexity_cost, convexity_map, random_directions

EYE = torch.eye(6, 2, dtype=torch.float64)
REST = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)


def quartic(scale: float = 1.0) -> tw.Landscape:
    """(x² − 1)² + ½y² and squares of four more: H = diag(12x² − 4, 1, ½, 1, 2, 3)."""

    def loss(t: torch.Tensor) -> torch.Tensor:
        return scale * ((t[0] ** 2 - 1) ** 2 + 0.5 * t[1] ** 2 + 0.5 * (REST * t[2:] ** 2).sum())

    return formula(loss, [0.0] * 6)


def test_a_double_well_is_convex_beyond_its_inflections():
    found = convexity_map(quartic(), EYE, points=(2, 9), span=((-2.0, 2.0), (-1.0, 1.0)))
    bend = 12 * found.x**2 - 4
    largest = torch.stack([bend, torch.full_like(bend, 3.0)]).amax(dim=0).expand(2, 9)
    smallest = torch.stack([bend, torch.full_like(bend, 0.5)]).amin(dim=0).expand(2, 9)
    torch.testing.assert_close(found.largest, largest, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.smallest, smallest, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.ratio(), (smallest / largest).abs(), rtol=1e-8, atol=1e-9)
    assert torch.equal(found.convex(), (found.x.abs() > 3**-0.5).expand(2, 9))
    assert bool(found.converged.all())
    torch.testing.assert_close(found.loss, (found.x**2 - 1) ** 2 + 0.5 * found.y[:, None] ** 2, rtol=1e-13, atol=1e-13)
    assert found.cost.losses == 18
    assert found.cost.matvecs == int(found.products.sum()) <= 18 * 6
    assert str(found).startswith("2 × 9 convexity map over first direction and second direction; 12 of 18 cells convex")


def test_rows_are_y_and_columns_are_x():
    """λ_max = 2 + |3x + 10y|, skew to all symmetries of the square."""

    def loss(t):
        return (3 * t[0] ** 3 / 6) + 10 * t[1] * t[2] ** 2 / 2 + t[3:].square().sum()

    found = convexity_map(formula(loss, [0.0] * 6), EYE, points=(2, 3), span=((0.0, 2.0), (0.0, 1.0)))
    wanted = torch.tensor([[2.0, 3.0, 6.0], [10.0, 10.0, 10.0]], dtype=torch.float64)
    torch.testing.assert_close(found.largest, wanted, rtol=1e-9, atol=1e-9)


def test_errors_stay_within_the_residuals_and_estimates_within_the_spectrum():
    model = mlp()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(12, 4), classes(12))])
    directions = random_directions(landscape)
    with unchecked(), unchanged(model):
        found = convexity_map(landscape, directions, points=(2, 3), tol=0.05, max_matvecs=40)
    assert bool(found.converged.all())
    for i, y in enumerate(found.y.tolist()):
        for j, x in enumerate(found.x.tolist()):
            place = landscape.at(landscape.theta + directions.vectors @ torch.tensor([x, y], dtype=torch.float64))
            values = torch.linalg.eigvalsh(tw.hessian(place).dense())
            slack = 1e-9 * float(values.abs().max())
            for mine, error, end in (
                (found.largest, found.largest_residuals, values[-1]),
                (found.smallest, found.smallest_residuals, values[0]),
            ):
                assert abs(float(mine[i, j] - end)) <= float(error[i, j]) + slack
            assert float(values[0]) - slack <= float(found.smallest[i, j])
            assert float(found.largest[i, j]) <= float(values[-1]) + slack


def test_cells_that_have_not_converged_are_marked_and_told_of_once():
    matrix = torch.diag(torch.linspace(-1, 1, 200, dtype=torch.float64) ** 3)
    landscape = quadratic(matrix, torch.zeros(200, dtype=torch.float64), [0.0] * 200)
    with pytest.warns(ConvergenceWarning, match="4 of 4 cells have not converged within 8 products") as told:
        found = convexity_map(landscape, torch.eye(200, 2).double(), points=2, tol=1e-6, max_matvecs=8)
    assert len(told) == 1
    assert found.unconverged == 4
    assert not bool(found.converged.any())
    assert bool((found.products <= 8).all())
    assert "4 not converged" in str(found)


def test_cells_do_not_depend_on_those_before_them():
    """The same start in each cell: a smaller map holds the same numbers, bit by bit."""
    landscape = quartic()
    whole = convexity_map(landscape, EYE, points=5)
    corner = convexity_map(landscape, EYE, points=3)
    assert torch.equal(whole.largest[::2, ::2], corner.largest)
    assert torch.equal(whole.smallest[::2, ::2], corner.smallest)


def test_the_ratio_does_not_depend_on_the_scale_of_the_loss():
    one, other = (convexity_map(quartic(scale), EYE, points=3) for scale in (1.0, 1e6))
    torch.testing.assert_close(one.ratio(), other.ratio(), rtol=1e-7, atol=1e-9)


def test_cells_that_are_not_finite_stay_so():
    landscape = formula(lambda t: t[0].log() ** 2 + t[1:].square().sum(), [1.0] + [0.0] * 5)
    found = convexity_map(landscape, EYE, points=3, span=((-2.0, 2.0), (0.0, 1.0)))
    assert found.largest.isnan().tolist() == [[True, False, False]] * 3
    assert (found.nonfinite, found.unconverged) == (3, 0)
    assert not bool(found.convex()[:, 0].any())
    assert "3 not finite" in str(found)


def test_a_flat_landscape_has_no_ratio():
    landscape = formula(lambda t: t.sum(), [0.0] * 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = convexity_map(landscape, EYE, points=2)
    assert bool(found.ratio().isnan().all())
    assert bool(found.convex().all())


def test_the_gauss_newton_matrix_is_never_negative():
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(12, 4), classes(12))])
    found = convexity_map(landscape, random_directions(landscape), points=2, matrix=tw.ggn)
    assert bool(found.convex().all())


def test_the_cost_is_stated_beforehand_and_kept():
    landscape = quartic()
    stated = convexity_cost(landscape, points=(2, 3), max_matvecs=7)
    assert (stated.matvecs, stated.losses) == (42, 6)
    assert 0 < stated.seconds < math.inf
    made = convexity_map(landscape, EYE, points=(2, 3), max_matvecs=7).cost
    assert made.matvecs <= stated.matvecs


def test_progress_is_reported():
    reporter = Reporter()
    convexity_map(quartic(), EYE, points=(2, 3), max_matvecs=10, progress=reporter)
    assert (reporter.stages, reporter.done) == ([("convexity, at most 60 products", 6)], 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directions": torch.ones(6, 2).double()}, "first direction and second direction, which are parallel"),
        ({"tol": 0.0}, r"tol: expected a positive number, got 0\.0"),
        ({"max_matvecs": 1}, r"max_matvecs: expected a whole number of at least 2 products a cell, got 1"),
        ({"points": 1}, "points: expected at least 2, got 1"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        convexity_map(quartic(), **{"directions": EYE, **arguments})

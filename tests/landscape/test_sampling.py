"""The loop behind all scans, and the grids they walk on."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.formula import formula
from tests.golden import g2
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.landscape._sampling import grid, sample


def test_values_stand_in_the_order_of_the_points():
    landscape = g2()
    points = [landscape.at(scale * landscape.theta) for scale in (0.0, 2.0, 1.0)]
    found = sample(iter(points), 3, "three points")
    assert found.loss.tolist() == [point.loss() for point in points]
    assert found.metrics["accuracy"].tolist() == [point.evaluate().metrics["accuracy"].value for point in points]
    assert (found.cost.losses, found.cost.gradients, found.cost.matvecs) == (3, 0, 0)
    assert found.cost.seconds > 0


def test_what_is_not_finite_is_nan_and_the_walk_goes_on():
    landscape = formula(lambda t: t[0].log(), [1.0])
    reporter = Reporter()
    points = [landscape.at(torch.tensor([x], dtype=torch.float64)) for x in (1.0, -1.0, 0.0, math.e)]
    found = sample(points, 4, "logarithm", reporter)
    assert found.loss.isnan().tolist() == [False, True, True, False]
    assert found.loss[[0, 3]].tolist() == pytest.approx([0, 1])
    assert reporter.stages == [("logarithm", 4)]
    assert reporter.notes == ["loss 0", "not finite", "not finite", "loss 1"]


def test_metrics_are_nan_where_the_loss_is():
    landscape = g2()
    bad = torch.full_like(landscape.theta, math.nan)
    with unchecked(), unchanged(landscape.model):
        found = sample((landscape.at(theta) for theta in (bad, landscape.theta)), 2, "two points")
    assert found.metrics["accuracy"].isnan().tolist() == [True, False]


@given(st.integers(2, 200), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_a_grid_meets_its_ends_and_has_equal_steps(points, first, width):
    last = first + width
    found = grid((first, last), points)
    assert len(found) == points
    assert (float(found[0]), float(found[-1])) == (first, last)
    assert bool((found.diff() > 0).all())
    step = (last - first) / (points - 1)
    torch.testing.assert_close(found.diff(), torch.full((points - 1,), step).double(), rtol=1e-6, atol=1e-9)


@given(st.integers(1, 100), st.floats(1e-6, 1e6))
def test_zero_is_exact_in_the_middle_of_a_symmetric_span(half, reach):
    assert float(grid((-reach, reach), 2 * half + 1)[half]) == 0


def test_a_bound_may_be_zero():
    assert grid((0.0, 1.0), 3).tolist() == [0, 0.5, 1]
    assert grid((-1.0, 0.0), 3).tolist() == [-1, -0.5, 0]


@pytest.mark.parametrize(
    ("span", "points", "message"),
    [
        ((0.0, 1.0), 1, r"points: expected at least 2, got 1"),
        ((0.0, 1.0), True, r"points: expected at least 2, got True"),
        ((1.0, 1.0), 3, r"span: expected two finite numbers, the first below the second, got \(1\.0, 1\.0\)"),
        ((1.0, -1.0), 3, r"span: expected two finite numbers"),
        ((0.0, math.inf), 3, r"span: expected two finite numbers"),
        ((math.nan, 1.0), 3, r"span: expected two finite numbers"),
    ],
)
def test_a_bad_grid_is_named(span, points, message):
    with pytest.raises(ArgumentError, match=message):
        grid(span, points)

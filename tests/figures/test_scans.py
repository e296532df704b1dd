"""What pictures of scans say of cells that are no measurements, of metrics, and of other directions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.formula import formula
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, draw_sequence, plot, plot_sequence
from thalweg.surfaces import grid_scan, line_scan, plane_scan, plane_through, project
from thalweg.surfaces._convexity_results import ConvexityMap
from thalweg.surfaces._results import Line, Surface

EYE = torch.eye(3, dtype=torch.float64)
S = torch.linspace(-1, 1, 5, dtype=torch.float64)
BOWL = formula(lambda t: t @ t + 1, [0.5, 0.0, 0.0])
WALK = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.2, 0.1], [0.5, 0.0, 0.3]], dtype=torch.float64)


def adaptive():
    """Rows of ten; two cells measured that are not finite, four interpolated, one of them below zero."""
    loss = torch.logspace(0, 3, 25, dtype=torch.float64).view(5, 5)
    loss[0, 1] = loss[0, 2] = math.nan
    loss[2, :4] = torch.tensor([-1.0, 1e-9, 2e3, 5.0])
    measured = torch.ones(5, 5, dtype=torch.bool)
    measured[2, :4] = False
    error = torch.where(measured, 0.0, 10.0)
    return Surface(S, S, loss, measured=measured, error=error)


# ---------------------------------------------------------------------- cells


def test_limits_and_the_logarithm_are_those_of_what_was_measured():
    found = adaptive()
    trace = plot(found).data[0]
    assert (trace.zmin, trace.zmax) == (0, 3)
    assert trace.z[2][0] == trace.z[2][1] == 0
    assert plot(found, scale="log").data[0].zmin == 0
    assert plot(found).data[-1].y[0] == -1


@pytest.mark.parametrize("kind", ["contour", "3d"])
def test_cells_that_are_no_measurements_are_counted(kind):
    found = adaptive()
    words = "of 25 cells 2 not finite; 4 interpolated, within 0.5% of the range"
    screen = plot(found, kind=kind)
    assert words in (screen.layout.xaxis.title.text if kind == "contour" else screen.layout.annotations[-1].text)
    paper = draw(found, kind=kind).axes[0]
    said = paper.get_xlabel() if kind == "contour" else paper.get_title()
    assert words in said.replace("\n", " ")
    half = replace(found, loss=torch.where(found.measured, found.loss, math.nan), error=None)
    assert "of 25 cells 2 not finite; 4 not measured" in plot(half).layout.xaxis.title.text
    assert plot(Surface(S, S, torch.ones(5, 5, dtype=torch.float64))).layout.xaxis.title.text.count("<br>") == 0


def test_a_line_marks_what_is_not_finite_and_shows_its_whole_length():
    loss = torch.tensor([math.nan, 4.0, 1.0, math.inf, 2.0], dtype=torch.float64)
    cross, curve = plot(Line(S, loss, norm=2.0)).data
    np.testing.assert_allclose(cross.x, [-2, 1])
    assert set(cross.y) == {1.0}
    assert np.isnan(curve.y[[0, 3]]).all()
    axes = draw(Line(S, loss, norm=2.0)).axes[0]
    assert axes.get_xlim()[0] < -2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not finite", "loss"]
    # What was not measured is a gap, and nothing is said of it.
    half = Line(S, loss, measured=torch.tensor([False, True, True, True, True]))
    np.testing.assert_allclose(plot(half).data[0].x, [0.5])


def test_the_ratio_of_a_convexity_map_has_no_colours_of_rounding():
    ones, shape = torch.ones(2, 3, dtype=torch.float64), (2, 3)
    smallest = torch.tensor([[0.5, 1e-16, 1.0], [0.2, 0.3, 0.4]], dtype=torch.float64)
    done, counts = torch.ones(shape, dtype=torch.bool), torch.ones(shape, dtype=torch.int64)
    found = ConvexityMap(S[:3], S[:2], ones, smallest, 0 * ones, 1e-3 * ones, done, counts, ones)
    trace = plot(found).data[0]
    np.testing.assert_allclose(trace.z[0], np.log10([0.5, 1e-3, 1.0]))
    exact = plot(replace(found, smallest_residuals=0 * ones)).data[0]
    np.testing.assert_allclose(exact.z[0], [0.5, 1e-16, 1.0])


# ---------------------------------------------------------------------- metrics, and grids


def test_a_metric_takes_the_place_of_the_loss():
    found = replace(adaptive(), metrics={"accuracy": torch.full((5, 5), 0.5, dtype=torch.float64)})
    trace = plot(found, metric="accuracy").data[0]
    assert trace.z[0][0] == 0.5
    assert trace.colorbar.title.text == "accuracy"
    assert draw(found, metric="accuracy").axes[1].get_title(loc="right") == "accuracy"
    line = Line(S, S**2 + 1, {"accuracy": 1 - S**2}, quadratic=S)
    assert [trace.name for trace in plot(line, metric="accuracy").data] == ["accuracy"]
    assert draw(line, metric="accuracy").axes[0].texts[0].get_text() == "accuracy"
    for result in (found, line):
        with pytest.raises(ArgumentError, match=r"metric: expected one of 'loss', 'accuracy', got 'error'"):
            plot(result, metric="error")


def test_lines_take_a_logarithm_where_their_range_is_wide():
    wide, narrow, crossing = Line(S, 10 ** (3 * S)), Line(S, S**2 + 1), Line(S, S)
    assert [plot(line, scale="auto").layout.yaxis.type for line in (wide, narrow, crossing)] == ["log", None, None]
    assert draw(wide, scale="auto").axes[0].get_yscale() == "log"
    with unchecked(), pytest.raises(ArgumentError, match="scale: expected one of 'auto', 'linear', 'log', got 'x'"):
        plot(wide, scale="x")


def test_the_quadratic_model_is_drawn_in_three_dimensions():
    found = Surface(S, S, S[None] ** 2 + S[:, None] ** 2, quadratic=S[None] ** 2 - 4 * S[:, None] ** 2 + 1)
    _, _, model = plot(found, kind="3d").data
    assert model.name == "quadratic model"
    assert np.nanmin(model.z) >= 0
    assert np.nanmax(model.z) <= 2
    assert np.isnan(model.z[0][2])
    assert "orange: the quadratic model" in draw(found, kind="3d").axes[0].get_title()


def test_a_grid_is_drawn_as_a_section():
    found = grid_scan(BOWL, EYE, points=3)
    np.testing.assert_allclose(plot(found, across=2, up=1).data[0].z, found.section(2, 1).loss)
    assert "direction 3" in draw(found, across=2, up=1).axes[0].get_xlabel()
    with pytest.raises(ArgumentError, match="result: expected a grid over two directions or more"):
        plot(grid_scan(BOWL, EYE[:, :1], points=3))


# ---------------------------------------------------------------------- directions


@pytest.mark.parametrize("function", [plot, draw])
def test_a_path_belongs_to_the_directions_and_the_origin_of_the_surface(function):
    surface = plane_scan(BOWL, EYE[:, :2], points=3)
    assert function(surface, path=project(WALK, EYE[:, :2], BOWL))
    with pytest.raises(ArgumentError, match=r"path: expected a projection onto the surface's own directions, first"):
        function(surface, path=project(WALK, EYE[:, 1:], BOWL))
    with pytest.raises(ArgumentError, match=r"path: expected a projection with the origin of the surface"):
        function(surface, path=project(WALK, EYE[:, :2], WALK[1]))
    plane = plane_through(WALK)
    there = plane_scan(BOWL.at(plane.origin), plane.directions, points=3, span=plane.spans())
    assert function(there, path=plane)
    with pytest.raises(ArgumentError, match=r"path: expected a projection with the origin of the surface"):
        function(plane_scan(BOWL, plane.directions, points=3), path=plane)


def test_names_decide_where_nothing_else_is_known():
    seen = replace(project(WALK, EYE[:, :2], BOWL), digests=(), labels=("PCA 1", "PCA 2"))
    surface = replace(plane_scan(BOWL, EYE[:, :2], points=3), labels=("eigenvector 1", "eigenvector 2"))
    with pytest.raises(ArgumentError, match=r"directions, eigenvector 1 and eigenvector 2, got one onto others: PCA 1"):
        plot(surface, path=seen)


@pytest.mark.parametrize("function", [plot_sequence, draw_sequence])
def test_frames_are_over_the_same_directions(function):
    there = BOWL.at(WALK[1])
    assert function([plane_scan(place, EYE[:, :2], points=3) for place in (BOWL, there)])
    message = "results: expected one grid, one scale and the same directions, but those of 1 differ"
    with pytest.raises(ArgumentError, match=message):
        function([plane_scan(BOWL, EYE[:, columns], points=3) for columns in ([0, 1], [0, 2])])
    with pytest.raises(ArgumentError, match=message):
        function([line_scan(BOWL, EYE[:, column], points=3) for column in (0, 1)])


def test_digests_are_those_of_the_values_and_not_of_their_type():
    wide = project(WALK, EYE[:, :2], WALK[0])
    narrow = project(WALK.float(), EYE[:, :2].float(), WALK[0].float())
    assert (wide.digests, wide.origin) == (narrow.digests, narrow.origin)
    assert project(WALK, -EYE[:, :2], WALK[0]).digests != wide.digests
    grid = grid_scan(BOWL, EYE, points=3)
    assert grid.section(0, 1).digests == plane_scan(BOWL, EYE[:, :2], points=3).digests == wide.digests
    assert grid.section(0, 1).origin == plane_scan(BOWL, EYE[:, :2], points=3).origin
    assert grid.section(0, 1, at=(0, 0, 0)).origin is None

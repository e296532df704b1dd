"""Trajectories on surfaces, and in planes of their own."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot, save
from thalweg.surfaces import Projection, plane_through
from thalweg.surfaces._results import Surface

X = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
Y = torch.tensor([-2.0, -1.0, 0.0, 1.0], dtype=torch.float64)
SURFACE = Surface(X, Y, 100 + X[None, :] + 10 * Y[:, None], labels=("first", "second"), norms=(2.0, 3.0))
PATH = Projection(
    coordinates=torch.tensor([[1.0, -2.0], [0.5, 0.5], [0.0, 0.0]], dtype=torch.float64),
    residuals=torch.tensor([3.1, 1.0, 0.0], dtype=torch.float64),
    share=0.84,
    norms=(2.0, 3.0),
    loss=torch.tensor([90.0, math.nan, 100.0], dtype=torch.float64),
    projected_loss=torch.tensor([81.0, 105.5, 100.0], dtype=torch.float64),
)
SAID = "plane holds 84 % of the variance; off the plane by up to 3.1"
TRIANGLE = plane_through(torch.eye(3, dtype=torch.float64)[[0, 1, 2]], names=("<A>", "B", "C"))


def scatters(figure):
    return [trace for trace in figure.data if trace.type.startswith("scatter")]


def marks(figure):
    return next(trace for trace in scatters(figure) if trace.customdata is not None)


@pytest.mark.parametrize("kind", ["contour", "heat"])
def test_points_stand_at_true_distances_and_grow_with_their_residual(kind):
    figure = plot(SURFACE, path=PATH, kind=kind)
    trace = marks(figure)
    np.testing.assert_allclose(trace.x, [2, 1, 0])
    np.testing.assert_allclose(trace.y, [-6, 1.5, 0])
    assert trace.marker.size[0] > trace.marker.size[1]
    assert trace.marker.symbol == ("circle", "circle", "star")
    assert SAID in figure.layout.xaxis.title.text


def test_paper_says_the_same():
    axes = draw(SURFACE, path=PATH).axes[0]
    assert SAID in axes.get_xlabel()
    (points,) = [drawn for drawn in axes.collections if len(drawn.get_offsets()) == 2]
    np.testing.assert_allclose(points.get_offsets(), [[2, -6], [1, 1.5]])
    sizes = points.get_sizes()
    assert sizes[0] > sizes[1]
    assert any(np.array_equal(line.get_xdata(), [2, 1, 0]) for line in axes.lines)


def test_what_a_point_is_like_is_said_of_it():
    said = marks(plot(SURFACE, path=PATH)).customdata
    assert said[0] == "point 0<br>off the plane by 3.10<br>loss there 90.00<br>loss at its projection 81.00"
    assert "loss there not finite" in said[1]


def test_on_the_relief_the_path_lies_on_the_surface():
    figure = plot(SURFACE, path=PATH, kind="3d")
    lift = 0.012 * (111 - 79)
    np.testing.assert_allclose(np.array(marks(figure).z) - lift, [81, 105.5, 100])
    line = next(trace for trace in scatters(figure) if trace.mode == "lines")
    np.testing.assert_allclose(np.array(line.z) - lift, 100 + np.array(line.x) / 2 + 10 * np.array(line.y) / 3)
    assert any(SAID in note.text for note in figure.layout.annotations)
    assert SAID in draw(SURFACE, path=PATH, kind="3d").axes[0].get_title()


def test_what_leaves_the_grid_is_a_gap_on_the_relief(tmp_path):
    outside = replace(PATH, coordinates=PATH.coordinates * 2)
    assert np.isnan(marks(plot(SURFACE, path=outside, kind="3d")).z[0])
    assert save(draw(SURFACE, path=outside, kind="3d"), tmp_path / "a.png").exists()


@pytest.mark.parametrize("kind", ["contour", "3d"])
def test_three_points_are_named_and_not_joined(kind, tmp_path):
    square = Surface(X, Y, SURFACE.loss, norms=TRIANGLE.directions.norms)
    figure = plot(square, path=TRIANGLE, kind=kind)
    notes = figure.layout.annotations if kind == "contour" else figure.layout.scene.annotations
    assert "&lt;A&gt;" in [note.text for note in notes]
    assert not any(trace.mode == "lines" for trace in scatters(figure))
    assert save(draw(square, path=TRIANGLE, kind=kind), tmp_path / "a.png").exists()


def test_a_path_in_the_plane_has_no_sizes():
    flat = replace(PATH, residuals=torch.zeros(3, dtype=torch.float64), share=1.0)
    figure = plot(SURFACE, path=flat)
    assert len(set(marks(figure).marker.size[:2])) == 1
    assert "larger marks" not in figure.layout.xaxis.title.text
    assert "plane holds all of the variance" in figure.layout.xaxis.title.text


@pytest.mark.parametrize("function", [plot, draw])
def test_bad_paths_are_named(function):
    with unchecked(), pytest.raises(ArgumentError, match="path: expected a Projection or a Plane, got list"):
        function(SURFACE, path=[])
    other = replace(PATH, norms=(1.0, 1.0))
    with pytest.raises(ArgumentError, match="path: expected a projection onto the surface's own directions"):
        function(SURFACE, path=other)
    line = replace(PATH, coordinates=PATH.coordinates[:, :1], norms=(1.0,))
    with pytest.raises(ArgumentError, match="path: expected a projection onto two directions, got 1"):
        function(SURFACE, path=line)


def test_the_quadratic_model_is_dashed_at_levels_of_the_loss():
    with_model = replace(SURFACE, quadratic=SURFACE.loss + 5)
    figure = plot(with_model)
    (model,) = [trace for trace in figure.data if trace.name == "quadratic model"]
    np.testing.assert_allclose(model.z, SURFACE.loss + 5)
    assert (model.contours.start, model.contours.end) == (79, 111)
    assert model.line.dash == "dash"
    assert "dashed: the quadratic model" in figure.layout.xaxis.title.text
    assert "dashed: the quadratic model" in draw(with_model).axes[0].get_xlabel()


def test_a_model_below_zero_is_a_gap_on_a_logarithmic_scale(tmp_path):
    loss = torch.logspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
    with_model = Surface(X, Y, loss, quadratic=loss - 1)
    (model,) = [trace for trace in plot(with_model).data if trace.name == "quadratic model"]
    assert np.isnan(model.z[0][0])
    assert save(draw(with_model), tmp_path / "a.png").exists()
    assert save(draw(replace(with_model, quadratic=-loss)), tmp_path / "b.png").exists()


def test_the_scale_can_be_chosen():
    loss = torch.logspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
    wide, narrow = Surface(X, Y, loss), Surface(X, Y, 10 + loss / 100)
    np.testing.assert_allclose(plot(wide, scale="linear").data[0].z, loss)
    np.testing.assert_allclose(plot(narrow, scale="log").data[0].z, torch.log10(narrow.loss))
    with pytest.raises(ArgumentError, match=r"scale: 'log' needs a positive loss, got -1 on the surface"):
        plot(Surface(X, Y, loss - loss.min() - 1), scale="log")


def test_a_projection_alone_shows_residuals_and_both_losses():
    figure = plot(PATH)
    names = [trace.name for trace in figure.data]
    assert names[-3:] == ["off the plane", "at the point", "at its projection"]
    np.testing.assert_allclose(figure.data[-3].y, [3.1, 1, 0])
    assert np.isnan(figure.data[-2].y[1])
    assert any(SAID in note.text for note in figure.layout.annotations)
    drawn = draw(PATH)
    assert len(drawn.axes) == 3
    assert SAID in drawn.axes[0].get_xlabel()
    assert len(draw(replace(PATH, loss=None, projected_loss=None)).axes) == 2

import math

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot, save
from thalweg.surfaces._results import Surface

X = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
Y = torch.tensor([-2.0, -1.0, 0.0, 1.0], dtype=torch.float64)


def surface(loss=None, norms=(2.0, 3.0)):
    """L = 1 + x + 10 y, so that rows and columns cannot be mistaken."""
    values = 100 + X[None, :] + 10 * Y[:, None] if loss is None else loss
    return Surface(X, Y, values.clone(), labels=("first", "second"), norms=norms)


@pytest.mark.parametrize("kind", ["contour", "3d"])
def test_rows_and_columns_stand_where_the_labels_say(kind):
    trace = plot(surface(), kind=kind).data[0]
    np.testing.assert_allclose(trace.x, [-2, 0, 2])
    np.testing.assert_allclose(trace.y, [-6, -3, 0, 3])
    assert trace.z[0][2] == 100 + 1 - 20
    assert trace.z[3][0] == 100 - 1 + 10


def test_the_lowest_cell_is_marked_at_its_distances():
    _, centre, lowest = plot(surface()).data
    assert (centre.x, centre.y) == ((0.0,), (0.0,))
    assert (lowest.x, lowest.y) == ((-2.0,), (-6.0,))
    relief = plot(surface(), kind="3d").data[1]
    assert (relief.x[0], relief.y[0], relief.z[0]) == (-2.0, -6.0, 79.0)


@pytest.mark.parametrize("kind", ["contour", "3d"])
def test_cells_without_a_finite_loss_stay_blank(kind, tmp_path):
    loss = surface().loss
    loss[0, 1], loss[2, 2] = math.nan, math.inf
    trace = plot(surface(loss), kind=kind).data[0]
    assert np.isnan(trace.z[0][1])
    assert np.isnan(trace.z[2][2])
    assert int(np.isnan(np.asarray(trace.z)).sum()) == 2
    assert save(draw(surface(loss), kind=kind), tmp_path / "a.png").exists()


def test_a_wide_range_is_coloured_by_its_logarithm_and_labelled_by_its_values():
    loss = torch.logspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
    trace = plot(surface(loss)).data[0]
    np.testing.assert_allclose(trace.z, torch.log10(loss))
    assert trace.colorbar.ticktext == ("0.01", "0.1", "1", "10", "100")
    np.testing.assert_allclose(trace.colorbar.tickvals, [-2, -1, 0, 1, 2])
    assert trace.customdata[0][0] == "0.01000"


def test_a_range_through_zero_is_not():
    loss = surface().loss - 100
    np.testing.assert_allclose(plot(surface(loss)).data[0].z, loss)


def test_a_surface_measured_in_part_says_so():
    x = torch.linspace(-1, 1, 3, dtype=torch.float64)
    measured, error = torch.eye(3, dtype=torch.bool), torch.full((3, 3), 0.1, dtype=torch.float64)
    loss = torch.arange(9, dtype=torch.float64).view(3, 3)
    surface = Surface(x, x, loss, measured=measured, error=error)
    said = "of 9 cells 6 interpolated, within 1.2% of the range"
    assert said in plot(surface).layout.xaxis.title.text
    assert said in draw(surface, kind="heat").axes[0].get_xlabel()


def test_contours_of_negative_logarithms_are_solid():
    """Dashes are the quadratic model's."""
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    figure = draw(Surface(x, x, 1e-4 * torch.exp(5 * (x[:, None] ** 2 + x**2))))
    styles = {style[1] for lines in figure.axes[0].collections for style in lines.get_linestyles()}
    assert styles == {None}


def test_surfaces_beside_each_other_share_their_colours():
    small, large = surface(), surface(surface().loss * 5)
    first, second = (plot(a, beside=[b]).data[0] for a, b in ((small, large), (large, small)))
    assert (first.zmin, first.zmax) == (second.zmin, second.zmax) == (79.0, 555.0)


def test_axes_have_one_scale_unless_one_is_much_longer():
    assert plot(surface()).layout.yaxis.scaleanchor == "x"
    assert plot(surface(norms=(1.0, 30.0))).layout.yaxis.scaleanchor is None


def test_a_constant_surface_can_be_drawn():
    flat = surface(torch.zeros(4, 3, dtype=torch.float64))
    assert plot(flat).data[0].zmax > plot(flat).data[0].zmin
    assert draw(flat).axes


@pytest.mark.parametrize("function", [plot, draw])
def test_bad_input_is_named(function):
    with unchecked(), pytest.raises(ArgumentError, match="kind: expected one of 'contour', 'heat', '3d', got '2d'"):
        function(surface(), kind="2d")
    with pytest.raises(ArgumentError, match="result: expected a surface with at least one finite loss, got none"):
        function(surface(torch.full((4, 3), math.nan, dtype=torch.float64)))

"""Convexity maps."""

import math

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot, save
from thalweg.surfaces import ConvexityMap

X = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
Y = torch.tensor([0.0, 1.0], dtype=torch.float64)


def found(**changed) -> ConvexityMap:
    smallest = torch.tensor([[-1.0, 0.5, math.nan], [-2.0, -0.1, -4.0]], dtype=torch.float64)
    fields = {
        "largest": torch.where(smallest.isnan(), math.nan, torch.full_like(smallest, 4.0)),
        "smallest": smallest,
        "largest_residuals": 0 * smallest + 0.01,
        "smallest_residuals": 0 * smallest + 0.01,
        "converged": torch.tensor([[True, True, False], [True, True, False]]),
        "products": torch.full((2, 3), 20),
        "loss": torch.arange(6, dtype=torch.float64).view(2, 3),
        "labels": ("first", "second"),
        "norms": (2.0, 3.0),
    }
    return ConvexityMap(X, Y, **{**fields, **changed})


def test_the_ratio_is_shown_at_true_distances(tmp_path):
    trace = plot(found(), scale="linear").data[0]
    np.testing.assert_allclose(trace.x, [-2, 0, 2])
    np.testing.assert_allclose(trace.y, [0, 3])
    np.testing.assert_allclose(trace.z, [[0.25, 0.125, np.nan], [0.5, 0.025, 1]])
    assert "λ_min −1.000 ± 0.010" in trace.customdata[0][0]
    assert "not converged" in trace.customdata[1][2]
    assert save(draw(found()), tmp_path / "a.png").exists()


def test_convex_cells_and_those_that_have_not_converged_are_marked():
    figure = plot(found())
    dots, crosses = figure.data[-2:]
    assert (dots.x, dots.y, dots.marker.symbol) == ((0.0,), (0.0,), "circle")
    assert (crosses.x, crosses.y, crosses.marker.symbol) == ((2.0,), (3.0,), "x-thin")
    for said in ("• convex within the residuals (1 of 6)", "× not converged (1)", "lines: contours of the loss"):
        assert said in figure.layout.xaxis.title.text
        assert said in " ".join(draw(found()).axes[0].get_xlabel().split())


@pytest.mark.parametrize("quantity", ["smallest", "largest"])
def test_either_eigenvalue(quantity):
    np.testing.assert_allclose(plot(found(), quantity=quantity, scale="linear").data[0].z, getattr(found(), quantity))


def test_a_loss_without_contours_has_none():
    flat = found(loss=torch.ones(2, 3, dtype=torch.float64))
    assert not any(trace.type == "contour" for trace in plot(flat).data)
    assert "contours" not in draw(flat).axes[0].get_xlabel()


@pytest.mark.parametrize("function", [plot, draw])
def test_bad_input_is_named(function):
    with unchecked(), pytest.raises(ArgumentError, match="quantity: expected one of 'ratio', 'smallest', 'largest'"):
        function(found(), quantity="trace")
    with pytest.raises(ArgumentError, match="result: expected a map with at least one finite λ_min, got none"):
        function(found(smallest=torch.full((2, 3), math.nan, dtype=torch.float64)), quantity="smallest")

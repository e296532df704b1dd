"""Ritz values against products, and their residuals against what counts as converged."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from tests.unchecked import unchecked


@pytest.fixture(scope="module")
def found():
    op, _ = operator([10.0, 9.0, 8.0, 7.5, *np.linspace(-0.2, 0.5, 57).tolist()])
    return tw.spectrum(op, top=4, bottom=2)


def test_curves_show_the_history(found):
    history = found.top.history
    figure = tw.plot(history, scale="linear")
    assert len(figure.data) == 8
    for rank in range(4):
        np.testing.assert_array_equal(figure.data[rank].x, history.products)
        np.testing.assert_array_equal(figure.data[rank].y, history.values[:, rank])
        np.testing.assert_array_equal(figure.data[4 + rank].y, history.residuals[:, rank])
    assert figure.layout.yaxis2.type == "log"
    assert figure.layout.shapes[0].y0 == history.threshold
    assert "residual" in figure.data[0].customdata[0]
    assert not figure.layout.showlegend


def test_both_ends_share_their_axes(found):
    figure = tw.plot(found, view="convergence", title="Hessian")
    assert {part.name for part in figure.data} == {"largest", "smallest"}
    assert sum(part.showlegend for part in figure.data) == 2
    heights = figure.data[0].y
    assert np.all(np.diff(heights) >= -1e-9)


def test_paper_shows_the_same(found):
    figure = tw.draw(found, view="convergence")
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), found.top.history.values[:, 0])
    assert right.get_yscale() == "log"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["largest", "smallest"]
    assert len(tw.draw(found.top.history, figure.axes[0]).axes) == 2


def test_a_history_of_nothing_is_refused(found):
    nothing = replace(found.top.history, products=torch.zeros(0), values=torch.zeros(0, 4), residuals=torch.zeros(0, 4))
    for function in (tw.plot, tw.draw):
        with pytest.raises(tw.errors.ArgumentError, match="expected a history with Ritz values, got an empty one"):
            function(nothing)
        with pytest.raises(tw.errors.ArgumentError, match="expected a spectrum whose history was kept"):
            function(replace(found, top=replace(found.top, history=None)), view="convergence")
        with unchecked(), pytest.raises(tw.errors.ArgumentError, match="scale: expected one of 'linear', 'symlog'"):
            function(found.top.history, scale="log")
    assert str(nothing) == "no Ritz values were computed"

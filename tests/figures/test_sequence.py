"""Animations, and their twins on paper."""

import math

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw_sequence, plot_sequence, save
from thalweg.surfaces._results import Line, Surface

S = torch.linspace(-1, 1, 5, dtype=torch.float64)


def surfaces(count=3):
    return [Surface(S, S, 1 + scale * (S[None, :] ** 2 + S[:, None] ** 2)) for scale in range(1, count + 1)]


def lines(count=3):
    return [Line(S, 1 + scale * S**2) for scale in range(1, count + 1)]


@pytest.mark.parametrize("kind", ["contour", "heat", "3d"])
def test_a_frame_is_the_surface_in_the_colours_of_all(kind):
    figure = plot_sequence(surfaces(), ["a", "b", "c"], kind=kind)
    assert [frame.name for frame in figure.frames] == ["a", "b", "c"]
    for frame, surface in zip(figure.frames, surfaces(), strict=True):
        trace = frame.data[0]
        np.testing.assert_allclose(trace.z, surface.loss)
        low, high = (trace.cmin, trace.cmax) if kind == "3d" else (trace.zmin, trace.zmax)
        assert (low, high) == (1, 7)
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == ["a", "b", "c"]
    assert [step.args[0] for step in steps] == [("a",), ("b",), ("c",)]
    assert [button.label for button in figure.layout.updatemenus[0].buttons] == ["▶", "❚❚"]


def test_lines_share_an_axis():
    figure = plot_sequence(lines())
    low, high = figure.layout.yaxis.range
    assert low < 1
    assert high > 4
    np.testing.assert_allclose(figure.frames[2].data[0].y, 1 + 3 * S**2)
    drawn = draw_sequence(lines())
    assert len({axes.get_ylim() for axes in drawn.axes}) == 1
    log = plot_sequence(lines(), scale="log").layout.yaxis
    assert log.type == "log"
    assert 10 ** log.range[1] > 4


def test_small_multiples_are_twelve_at_most_with_both_ends(tmp_path):
    names = [f"epoch {i}" for i in range(30)]
    drawn = draw_sequence(surfaces(30), names, title="a film")
    titles = [axes.get_title() for axes in drawn.axes if axes.get_title().startswith("epoch")]
    assert len(titles) == 12
    assert (titles[0], titles[-1]) == ("epoch 0", "epoch 29")
    assert save(draw_sequence(surfaces(), kind="heat"), tmp_path / "a.png").exists()


def test_a_frame_without_finite_loss_somewhere_keeps_its_gap():
    found = surfaces(2)
    found[1].loss[0, 0] = math.nan
    assert np.isnan(plot_sequence(found).frames[1].data[0].z[0][0])


@pytest.mark.parametrize("function", [plot_sequence, draw_sequence])
@pytest.mark.parametrize(
    ("results", "arguments", "message"),
    [
        ([], {}, "results: expected several surfaces, or several lines, got none"),
        ([*surfaces(1), *lines(1)], {}, "expected surfaces alone or lines alone, got Line at 1 after Surface"),
        ([*surfaces(1), Surface(2 * S, S, surfaces(1)[0].loss)], {}, "those of 1 differ from the first"),
        ([*lines(1), Line(S, S, norm=2.0)], {}, "those of 1 differ from the first"),
        (lines(), {"labels": ["a", "b"]}, "labels: expected 3 different names, got 2"),
        (lines(2), {"labels": ["a", "a"]}, "labels: expected 2 different names"),
        (lines(2), {"scale": "log2"}, "scale: expected one of"),
        (surfaces(2), {"kind": "4d"}, "kind: expected one of 'contour', 'heat'"),
    ],
)
def test_bad_input_is_named(function, results, arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        function(results, **arguments)


def test_a_frame_takes_time():
    with pytest.raises(ArgumentError, match="milliseconds: expected at least 1, got 0"):
        plot_sequence(lines(), milliseconds=0)

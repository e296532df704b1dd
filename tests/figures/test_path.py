import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.paths import Curve, TrainedCurve
from thalweg.paths._results import Barrier, PathScan

ALPHA = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)


def scan(*loss, **metrics):
    curves = {name: torch.tensor(values, dtype=torch.float64) for name, values in metrics.items()}
    return PathScan(ALPHA, ALPHA, torch.tensor(loss, dtype=torch.float64), curves, labels=("here", "there"))


def test_the_barrier_stands_on_the_chord_and_ends_on_the_curve():
    barrier = Barrier(2.5, 2.0, 2.5, 3.0, 0.5, 4.0, 0.5)
    chord, _, bar = plot(scan(1.0, 4.0, 2.0), barrier=barrier).data
    assert chord.y == (1.0, 2.0)
    assert bar.x == (0.5, 0.5)
    assert bar.y == (1.5, 4.0)
    assert bar.name == "barrier 2.50"


def test_metrics_get_panels_of_their_own():
    figure = plot(scan(1.0, 4.0, 2.0, accuracy=[1.0, 0.2, 0.9]))
    labels = {note.text for note in figure.layout.annotations}
    assert labels == {"loss", "accuracy"}
    assert len(draw(scan(1.0, 4.0, 2.0, accuracy=[1.0, 0.2, 0.9])).axes) == 2


def test_the_ends_are_named():
    assert plot(scan(1.0, 4.0, 2.0)).layout.xaxis.title.text == "position α<br>0: here<br>1: there"
    assert draw(scan(1.0, 4.0, 2.0)).axes[0].get_xlabel() == "position α\n0: here\n1: there"


def test_a_point_that_is_not_finite_is_left_out_and_an_end_that_is_not_has_no_chord():
    _, middle, gap = plot(scan(1.0, math.inf, 2.0)).data
    assert np.isnan(middle.y[1])
    assert (list(gap.x), list(gap.y), gap.name) == ([0.5], [1.0], "not finite")
    curve, _ = plot(scan(math.nan, 4.0, 2.0), barrier=Barrier(1, 1, 1, 1, 0.5, 4.0, 0.5, 1)).data
    assert np.isnan(curve.y[0])


def test_a_path_without_a_rise_has_no_bar(four):
    flat = replace(four.connections[0].barrier, linear=0.0)
    names = [trace.name for trace in plot(four.connections[0].path, barrier=flat).data]
    assert not any(name and name.startswith("barrier") for name in names)


def test_paths_have_the_names_given():
    figure = plot(scan(1.0, 4.0, 2.0), beside=[scan(1.0, 3.0, 2.0)], names=["raw", "<b>aligned"])
    assert [trace.name for trace in figure.data if trace.showlegend][1:] == ["raw", "&lt;b&gt;aligned"]
    with pytest.raises(ArgumentError, match="names: expected one for each of 2 paths, got 1"):
        draw(scan(1.0, 4.0, 2.0), beside=[scan(1.0, 3.0, 2.0)], names=["raw"])


def test_losses_far_apart_are_told_on_a_logarithmic_axis():
    """The chord is a line of the loss, and so bends there."""
    low, high = scan(0.01, 0.02, 0.03), scan(0.01, 1.0, 0.03)
    figure = plot(high, beside=[low], scale="auto")
    assert figure.layout.yaxis.type == "log"
    chord = figure.data[0]
    assert chord.y == pytest.approx(np.linspace(0.01, 0.03, len(chord.x)))
    assert len(chord.x) > 2
    assert draw(high, beside=[low], scale="auto").axes[0].get_yscale() == "log"
    for scale, beside in (("linear", [low]), ("auto", []), ("auto", [high])):
        assert plot(high, beside=beside, scale=scale).layout.yaxis.type is None
        assert draw(high, beside=beside, scale=scale).axes[0].get_yscale() == "linear"
    with pytest.raises(ArgumentError, match="scale: 'log' needs positive losses, got -1 on a path"):
        plot(scan(-1.0, 4.0, 2.0), scale="log")
    assert plot(scan(-1.0, 4.0, 2.0), beside=[low], scale="auto").layout.yaxis.type is None


def test_where_colours_begin_again_lines_are_dotted():
    lines = [trace for trace in plot(scan(1.0, 4.0, 2.0), beside=[scan(1.0, 3.0, 2.0)] * 5).data if trace.showlegend]
    looks = [(trace.line.color, trace.line.dash) for trace in lines[1:]]
    assert len(set(looks)) == 6
    assert "#de6a26" not in {colour for colour, _ in looks}


def test_paths_beside_each_other_share_panels_and_have_names():
    line = scan(1.0, 4.0, 2.0, accuracy=[0.9, 0.2, 0.8])
    repaired = replace(scan(1.0, 3.0, 2.0, accuracy=[0.9, 0.4, 0.8]), statistics="re-estimated")
    curve = replace(scan(1.0, math.nan, 2.0), kind="bezier", statistics="re-estimated")
    figure = plot(line, beside=[repaired, curve])
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert named == [
        "chord between the ends",
        "linear, statistics interpolated",
        "linear, statistics re-estimated",
        "bezier, statistics re-estimated",
        "not finite",
    ]
    colours = {trace.name: trace.line.color for trace in figure.data if trace.xaxis == "x" and trace.name in named[1:4]}
    assert len(set(colours.values())) == 3
    paper = draw(line, beside=[repaired, curve])
    assert [text.get_text() for text in paper.legends[0].get_texts()] == named
    assert [len(axes.get_lines()) for axes in paper.axes] == [5, 3]


def test_paths_of_one_name_are_numbered():
    names = [trace.name for trace in plot(scan(1.0, 4.0, 2.0), beside=[scan(1.0, 3.0, 2.0)]).data]
    assert names[1:] == ["linear (1)", "linear (2)"]
    with unchecked(), pytest.raises(ArgumentError, match="beside: expected paths, got str"):
        plot(scan(1.0, 4.0, 2.0), beside=["linear"])


def refined(metric="loss", **changes):
    path = scan(1.0, 4.0, 2.0, accuracy=[0.9, 0.2, 0.7])
    fields = {"metric": metric, "interval": (2.5, 2.75), "between": (0.25, 0.75), "path": path, "converged": True}
    return replace(Barrier(2.5, 2.0, 2.5, 3.0, 0.5, 4.0, 0.5), **fields | changes)


def test_a_bracket_is_a_box_on_the_barrier():
    box = next(trace for trace in plot(refined()).data if trace.name == "where the barrier may end")
    assert (min(box.x), max(box.x), min(box.y), max(box.y)) == (0.25, 0.75, 4.0, 4.25)
    assert any(trace.name == "barrier 2.50 to 2.75" for trace in plot(refined()).data)
    assert len(draw(refined()).axes[0].patches) == 1


@pytest.mark.parametrize("metric", ["error", "accuracy"])
def test_a_barrier_of_the_error_hangs_in_the_panel_of_the_accuracy(metric):
    found = refined(metric, linear=0.6, interval=(0.6, 0.7))
    box = next(trace for trace in plot(found).data if trace.name == "where the barrier may end")
    assert box.xaxis == "x2"
    assert (min(box.y), max(box.y)) == pytest.approx((0.1, 0.2))
    bar = next(trace for trace in plot(found).data if (trace.name or "").startswith("barrier"))
    assert bar.name == f"barrier 0.600 to 0.700 of the {metric}"
    assert bar.y == pytest.approx((0.8, 0.2))


def test_a_barrier_of_a_scan_has_no_points_of_its_own():
    for show in (plot, draw):
        with pytest.raises(ArgumentError, match="result: expected a barrier of a curve"):
            show(Barrier(2.5, 2.0, 2.5, 3.0, 0.5, 4.0, 0.5))


def test_into_given_axes_the_legend_stays_inside():
    figure = draw(scan(1.0, 4.0, 2.0))
    axes = figure.add_subplot()
    draw(scan(1.0, 4.0, 2.0), axes)
    assert axes.get_legend() is not None


def test_the_history_of_a_curve_and_its_running_mean():
    values = torch.linspace(2.0, 1.0, 100, dtype=torch.float64)
    trained = TrainedCurve(Curve(torch.zeros(3, 2)), "mean", values, values)
    steps, mean = plot(trained).data
    assert steps.y.tolist() == values.tolist()
    assert mean.y[50] == pytest.approx(float(values[48:53].mean()))
    assert mean.y[0] == pytest.approx(float(values[:3].mean()))
    assert len(draw(trained).axes[0].get_lines()) == 2

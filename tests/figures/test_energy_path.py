"""Minimum-energy paths, bottlenecks, reliability and critical widths: what is drawn stands where the numbers are."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.formula import formula
from thalweg.figures import draw, plot
from thalweg.paths import bottlenecks
from thalweg.predict import critical_width, reliability

HOSTILE = "<b>$x$</b>"
WIDTHS = [8, 16, 32, 64, 128]


@pytest.fixture(scope="module")
def path():
    landscape = formula(lambda t: (t[0] ** 2 - 1) ** 2, [-1.0])
    found = tw.string_method(landscape, -landscape.theta, images=6, labels=(HOSTILE, "there"))
    return found, tw.path_saddle(landscape, found)


def barriers(slope=-0.7):
    noise = np.exp(0.3 * np.random.default_rng(1).normal(size=(5, 6)))
    return (3 * np.array(WIDTHS, dtype=float)[:, None] ** slope * noise).tolist()


def traces(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def test_images_and_saddle_stand_on_the_profile(path):
    found, saddle = path
    drawn = traces(plot(found, saddle=saddle))
    assert list(drawn["images"].y) == found.loss.tolist()
    mark = drawn["critical point of index 1"]
    assert (mark.x[0], mark.y[0]) == pytest.approx((1.0, 1.0))
    # The curve between the images goes through the saddle.
    curve = plot(found, saddle=saddle).data[0]
    assert max(curve.y) == pytest.approx(1.0, abs=1e-3)
    assert max(plot(found).data[0].y) == pytest.approx(float(found.loss.max()), abs=1e-12)
    assert "critical point of index 1" not in traces(plot(found))
    assert plot(found).layout.xaxis.title.text.endswith("from &lt;b&gt;$x$&lt;/b&gt; to there")


def test_the_gradient_has_a_panel_of_its_own_on_paper(path):
    found, saddle = path
    figure = draw(found, saddle=saddle)
    assert len(figure.axes) == 2
    assert figure.axes[1].get_yscale() == "log"
    assert r"\$x\$" in figure.axes[0].get_xlabel()
    labels = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert labels == {"images", "critical point of index 1"}
    alone = draw(found, draw(found).axes[0])
    assert len(alone.axes) == 2


def test_reliability_has_its_diagonal_and_its_intervals():
    table = reliability([0.1, 0.2, 0.7, 0.8, 0.9], [False, True, True, True, False], bins=2)
    drawn = traces(plot(table, title=HOSTILE))
    assert drawn["calibrated"].x == drawn["calibrated"].y == (0, 1)
    points = drawn["observed, with 95 % intervals"]
    assert list(points.y) == pytest.approx([0.5, 2 / 3])
    assert np.array(points.y) + points.error_y.array == pytest.approx(table.high.numpy())
    assert np.array(points.y) - points.error_y.arrayminus == pytest.approx(table.low.numpy())
    axes = draw(table).axes[0]
    assert axes.get_aspect() == 1
    assert "5 predictions" in axes.get_xlabel()


def test_the_critical_width_stands_on_the_threshold_and_on_the_law():
    found = critical_width(WIDTHS, barriers(), 0.25)
    drawn = traces(plot(found))
    assert (drawn["critical width"].x[0], drawn["critical width"].y[0]) == (found.width, 0.25)
    assert (min(drawn["95 % interval"].x), max(drawn["95 % interval"].x)) == (found.low, found.high)
    assert len(drawn["pairs"].x) == 30
    assert "extrapolated" not in drawn
    assert f"{found.width:.1f}" in plot(found).layout.xaxis.title.text
    axes = draw(found).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_what_is_extrapolated_is_dashed_and_reaches_the_threshold():
    drawn = traces(plot(critical_width(WIDTHS, barriers(), 0.04)))
    assert drawn["extrapolated"].line.dash == "dash"
    assert drawn["extrapolated"].y[-1] == pytest.approx(0.04)
    assert draw(critical_width(WIDTHS, barriers(), 0.04)).axes[0].get_xlabel().endswith("extrapolated")
    below = traces(plot(critical_width(WIDTHS, barriers(), 2.0)))["extrapolated"]
    assert below.x[0] < 8
    # Ten thousand times as wide it is said and not drawn.
    far = plot(critical_width(WIDTHS, barriers(), 1e-5))
    assert "critical width" not in traces(far)
    assert "extrapolated" in far.layout.xaxis.title.text


def test_a_power_law_that_is_refuted_is_said_to_be():
    table = [[3 * np.exp(-n / 40) * wobble for wobble in (0.95, 1.0, 1.05)] for n in WIDTHS]
    caption = plot(critical_width(WIDTHS, table, 0.25)).layout.xaxis.title.text
    assert "(no power law, p = " in caption
    assert "(no power law, p = " in draw(critical_width(WIDTHS, table, 0.25)).axes[0].get_xlabel()
    assert "no power law" not in plot(critical_width(WIDTHS, barriers(), 0.25)).layout.xaxis.title.text
    # An extrapolated width is not written to five digits.
    far = critical_width(WIDTHS, [[n**-0.2, 1.1 * n**-0.2] for n in WIDTHS], 0.09)
    assert far.width > 1e5
    assert f"{float(f'{far.width:.2g}'):.0f}, extrapolated" in plot(far).layout.xaxis.title.text


def test_without_a_critical_width_there_is_no_mark_and_zeros_are_told_of():
    table = barriers(0.1)
    table[0][0] = 0.0
    figure = plot(critical_width(WIDTHS, table, 0.5))
    assert {"critical width", "95 % interval"}.isdisjoint(traces(figure))
    assert figure.layout.xaxis.title.text.endswith("barriers do not fall; 1 of 0 or less not shown")
    assert len(traces(figure)["pairs"].x) == 29
    assert draw(critical_width(WIDTHS, table, 0.5)).axes


def test_an_open_interval_reaches_the_edge_of_the_figure():
    found = replace(critical_width(WIDTHS, barriers(), 0.25), low=None, high=None)
    drawn = plot(found)
    band = traces(drawn)["95 % interval"].x
    assert [math.log10(min(band)), math.log10(max(band))] == pytest.approx(drawn.layout.xaxis.range)


MATRIX = torch.tensor(
    [[0.0, 5.0, 1.0, math.nan], [5.0, 0.1, 2.0, math.nan], [1.0, 2.0, 0.5, math.nan], [math.nan] * 3 + [0.3]],
    dtype=torch.float64,
)


def test_branches_end_at_the_minima_and_join_at_their_levels():
    found = bottlenecks(MATRIX, labels=("a", "b", HOSTILE, "d"))
    tree, leaves, heat = plot(found).data
    assert sorted(leaves.y) == [0.0, 0.1, 0.3, 0.5]
    joins = [y for y in tree.y if y in (1.0, 2.0)]
    assert joins == [1.0, 1.0, 1.0, 2.0, 2.0]
    # Each branch begins at its leaf: a joins the third at 1, and both join b at 2.
    assert (tree.x[0], tree.y[0]) == (leaves.x[0], leaves.y[0])
    names = list(plot(found).layout.xaxis.ticktext)
    assert names[0] == "a"
    assert "&lt;b&gt;$x$&lt;/b&gt;" in names
    z = np.array(heat.z, dtype=float)
    assert np.isnan(z).sum() == 6
    order = [("a", "b", "&lt;b&gt;$x$&lt;/b&gt;", "d").index(name) for name in names]
    np.testing.assert_array_equal(z, found.level.numpy()[np.ix_(order, order)])
    paper = draw(found)
    assert len(paper.axes) == 3
    assert len(draw(found, paper.axes[0]).axes) == 3


def test_many_minima_have_no_names():
    found = bottlenecks(torch.ones(30, 30, dtype=torch.float64))
    assert set(plot(found).layout.xaxis.ticktext) == {""}
    assert draw(found).axes

"""Merge trees and persistence: what is drawn stands where the levels are."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.figures._levels import levels
from thalweg.surfaces import graph_persistence, merge_tree
from thalweg.surfaces._topology_results import Persistence

WAY = torch.tensor([4.0, 2, 3, 1, 5, 0, 6])


def diagram(*pairs: tuple[int, float, float], essential=((0, 0.0),), limits=(0.0, 6.0)) -> Persistence:
    dimension, birth, death = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 3).T
    endless = torch.tensor(essential, dtype=torch.float64).reshape(-1, 2)
    at = torch.zeros(len(pairs), 2, dtype=torch.int64)
    never = torch.zeros(len(endless), 2, dtype=torch.int64)
    return Persistence(
        dimension.long(), birth, death, at, at, endless[:, 0].long(), endless[:, 1], never, (3, 3), limits
    )


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_leaves_and_forks_stand_at_their_levels():
    figure = plot(merge_tree(WAY))
    assert list(named(figure, "minima").y) == [0, 1, 2]
    assert list(named(figure, "saddles").y) == [3, 5]
    assert list(named(figure, "minima").x) == [0, 1, 2]
    # Straight above the deeper branch: 3 over the minimum 1, and 5 over 0.
    assert list(named(figure, "saddles").x) == [1, 0]
    assert named(figure, "minima").customdata[1] == "minimum at (3)<br>loss 1.000<br>persistence 4.000"
    sizes = named(figure, "minima").marker.size
    assert sizes[0] > sizes[1] == sizes[2]


def test_lines_do_not_cross():
    source = torch.Generator().manual_seed(5)
    tree = merge_tree(torch.rand(12, 12, generator=source, dtype=torch.float64))
    x, y = (
        np.asarray(part, dtype=float).reshape(-1, 4)[:, :3] for part in (plot(tree).data[0].x, plot(tree).data[0].y)
    )
    for across, upwards in zip(x, y, strict=True):
        left, right, level = min(across[1:]), max(across[1:]), upwards[1]
        between = (x[:, 0] > left) & (x[:, 0] < right)
        # An upright strictly inside a crossbar ends below it.
        assert bool((y[between, 1] <= level).all())


def test_components_that_join_no_other_go_on_upwards():
    tree = merge_tree(torch.tensor([0.0, math.nan, 2.0]))
    stems = plot(tree).data[1]
    assert stems.line.dash == "dot"
    assert list(np.asarray(stems.y, dtype=float)[[0, 3]]) == [0, 2]
    assert not any(trace.name == "saddles" for trace in plot(tree).data)
    assert len(draw(tree).axes) == 1


def test_a_wide_range_is_logarithmic_and_rounding_is_not():
    assert levels(0.1, 100.0).logarithmic
    assert not levels(0.0, 100.0).logarithmic
    assert not levels(1e-33, 4.0).logarithmic
    assert not levels(-1.0, 100.0).logarithmic
    low, high = levels(2.0, 2.0).limits
    assert low < 2 < high
    wide = plot(merge_tree(10**WAY))
    assert list(named(wide, "saddles").y) == pytest.approx([3, 5])
    assert "100" in wide.layout.yaxis.ticktext


def test_points_of_a_diagram():
    figure = plot(diagram((0, 1.0, 5.0), (0, 2.0, 3.0), (1, 4.0, 6.0), essential=((0, 0.0), (1, 2.0))))
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["H₀: components", "H₀: components, never dying", "H₁: loops", "H₁: loops, never dying"]
    points = named(figure, "H₀: components")
    assert (list(points.x), list(points.y)) == ([1, 2], [5, 3])
    assert points.customdata[0] == "born at 1.000<br>dies at 5.000<br>persistence 4.000"
    top = figure.layout.yaxis.range[1]
    assert list(named(figure, "H₁: loops, never dying").y) == [top]
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_bars_of_a_barcode():
    found = diagram((0, 1.0, 5.0), (0, 2.0, 3.0))
    bars = named(plot(found, view="barcode"), "H₀: components")
    x = np.asarray(bars.x, dtype=float).reshape(-1, 3)
    assert x[1:, :2].tolist() == [[1, 5], [2, 3]]
    paper = draw(found, view="barcode")
    assert len(paper.axes[0].collections) == 1
    assert len(draw(found).axes) == 1


def test_of_many_bars_the_longest_are_shown():
    many = diagram(*((0, 0.0, 5.0 - 0.01 * k) for k in range(100)), (1, 1.0, 1.001), (1, 1.0, 1.0005))
    figure = plot(many, view="barcode")
    assert {note.text for note in figure.layout.annotations} == {"the longest 60; 42 more are not shown"}
    assert len(named(figure, "H₀: components").x) == 3 * 60
    assert len(named(figure, "H₁: loops").x) == 3
    assert "42 more" in "".join(text.get_text() for text in draw(many, view="barcode").axes[0].texts)


def test_a_graph_of_minima_has_the_same_figures():
    found = graph_persistence(torch.tensor([0.0, 1.0]), torch.tensor([[0, 1]]), torch.tensor([3.0]))
    assert list(named(plot(found), "H₀: components").y) == [3.0]


def test_what_cannot_be_drawn_is_told():
    with unchecked(), pytest.raises(ArgumentError, match="view: expected one of 'diagram', 'barcode', got 'pie'"):
        plot(diagram(), view="pie")
    with unchecked(), pytest.raises(ArgumentError, match="view: expected one of 'diagram', 'barcode', got 'pie'"):
        draw(diagram(), view="pie")
    with pytest.raises(ArgumentError, match="result: expected at least one feature, got none"):
        plot(diagram(essential=()))
    nothing = replace(
        merge_tree(WAY), merges=torch.zeros(0, dtype=torch.int64), level=torch.zeros(0), parent=torch.zeros(0)
    )
    with pytest.raises(ArgumentError, match="result: expected a tree with at least one minimum, got none"):
        plot(nothing)

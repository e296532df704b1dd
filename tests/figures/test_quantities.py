"""What the figure of a table of quantities shows."""

import math

import pytest

import thalweg as tw
from tests import golden
from thalweg.estimate import Cost
from thalweg.figures import draw, plot
from thalweg.measures import Measures, Quantity


def table(*rows):
    return Measures(rows=rows, spectrum=None, planned=Cost(), cost=Cost())


ROWS = (
    Quantity("loss", 0.5, 0.0, 0.5, 0.5, "exact"),
    Quantity("trace", -4.0, 0.2, -4.4, -3.6, "estimate"),
    Quantity("eigenvalue", 2.0, None, 1.5, 2.5, "bounds", "not converged"),
    Quantity("sharpness", 0.1, None, 0.1, None, "lower bound", "one step"),
    Quantity("scale", None, None, None, None, "estimate", "undefined here"),
    Quantity("nullity", 0.0, 1.0, -2.0, 2.0, "estimate"),
    Quantity("outliers", 3.0, 0.0, 3.0, 3.0, "exact", "above the widest gap"),
)


def bars(figure):
    """The intervals by the row's number."""
    found = {}
    for trace in figure.data:
        if trace.mode == "lines":
            for low, high, place in zip(trace.x[0::3], trace.x[1::3], trace.y[0::3], strict=True):
                found[place] = (low, high)
    return found


def test_intervals_are_in_percent_of_the_value():
    drawn = bars(plot(table(*ROWS)))
    assert drawn[0] == (0.0, 0.0)
    # Of a negative value, too, the lower end is on the left.
    assert drawn[1] == pytest.approx((-10.0, 10.0))
    assert drawn[2] == pytest.approx((-25.0, 25.0))


def test_what_is_open_reaches_the_edge_and_has_an_arrow_there():
    figure = plot(table(*ROWS))
    drawn = bars(figure)
    assert drawn[3] == pytest.approx((0.0, 25.0))
    # Of zero no percent.
    assert drawn[5] == pytest.approx((-25.0, 25.0))
    arrows = [
        (x, y, symbol)
        for trace in figure.data
        if trace.mode == "markers" and not isinstance(trace.marker.symbol, str)
        for x, y, symbol in zip(trace.x, trace.y, trace.marker.symbol, strict=True)
    ]
    assert sorted(arrows) == [(-25.0, 5, "arrow-left"), (25.0, 3, "arrow-right"), (25.0, 5, "arrow-right")]


def test_values_and_reasons_stand_beside_the_rows():
    shown = [note.text for note in plot(table(*ROWS)).layout.annotations]
    expected = [
        "0.500", "−4.00 ± 0.20", "2.00 (not converged)", "≥ 0.100", "– undefined here", "0.0 ± 1.0",
        "3 (above the widest gap)",
    ]  # fmt: skip
    assert shown == expected
    assert [text.get_text() for text in draw(table(*ROWS)).axes[0].texts] == expected


def test_a_row_without_a_value_has_no_point():
    figure = plot(table(*ROWS))
    assert 4 not in bars(figure)
    places = [y for trace in figure.data if trace.mode == "markers" for y in trace.y]
    assert 4 not in places


def test_kinds_are_told_apart_by_marker_and_colour():
    named = [trace for trace in plot(table(*ROWS)).data if trace.name]
    assert [trace.name for trace in named] == ["exact", "estimate", "bounds", "lower bound"]
    assert len({trace.marker.symbol for trace in named}) == len({trace.marker.color for trace in named}) == 4


def test_all_that_measure_returns_can_be_drawn():
    found = tw.measure(golden.g1(), ["loss", "eigenvalues", "trace", "sharpness"])
    figure = plot(found, title="G1")
    assert list(figure.layout.yaxis.ticktext) == list(found.names)
    axes = draw(found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found.names)


def test_names_are_text_and_what_is_not_finite_has_no_point():
    strange = table(Quantity("<b>$x$", math.inf, None, None, None, "estimate", "diverged"))
    figure = plot(strange)
    assert figure.layout.yaxis.ticktext == ("&lt;b&gt;$x$",)
    assert len([trace for trace in figure.data if trace.mode == "markers"]) == 0
    draw(strange)

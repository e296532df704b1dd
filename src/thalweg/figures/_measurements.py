"""Measures of several landscapes side by side, as bars."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._extra import load
from thalweg.figures._numbers import number, with_error
from thalweg.figures._palette import INK, faint, series
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.landscape._evaluation import Evaluation
from thalweg.study._results import Measurement

_WIDE = 100.0

MEASURES = {
    "sharpness": "sharpness S (ascent)",
    "eigenvalue": "largest eigenvalue λ₁",
    "trace": "trace of the Hessian",
    "rank": "effective rank",
    "gradient": "gradient norm ‖∇L‖",
    "accuracy": "accuracy",
}
"""What the bars can show, by name."""


@dataclass(frozen=True)
class _Bars:
    label: str
    names: list[str]
    values: list[float | None]
    errors: list[float | None]
    logarithmic: bool


@plot.register(tuple)
@plot.register(list)
@plot.register(Measurement)
def plot_measurements(
    result: Measurement | Sequence[Measurement],
    *,
    measures: Sequence[str] | None = None,
    headed: bool = True,
    title: str | None = None,
) -> ScreenFigure:
    """Draw one panel of bars a measure, one bar a measurement; whiskers are standard errors or residuals.

    The axis is logarithmic where all values are positive and their range is wide. The accuracy is that on
    the test data, or on the training data where there are no others.

    Args:
        result: One measurement or several.
        measures: Some of "sharpness", "eigenvalue", "trace", "rank", "gradient" and "accuracy"; all that there
            are by default.
        headed: Whether each panel is named above its bars.
        title: Above the figure.
    """
    panels = bars(result, measures)
    figure = load("plotly.subplots").make_subplots(rows=len(panels), cols=1, vertical_spacing=0.4 / len(panels))
    count = len(panels[0].names)
    _screen.dressed(figure, title=title, height=len(panels) * (27 * count + 44) + 24)
    figure.update_layout(showlegend=False, bargap=0.34)
    where = np.arange(count)
    for row, panel in enumerate(panels, start=1):
        suffix = "" if row == 1 else str(row)
        figure.add_bar(
            orientation="h", y=where, x=panel.values,
            marker_color=[faint(series(index), 0.85) for index in range(count)],
            error_x={"type": "data", "array": [error or 0 for error in panel.errors], "thickness": 1.3, "width": 4,
                     "color": "#80868f"},
            customdata=[[_screen.text(name, 200), "" if v is None else with_error(v, e, 4)]
                        for name, v, e in zip(panel.names, panel.values, panel.errors, strict=True)],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>", row=row, col=1,
        )  # fmt: skip
        for index, value in enumerate(panel.values):
            figure.add_annotation(
                text="not determined" if value is None else number(value),
                x=1, xref=f"x{suffix} domain", xanchor="left", y=index, yref=f"y{suffix}", xshift=8,
            )  # fmt: skip
        if panel.logarithmic:
            low, high = _log_limits(panel)
            ticks = decades(low, high, most=4)
            figure.update_xaxes(
                type="log", range=[np.log10(low), np.log10(high)], tickvals=ticks,
                ticktext=[tick_text(tick) for tick in ticks], row=row, col=1,
            )  # fmt: skip
        else:
            figure.update_xaxes(rangemode="tozero", nticks=3, row=row, col=1)
        figure.update_yaxes(
            autorange="reversed", tickvals=where, ticktext=[_screen.text(name, 24) for name in panel.names],
            showgrid=False, ticks="", row=row, col=1,
        )  # fmt: skip
        if headed:
            _screen.upright_title(figure, panel.label, row, shift=0)
    figure.update_layout(
        margin={"b": 30, "l": 16, "r": 66, "t": (40 if headed else 10) + (36 if title is not None else 0)}
    )
    return figure


@draw.register(tuple)
@draw.register(list)
@draw.register(Measurement)
def draw_measurements(
    result: Measurement | Sequence[Measurement],
    axes: Axes | None = None,
    *,
    measures: Sequence[str] | None = None,
    headed: bool = True,
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_measurements` draws for the screen; into given axes, the first measure.

    Args:
        result: One measurement or several.
        axes: Where to draw; a new figure by default.
        measures: Some of "sharpness", "eigenvalue", "trace", "rank", "gradient" and "accuracy"; all that there
            are by default.
        headed: Whether each panel is named above its bars.
        title: Above the figure.
    """
    panels = bars(result, measures)
    count = len(panels[0].names)
    if axes is None:
        figure, places = _paper.paper(
            len(panels), title=title, width=max(4.2, 2.5 * len(panels) + 1.2), height=1.2 + 0.3 * count
        )
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for order, (panel, place) in enumerate(zip(panels, places, strict=False)):
        for index, (value, error) in enumerate(zip(panel.values, panel.errors, strict=True)):
            if value is not None:
                place.barh(
                    index, value, height=0.62, color=series(index), alpha=0.88, xerr=error or None,
                    error_kw={"ecolor": INK["light"], "elinewidth": 1, "capsize": 2.5},
                )  # fmt: skip
        if panel.logarithmic:
            low, high = _log_limits(panel)
            place.set_xscale("log")
            place.set_xlim(low, high)
            ticks = decades(low, high, most=4)
            place.set_xticks(ticks, [tick_text(tick) for tick in ticks])
            place.minorticks_off()
        else:
            place.locator_params(axis="x", nbins=4)
        _paper.quiet(place, y=panel.label if headed else "", grid="x")
        names = [_paper.text(name, 28) for name in panel.names] if order == 0 else [""] * count
        place.set_yticks(range(count), names)
        place.set_ylim(count - 0.4, -0.6)
    return figure


def bars(result: Measurement | Sequence[Measurement], measures: Sequence[str] | None = None) -> list[_Bars]:
    """Return what the bars show: for each measure the values and errors of all measurements.

    Raises:
        ArgumentError: If there is no measurement, something else among them, or no such measure.
    """
    given = [result] if isinstance(result, Measurement) else list(result)
    if not given or not all(isinstance(item, Measurement) for item in given):
        kinds = sorted({type(item).__name__ for item in given}) or "nothing"
        raise ArgumentError(f"result: expected at least one Measurement and nothing else, got {kinds}.")
    chosen = list(MEASURES) if measures is None else list(measures)
    unknown = [name for name in chosen if name not in MEASURES]
    if unknown or not chosen:
        raise ArgumentError(f"measures: expected some of {', '.join(map(repr, MEASURES))}, got {list(measures or [])}.")
    panels = (_panel(given, measure) for measure in chosen)
    return [panel for panel in panels if measures is not None or any(value is not None for value in panel.values)]


def _panel(items: Sequence[Measurement], measure: str) -> _Bars:
    label, found = MEASURES[measure], [_measure(item, measure) for item in items]
    if measure == "accuracy":
        on_test = [_accuracy(item.test) for item in items]
        known = all(pair is not None for pair in on_test)
        found = on_test if known else [_accuracy(item.train) for item in items]
        label = "test accuracy" if known else "training accuracy"
    radii = {item.ascent.rho for item in items}
    if measure == "sharpness" and len(radii) == 1:
        label = f"sharpness S within ρ = {radii.pop():g}"
    values = [None if pair is None else pair[0] for pair in found]
    errors = [None if pair is None else pair[1] for pair in found]
    positive = [value for value in values if value is not None and value > 0]
    wide = bool(positive) and len(positive) == len(values) and max(positive) > _WIDE * min(positive)
    return _Bars(label, [item.name for item in items], values, errors, wide)


def _measure(item: Measurement, measure: str) -> tuple[float, float | None] | None:
    if measure == "sharpness":
        return item.ascent.value, None
    if measure == "eigenvalue":
        return float(item.top.values[0]), float(item.top.residuals[0])
    estimates = {"trace": item.trace, "gradient": item.gradient_norm, "rank": item.effective_rank}
    estimate = estimates.get(measure)
    return None if estimate is None else (estimate.value, estimate.standard_error)


def _accuracy(evaluation: Evaluation | None) -> tuple[float, float | None] | None:
    found = None if evaluation is None else evaluation.metrics.get("accuracy")
    return None if found is None else (found.value, found.data_error)


def _log_limits(panel: _Bars) -> tuple[float, float]:
    known = [value for value in panel.values if value is not None]
    return min(known) / 4, max(known) * 1.6

"""Performance against the number of trained dimensions."""

from dataclasses import dataclass

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number, thousands
from thalweg.figures._palette import GREY, SERIES, faint
from thalweg.figures._ticks import decades
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures._dimension_results import IntrinsicDimension

# Ticks at the dimensions themselves: so many at the most, and so far apart.
_FEW, _APART = 10, 1.4
_X = "dimensions trained, d"


@dataclass(frozen=True)
class _Curve:
    """(k,) dimensions, their means and errors of these, (k, seeds) single trainings."""

    x: np.ndarray
    mean: np.ndarray
    error: np.ndarray | None
    single: np.ndarray
    ticks: list[float]
    limits: tuple[float, float]
    lines: dict[str, float]
    """Levels to compare with."""


@plot.register(IntrinsicDimension)
def plot_dimension(result: IntrinsicDimension, *, title: str | None = None) -> ScreenFigure:
    """Draw performance against d, with what is asked for, what all parameters reach, and d_int with its interval.

    Dots are single trainings; bars are the standard errors of means over seeds. A d_int of 0 has no place on the axis,
    which is logarithmic.

    Args:
        result: The dimensions that were tried.
        title: Above the figure.
    """
    curve = _curve(result)
    figure = _screen.screen(title=title, height=380)
    if result.value:
        figure.add_scatter(
            x=[result.value] * 2, y=list(_heights(curve)), mode="lines", name=_found(result), hoverinfo="skip",
            line={"color": SERIES[1], "width": 2},
        )  # fmt: skip
    for (name, level), dash in zip(curve.lines.items(), ("dash", "dot", "dashdot"), strict=False):
        figure.add_scatter(
            x=list(curve.limits), y=[level] * 2, mode="lines", name=f"{name} {number(level)}", hoverinfo="skip",
            line={"color": GREY, "width": 1.5, "dash": dash},
        )  # fmt: skip
    if curve.single.shape[1] > 1:
        figure.add_scatter(
            x=np.repeat(curve.x, curve.single.shape[1]), y=curve.single.ravel(), mode="markers", name="single seeds",
            marker={"color": faint(SERIES[0], 0.5), "size": 6}, hovertemplate="d = %{x}: %{y:.4g}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=curve.x, y=curve.mean, mode="lines+markers", name="mean" if curve.single.shape[1] > 1 else result.metric,
        error_y=None if curve.error is None else {"array": curve.error, "thickness": 1.4, "width": 4},
        line={"color": SERIES[0], "width": 2}, marker={"size": 8}, showlegend=curve.single.shape[1] > 1,
        hovertemplate="d = %{x}: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    if result.value and result.interval is not None:
        # After the curves: plotly leaves panels alone that are empty.
        low, high = result.interval
        figure.add_vrect(x0=low, x1=high, fillcolor=faint(SERIES[1], 0.16), line_width=0, layer="below")
    figure.update_xaxes(
        type="log", title_text=_axis(result), tickvals=curve.ticks, ticktext=[thousands(int(t)) for t in curve.ticks],
        range=np.log10(curve.limits).tolist(),
    )  # fmt: skip
    figure.update_yaxes(range=list(_heights(curve)))
    _screen.upright_title(figure, _screen.text(result.metric))
    _screen.legend_below(figure, rows=2)
    return figure


@draw.register(IntrinsicDimension)
def draw_dimension(result: IntrinsicDimension, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_dimension` draws for the screen.

    Args:
        result: The dimensions that were tried.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    curve = _curve(result)
    figure, axes = _paper.panel(axes, title, width=5.4, height=4.0)
    if result.value and result.interval is not None:
        axes.axvspan(*result.interval, color=SERIES[1], alpha=0.14, linewidth=0)
    if result.value:
        axes.axvline(result.value, color=SERIES[1], linewidth=1.5, label=_paper.text(_found(result)))
    for (name, level), dash in zip(curve.lines.items(), ("--", ":", "-."), strict=False):
        axes.axhline(level, linestyle=dash, color=GREY, linewidth=1.1, label=f"{name} {number(level)}")
    if curve.single.shape[1] > 1:
        x = np.repeat(curve.x, curve.single.shape[1])
        axes.plot(x, curve.single.ravel(), "o", color=SERIES[0], alpha=0.4, markersize=3.5, markeredgewidth=0)
    axes.errorbar(curve.x, curve.mean, curve.error, fmt="o-", color=SERIES[0], markersize=4.5, linewidth=1.5, capsize=3)
    axes.set_xscale("log")
    axes.set_xticks(curve.ticks, [thousands(int(tick)) for tick in curve.ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(*curve.limits)
    axes.set_ylim(*_heights(curve))
    _paper.quiet(axes, x=_axis(result), y=_paper.text(result.metric))
    # The curves and lines cross the whole panel.
    _paper.legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


def _axis(result: IntrinsicDimension) -> str:
    return f"{_X}, of {thousands(result.size)} parameters"


def _found(result: IntrinsicDimension) -> str:
    if result.value is None or result.interval is None:
        return f"d_int = {thousands(result.value or 0)}"
    low, high = (thousands(round(end)) for end in result.interval)
    return f"d_int = {thousands(result.value)} [{low}, {high}]"


def _heights(curve: _Curve) -> tuple[float, float]:
    levels = np.concatenate([curve.single.ravel(), curve.mean, list(curve.lines.values())])
    low, high = float(levels.min()), float(levels.max())
    margin = 0.08 * ((high - low) or 1.0)
    return low - margin, high + margin


def _ticks(tried: np.ndarray, limits: tuple[float, float]) -> list[float]:
    """The dimensions that were tried where they stand apart, round numbers elsewhere."""
    if 1 < len(tried) <= _FEW and (tried[1:] >= _APART * tried[:-1]).all():
        return [float(d) for d in tried]
    return [tick for tick in decades(*limits) if tick >= 1]


def _curve(result: IntrinsicDimension) -> _Curve:
    x = np.asarray(result.dimensions, dtype=float)
    single = result.performances.double().cpu().numpy()
    errors = result.standard_errors
    ends = [*x.tolist(), *([] if result.value is None else [float(result.value)]), *(result.interval or ())]
    low, high = (max(min(ends), 1.0), max(ends)) if ends else (1.0, float(result.size))
    # No dimension at all has no place on the axis.
    limits = (low / 1.3, max(high, low) * 1.3)
    return _Curve(
        x=x,
        mean=single.mean(axis=1) if single.size else np.zeros(0),
        error=None if errors is None else errors.double().cpu().numpy(),
        single=single,
        ticks=_ticks(x, limits),
        limits=limits,
        lines={
            "all parameters": result.baseline,
            f"{100 * result.share:.3g} % of it": result.target,
            "before training": result.start,
        },
    )

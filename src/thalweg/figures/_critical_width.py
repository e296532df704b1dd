"""Barriers against width, the power law through them, and where it meets the threshold."""

import math
from dataclasses import dataclass

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number, percent
from thalweg.figures._palette import GREY, SERIES, faint
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.predict._critical_width_results import CriticalWidth

# A width further away than this from those measured is said, not drawn.
_FARTHEST = 30.0


@dataclass(frozen=True)
class _Drawn:
    x: np.ndarray
    y: np.ndarray
    within: tuple[np.ndarray, np.ndarray]
    beyond: tuple[np.ndarray, np.ndarray] | None
    band: tuple[float, float] | None
    width: float | None
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    caption: tuple[str, str]


@plot.register(CriticalWidth)
def plot_critical_width(result: CriticalWidth, *, title: str | None = None) -> ScreenFigure:
    """Draw the barrier of each pair against the width, the fit, and the interval of the critical width.

    Both axes are logarithmic; barriers of 0 or less have no place there, and are counted below. The fit is dashed
    outside of the widths measured, and the caption says where the barriers refute a power law. Of a sweep over depths,
    the fit is that at ``depth``.

    Args:
        result: The fit.
        title: Above the figure.
    """
    drawn = _drawn(result)
    figure = _screen.screen(title=title, height=430)
    if drawn.band is not None:
        (low, high), (bottom, top) = drawn.band, drawn.y_limits
        figure.add_scatter(
            x=[low, high, high, low], y=[bottom, bottom, top, top], fill="toself", fillcolor=faint(SERIES[1]),
            mode="lines", line_width=0, hoverinfo="skip", name=f"{percent(result.level, 0)} interval",
        )  # fmt: skip
    figure.add_scatter(
        x=drawn.x_limits, y=[result.threshold] * 2, mode="lines", hoverinfo="skip",
        line={"color": GREY, "dash": "dot", "width": 1.6}, name=f"threshold {number(result.threshold, 2)}",
    )  # fmt: skip
    figure.add_scatter(
        x=drawn.x, y=drawn.y, mode="markers", marker={"color": SERIES[0], "size": 6, "opacity": 0.6}, name="pairs",
        hovertemplate="width %{x:.4g}<br>barrier %{y:.3g}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=drawn.within[0], y=drawn.within[1], mode="lines", line={"color": SERIES[1], "width": 2}, name="power law",
        hoverinfo="skip",
    )  # fmt: skip
    if drawn.beyond is not None:
        figure.add_scatter(
            x=drawn.beyond[0], y=drawn.beyond[1], mode="lines", hoverinfo="skip", name="extrapolated",
            line={"color": SERIES[1], "width": 2, "dash": "dash"},
        )  # fmt: skip
    if drawn.width is not None:
        figure.add_scatter(
            x=[drawn.width], y=[result.threshold], mode="markers", name="critical width",
            marker={"color": SERIES[1], "symbol": "diamond", "size": 11},
            hovertemplate=f"critical width {number(drawn.width)}<extra></extra>",
        )  # fmt: skip
    for update, limits in ((figure.update_xaxes, drawn.x_limits), (figure.update_yaxes, drawn.y_limits)):
        ticks = decades(*limits)
        update(
            type="log", range=[math.log10(limit) for limit in limits], tickvals=ticks,
            ticktext=[tick_text(v) for v in ticks],
        )  # fmt: skip
    figure.update_xaxes(title_text=f"width<br>{'; '.join(drawn.caption)}")
    _screen.upright_title(figure, "barrier")
    _screen.legend_below(figure, rows=2)
    figure.update_layout(margin_b=128)
    return figure


@draw.register(CriticalWidth)
def draw_critical_width(result: CriticalWidth, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_critical_width` draws for the screen.

    Args:
        result: The fit.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    drawn = _drawn(result)
    figure, axes = _paper.panel(axes, title, width=5.4, height=3.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    if drawn.band is not None:
        axes.axvspan(
            *drawn.band, color=SERIES[1], alpha=0.18, linewidth=0, label=f"{percent(result.level, 0)} interval"
        )
    label = f"threshold {number(result.threshold, 2)}"
    axes.axhline(result.threshold, color=GREY, linestyle=":", linewidth=1.3, label=label)
    axes.plot(drawn.x, drawn.y, "o", color=SERIES[0], markersize=3.5, alpha=0.6, markeredgewidth=0, label="pairs")
    axes.plot(*drawn.within, "-", color=SERIES[1], linewidth=1.6, label="power law")
    if drawn.beyond is not None:
        axes.plot(*drawn.beyond, "--", color=SERIES[1], linewidth=1.6, label="extrapolated")
    if drawn.width is not None:
        axes.plot([drawn.width], [result.threshold], "D", color=SERIES[1], markersize=6, label="critical width")
    for axis, limits in ((axes.xaxis, drawn.x_limits), (axes.yaxis, drawn.y_limits)):
        ticks = decades(*limits)
        axis.set_ticks(ticks, [tick_text(v) for v in ticks])
    axes.minorticks_off()
    axes.set_xlim(*drawn.x_limits)
    axes.set_ylim(*drawn.y_limits)
    _paper.quiet(axes, x="\n".join(["width", *drawn.caption]), y="barrier")
    _paper.legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _drawn(result: CriticalWidth) -> _Drawn:
    n = result.widths.double().cpu().numpy()
    table = result.barriers.double().cpu().numpy()
    rows, columns = np.nonzero(table > 0)
    x, y = n[rows], table[rows, columns]
    least, most = float(n.min()), float(n.max())
    near = result.width is not None and least / _FARTHEST <= result.width <= most * _FARTHEST
    width = result.width if near else None
    left, right = (least, most) if width is None else (min(least, width), max(most, width))
    left, right = left / 1.25, right * 1.25
    band = None
    if width is not None:
        # An end that is unbounded, or far away, leaves the band open at the edge of the figure.
        low = left if result.low is None else max(result.low, least / _FARTHEST)
        high = right if result.high is None else min(result.high, most * _FARTHEST)
        left, right = min(left, low / 1.1), max(right, high * 1.1)
        band = (left if result.low is None else low, right if result.high is None else high)
    grid = np.geomspace(least, most, 50)
    beyond = None
    if width is not None and result.extrapolated:
        there = np.geomspace(most, width, 20) if width > most else np.geomspace(width, least, 20)
        beyond = (there, np.array([result.barrier_at(v) for v in there]))
    values = np.concatenate([y, [result.threshold], [result.barrier_at(least), result.barrier_at(most)]])
    return _Drawn(
        x=x,
        y=y,
        within=(grid, np.array([result.barrier_at(v) for v in grid])),
        beyond=beyond,
        band=band,
        width=width,
        x_limits=(left, right),
        y_limits=(float(values.min()) / 1.4, float(values.max()) * 1.4),
        caption=_caption(result),
    )


def _caption(result: CriticalWidth) -> tuple[str, str]:
    # The line is drawn all the same, so that it must be said where the points refute it.
    refuted = f" (no power law, p = {number(result.lack_of_fit, 1)})" if result.bent and result.lack_of_fit else ""
    law = f"exponent α = {number(result.exponent, 2)}{refuted}"
    if result.width is None:
        found = "no critical width: barriers do not fall"
    else:
        # What is extrapolated is not known to five digits.
        width = float(f"{result.width:.2g}") if result.extrapolated else result.width
        found = f"critical width {number(width)}" + (", extrapolated" if result.extrapolated else "")
    dropped = f"; {result.dropped} of 0 or less not shown" if result.dropped else ""
    return law, f"{found}{dropped}"

"""Loss and metrics along a path, with the reference chord and the barrier."""

from dataclasses import dataclass

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES, series
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.paths._results import Barrier, PathScan
from thalweg.study._results import Connection


@dataclass(frozen=True)
class _Panel:
    label: str
    x: np.ndarray
    y: np.ndarray
    chord: tuple[float, float] | None
    rise: tuple[float, float, float] | None
    """α, the chord's height there, and the curve's: the barrier."""


@plot.register(PathScan)
def plot_path(result: PathScan, *, barrier: Barrier | None = None, title: str | None = None) -> ScreenFigure:
    """Draw the loss, and each metric beside it, against the position on the path.

    The dashed chord joins the ends; the barrier is the largest rise above it. A point whose loss is
    not finite is left out.

    Args:
        result: The path.
        barrier: To be marked.
        title: Above the figure.
    """
    panels = _panels(result, barrier)
    figure = _screen.screen(len(panels), title=title)
    for index, panel in enumerate(panels, start=1):
        where = {"row": 1, "col": index}
        if panel.chord is not None:
            figure.add_scatter(
                x=[0, 1], y=panel.chord, mode="lines", line={"color": GREY, "dash": "dash", "width": 1.4},
                hoverinfo="skip", name="chord between the ends", showlegend=index == 1, **where,
            )  # fmt: skip
        figure.add_scatter(
            x=panel.x, y=panel.y, mode="lines+markers", line={"color": _colour(index - 1), "width": 2},
            marker_size=6, showlegend=False, customdata=[number(float(v), 4) for v in panel.y],
            hovertemplate="α = %{x:.3g}<br>%{customdata}<extra></extra>", **where,
        )  # fmt: skip
        if panel.rise is not None and barrier is not None:
            at, low, high = panel.rise
            figure.add_scatter(
                x=[at, at], y=[low, high], mode="lines+markers", line={"color": SERIES[1], "width": 2},
                marker={"size": 11, "symbol": "line-ew", "line": {"color": SERIES[1], "width": 2}},
                hoverinfo="skip", name=f"barrier {number(barrier.linear)}", **where,
            )  # fmt: skip
        _screen.upright_title(figure, _screen.text(panel.label), index)
    start, end = (_screen.text(label) for label in result.labels)
    figure.update_xaxes(tickvals=[0, 0.5, 1], title_text="position α")
    figure.update_xaxes(title_text=f"position α<br>0: {start}<br>1: {end}", row=1, col=1)
    _screen.legend_below(figure)
    figure.update_layout(margin_b=124, height=400)
    return figure


@plot.register(Connection)
def plot_connection(result: Connection, *, title: str | None = None) -> ScreenFigure:
    """Draw the path with its barrier: see :func:`plot_path`.

    Args:
        result: The path and its barrier.
        title: Above the figure.
    """
    return plot_path(result.path, barrier=result.barrier, title=title)


@draw.register(PathScan)
def draw_path(
    result: PathScan, axes: Axes | None = None, *, barrier: Barrier | None = None, title: str | None = None
) -> PaperFigure:
    """Draw for paper what :func:`plot_path` draws for the screen; into given axes, the loss alone.

    Args:
        result: The path.
        axes: Where to draw; a new figure by default.
        barrier: To be marked.
        title: Above the figure.
    """
    panels = _panels(result, barrier)
    if axes is None:
        figure, places = _paper.paper(len(panels), title=title, width=4.2 * max(len(panels), 1), height=3.4)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for index, (panel, place) in enumerate(zip(panels, places, strict=False)):
        if panel.chord is not None:
            place.plot([0, 1], panel.chord, "--", color=GREY, linewidth=1.1, label="chord between the ends")
        place.plot(panel.x, panel.y, "o-", color=_colour(index), markersize=3.5, linewidth=1.5)
        if panel.rise is not None and barrier is not None:
            at, low, high = panel.rise
            place.plot(
                [at, at], [low, high], "_-", color=SERIES[1], linewidth=1.5, markersize=9, markeredgewidth=1.5,
                label=f"barrier {number(barrier.linear)}",
            )  # fmt: skip
        ends = "" if index else f"\n0: {_paper.text(result.labels[0], 40)}\n1: {_paper.text(result.labels[1], 40)}"
        _paper.quiet(place, x="position α" + ends, y=_paper.text(panel.label))
        if index == 0 and panel.chord is not None:
            low, high = place.get_ylim()
            place.set_ylim(low, high + 0.24 * (high - low))
            _paper.legend(place, loc="upper left", ncols=2)
    return figure


@draw.register(Connection)
def draw_connection(result: Connection, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_connection` draws for the screen.

    Args:
        result: The path and its barrier.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    return draw_path(result.path, axes, barrier=result.barrier, title=title)


def _colour(index: int) -> str:
    # The second series colour is the barrier's.
    return SERIES[0] if index == 0 else series(index + 1)


def _panels(result: PathScan, barrier: Barrier | None) -> list[_Panel]:
    x = result.position.double().cpu().numpy()
    panels: list[_Panel] = []
    for label, curve in {"loss": result.loss, **result.metrics}.items():
        y = curve.double().cpu().numpy().copy()
        y[~np.isfinite(y)] = np.nan
        chord = rise = None
        ends = [y[np.isclose(x, end)] for end in (0, 1)]
        if all(end.size == 1 and np.isfinite(end[0]) for end in ends):
            chord = (float(ends[0][0]), float(ends[1][0]))
            if barrier is not None and not panels and barrier.linear > 0:
                at = barrier.position
                low = (1 - at) * chord[0] + at * chord[1]
                rise = (at, low, low + barrier.linear)
        panels.append(_Panel(label, x, y, chord, rise))
    return panels

"""A way through parameter space: how far, how straight, how steep, and its shadow on two principal components."""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._extra import load
from thalweg.figures._numbers import number
from thalweg.figures._palette import DEPTH, GREY, SERIES, depth_scale
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures._trajectory_results import Trajectory

_WIDE = 30.0
_STEP = "point, t"


@dataclass(frozen=True)
class _Panel:
    label: str
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    """Horizontal and vertical coordinates by the curve's name."""
    x: str = _STEP
    ticks: list[float] | None = None
    """Of a logarithmic axis; ``None`` for a linear one."""
    level: float | None = None
    grey: tuple[str, ...] = field(default=())
    """Curves that are references."""


@plot.register(Trajectory)
def plot_trajectory(result: Trajectory, *, title: str | None = None) -> ScreenFigure:
    """Draw the points on the plane of their first two principal components, lengths, angles and shares of variance.

    The axes of the plane are distances in parameter space and of one scale, so that it is no distorted picture; each
    names its share of the variance: what the plane does not hold is not to be seen on it. Any path, a random walk too,
    looks curved on it: the walk's shares are drawn in grey beside those found.

    Args:
        result: The trajectory.
        title: Above the figure.
    """
    panels = _panels(result)
    plane, rows = result.coordinates is not None, -(-(len(panels) + (result.coordinates is not None)) // 2)
    height = 100 + 290 * rows
    figure = load("plotly.subplots").make_subplots(
        rows=rows, cols=2, horizontal_spacing=0.14, vertical_spacing=105 / (height - 100)
    )
    _screen.dressed(figure, title=title, height=height)
    if result.coordinates is not None:
        _plane_on_screen(figure, result, result.coordinates)
    for number_, panel in enumerate(panels, start=1 + plane):
        row, col = (number_ - 1) // 2 + 1, (number_ - 1) % 2 + 1
        for order, (name, (x, y)) in enumerate(panel.curves.items()):
            reference = name in panel.grey
            figure.add_scatter(
                x=x, y=y, mode="lines+markers" if len(x) <= 60 else "lines", name=name, row=row, col=col,
                showlegend=len(panel.curves) > 1, legend=f"legend{number_}", marker={"size": 5},
                line={"color": GREY if reference else SERIES[order], "width": 1.6 if reference else 2,
                      "dash": "dot" if reference else "dash" if order else "solid"},
                hovertemplate=f"{name}, %{{x}}: %{{y:.4g}}<extra></extra>",
            )  # fmt: skip
        if panel.level is not None:
            figure.add_hline(y=panel.level, line={"color": GREY, "width": 1.2, "dash": "dot"}, row=row, col=col)
        if panel.ticks is not None:
            figure.update_yaxes(
                type="log", tickvals=panel.ticks, ticktext=[tick_text(t) for t in panel.ticks], row=row, col=col
            )
        figure.update_xaxes(title_text=panel.x, nticks=6, row=row, col=col)
        _screen.upright_title(figure, panel.label, number_)
        if len(panel.curves) > 1:
            # On the title's line, at the other end of it.
            axis = "" if number_ == 1 else number_
            right, top = (figure.layout[f"{a}axis{axis}"].domain[1] for a in "xy")
            place = {"x": right, "y": top, "xanchor": "right", "yanchor": "bottom", "yref": "paper", "orientation": "h"}
            figure.update_layout({f"legend{number_}": {**place, "bgcolor": "rgba(0,0,0,0)"}})
    return figure


@draw.register(Trajectory)
def draw_trajectory(result: Trajectory, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_trajectory` draws for the screen; into given axes, the plane, or the distances.

    Args:
        result: The trajectory.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    panels, coordinates = _panels(result), result.coordinates
    count = len(panels) + (coordinates is not None)
    if axes is None:
        rows = -(-count // 2)
        figure, places = _paper.grid(rows, 2, title=title, width=8.0, height=2.6)
        for spare in places[count:]:
            spare.set_visible(False)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    if coordinates is not None:
        _plane_on_paper(places[0], result, coordinates)
    for place, panel in zip(places[coordinates is not None :], panels, strict=False):
        for order, (name, (x, y)) in enumerate(panel.curves.items()):
            reference = name in panel.grey
            place.plot(
                x, y, ":" if reference else "--" if order else "-", color=GREY if reference else SERIES[order],
                linewidth=1.4, marker="o" if len(x) <= 60 else None, markersize=2.5, label=name,
            )  # fmt: skip
        if panel.level is not None:
            place.axhline(panel.level, color=GREY, linestyle=":", linewidth=1)
        if panel.ticks is not None:
            place.set_yscale("log")
            place.set_yticks(panel.ticks, [tick_text(t) for t in panel.ticks])
        place.locator_params(axis="x", integer=True)
        _paper.quiet(place, x=panel.x, y=panel.label)
        if len(panel.curves) > 1:
            _paper.legend(place)
    return figure


def _plane_on_screen(figure: ScreenFigure, result: Trajectory, coordinates: Tensor) -> None:
    x, y = _shadow(coordinates)
    time = np.arange(len(x))
    figure.add_scatter(
        x=x, y=y, mode="lines", hoverinfo="skip", showlegend=False, line={"color": GREY, "width": 1.2}, row=1, col=1
    )
    figure.add_scatter(
        x=x, y=y, mode="markers", showlegend=False, customdata=time, row=1, col=1,
        hovertemplate="t = %{customdata}: %{x:.3g}, %{y:.3g}<extra></extra>",
        marker={"color": time, "colorscale": depth_scale(), "size": 7, "line": {"color": DEPTH[1], "width": 0.8}},
    )  # fmt: skip
    for index, word in ((0, "start"), (-1, "end")):
        # Away from the middle, where the path is.
        left = x[index] < 0
        figure.add_annotation(
            x=x[index], y=y[index], xref="x", yref="y", text=word, xshift=-7 if left else 7,
            xanchor="right" if left else "left",
        )  # fmt: skip
    first, second = _axes(result)
    figure.update_xaxes(title_text=first, row=1, col=1)
    figure.update_yaxes(scaleanchor="x", scaleratio=1, row=1, col=1)
    _screen.upright_title(figure, second)


def _plane_on_paper(place: Axes, result: Trajectory, coordinates: Tensor) -> None:
    x, y = _shadow(coordinates)
    colours = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", list(DEPTH))
    place.plot(x, y, color=GREY, linewidth=0.9, zorder=1)
    place.scatter(x, y, c=np.arange(len(x)), cmap=colours, s=16, edgecolors=DEPTH[1], linewidths=0.6, zorder=2)
    for index, word in ((0, "start"), (-1, "end")):
        left = x[index] < 0
        place.annotate(
            word, (x[index], y[index]), xytext=(-5 if left else 5, 0), textcoords="offset points", fontsize=8.5,
            ha="right" if left else "left", va="center",
        )  # fmt: skip
    place.margins(0.2)
    place.set_aspect("equal", adjustable="datalim")
    first, second = _axes(result)
    _paper.quiet(place, x=first, y=second)


def _axes(result: Trajectory) -> tuple[str, str]:
    shares = [] if result.explained is None else result.explained.double().tolist()
    names = [f"component {k + 1}, {_percent(share)} of variance" for k, share in enumerate(shares[:2])]
    return names[0], names[1] if len(names) > 1 else "component 2, nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if 0.1 <= share <= 0.99 else f"{number(100 * share, 2)} %"


def _shadow(coordinates: Tensor) -> tuple[np.ndarray, np.ndarray]:
    points = coordinates.double().cpu().numpy()
    return points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))


def _panels(result: Trajectory) -> list[_Panel]:
    distance = result.from_start.double().cpu().numpy()
    lengths = result.update_lengths.double().cpu().numpy()
    time = np.arange(len(distance))
    walked = np.concatenate([[0.0], np.cumsum(lengths)])
    panels = [_Panel("distance", {"from the start": (time, distance), "along the path": (time, walked)})]
    if result.gradient_norms is not None:
        norms = result.gradient_norms.double().cpu().numpy().copy()
        ticks = None
        if norms.min() > 0 and norms.max() > _WIDE * norms.min():
            ticks = decades(float(norms.min()), float(norms.max()))
        panels.append(_Panel("gradient norm", {"‖g‖": (time, norms)}, ticks=ticks))
    angles = {}
    if result.update_angles:
        angles["updates"] = (time[1:-1], _degrees(result.update_angles))
    if result.gradient_angles:
        angles["gradients"] = (time[1:], _degrees(result.gradient_angles))
    if angles:
        panels.append(_Panel("turn, degrees", angles, level=90.0))
    if result.explained is not None and result.null_explained is not None:
        found, null = (shares.double().cpu().numpy()[:10] for shares in (result.explained, result.null_explained))
        rank, walk = np.arange(1, len(found) + 1), "random walk"
        curves = {"this path": (rank, found), walk: (rank[: len(null)], null)}
        panels.append(_Panel("share of variance", curves, x="principal component", grey=(walk,)))
    return panels


def _degrees(angles: tuple[float | None, ...]) -> np.ndarray:
    return np.array([np.nan if angle is None else math.degrees(angle) for angle in angles])

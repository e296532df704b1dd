"""The loss over a plane: in three dimensions, and as contours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._extra import load
from thalweg.figures._numbers import number
from thalweg.figures._palette import DEPTH, INK, depth_scale
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._results import Surface

Kind = Literal["contour", "3d"]
_WIDE = 30.0


@dataclass(frozen=True)
class _Grid:
    """True distances, the loss, and its height as it is coloured: the loss itself or its logarithm."""

    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    height: np.ndarray
    limits: tuple[float, float]
    ticks: list[float]
    tick_text: list[str]
    label: str
    minimum: tuple[float, float, float]
    axes: tuple[str, str]
    equal: bool


@plot.register(Surface)
def plot_surface(
    result: Surface,
    *,
    kind: Kind = "contour",
    beside: Sequence[Surface] = (),
    title: str | None = None,
) -> ScreenFigure:
    """Draw the loss over a plane whose axes are true distances in parameter space.

    A cell whose loss is not finite is left blank. Where the loss is positive and its range is wide, height
    and colour follow its logarithm, and the ticks say so. The circle is the point that was measured, the
    cross the lowest cell.

    Args:
        result: The surface.
        kind: "contour" or "3d".
        beside: Further surfaces that the colour scale has to suit, so that their figures can be compared.
        title: Above the figure.
    """
    choice("kind", kind, ("contour", "3d"))
    go, grid = load("plotly.graph_objects"), _grid(result, beside)
    figure = _screen.dressed(go.Figure(), title=title, height=460)
    shared: dict[str, Any] = {
        "x": grid.x, "y": grid.y, "z": grid.height, "colorscale": depth_scale(),
        "customdata": np.array([[number(float(v), 4) for v in row] for row in grid.loss], dtype=object),
        "hovertemplate": "distance %{x:.3g}, %{y:.3g}<br>loss %{customdata}<extra></extra>",
        "colorbar": {"tickvals": grid.ticks, "ticktext": grid.tick_text,
                     "title": {"text": grid.label, "side": "top", "font": {"size": 12.5}},
                     "thickness": 10, "outlinewidth": 0, "len": 0.9, "x": 1.0, "xpad": 8},
    }  # fmt: skip
    first, second = (_screen.text(label) for label in (grid.axes if kind == "contour" else result.labels))
    if kind == "contour":
        _add_contours(figure, grid, shared)
        figure.update_xaxes(title_text=first, showgrid=False, constrain="domain")
        figure.update_yaxes(showgrid=False, constrain="domain")
        if grid.equal:
            figure.update_yaxes(scaleanchor="x", scaleratio=1)
        _screen.upright_title(figure, second)
        figure.update_layout(showlegend=False, margin_r=8)
    else:
        _add_relief(figure, grid, shared, (first, second))
    return figure


@draw.register(Surface)
def draw_surface(
    result: Surface,
    axes: Axes | None = None,
    *,
    kind: Kind = "contour",
    beside: Sequence[Surface] = (),
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_surface` draws for the screen; "3d" needs axes of that projection.

    Args:
        result: The surface.
        axes: Where to draw; a new figure by default.
        kind: "contour" or "3d".
        beside: Further surfaces that the colour scale has to suit, so that their figures can be compared.
        title: Above the figure.
    """
    choice("kind", kind, ("contour", "3d"))
    grid = _grid(result, beside)
    scale = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", DEPTH)
    options: dict[str, Any] = {"projection": "3d"} if kind == "3d" else {}
    figure, axes = _paper.panel(axes, title, width=4.6, height=4.0, **options)
    lowest, highest = grid.limits
    # In perspective there is room for the directions alone.
    first, second = (_paper.text(label) for label in (grid.axes if kind == "contour" else result.labels))
    if kind == "contour":
        levels = np.linspace(lowest, highest, 19)
        filled = axes.contourf(grid.x, grid.y, grid.height, levels=levels, cmap=scale, extend="both")
        axes.contour(grid.x, grid.y, grid.height, levels=levels[::2], colors="white", linewidths=0.4, alpha=0.5)
        axes.plot(0, 0, "o", markersize=9, markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.4)
        axes.plot(*grid.minimum[:2], "x", markersize=4.5, color="white", markeredgewidth=1.6)
        if grid.equal:
            axes.set_aspect("equal")
        _paper.quiet(axes, x=first, y=second, grid=None)
        bar = figure.colorbar(filled, ax=axes, ticks=grid.ticks, shrink=0.9)
        bar.ax.set_yticklabels(grid.tick_text, fontsize=8.5, color=INK["light"])
        bar.outline.set_visible(False)
        bar.ax.set_title(grid.label, fontsize=9.5, color=INK["light"], loc="left")
        return figure
    _raise_relief(axes, grid, scale, (first, second))
    return figure


def _raise_relief(axes: Any, grid: _Grid, scale: Any, labels: tuple[str, str]) -> None:
    lowest, highest = grid.limits
    x, y = np.meshgrid(grid.x, grid.y)
    colours = scale((np.clip(grid.height, lowest, highest) - lowest) / (highest - lowest))
    colours[~np.isfinite(grid.height)] = 0
    axes.plot_surface(
        x, y, grid.height, facecolors=colours, shade=False, rstride=1, cstride=1, linewidth=0.3, edgecolor="#ffffff55"
    )
    px, py, height = grid.minimum
    # Above the surface in drawing order, since matplotlib would sort the dot behind it.
    axes.plot([px], [py], [height], "o", markersize=4.5, markerfacecolor="white", markeredgecolor="#20262e", zorder=10)
    axes.set_zticks(grid.ticks, grid.tick_text, fontsize=8)
    axes.tick_params(labelsize=8, labelcolor=INK["light"], pad=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(load("matplotlib.ticker").MaxNLocator(4))
    axes.set_xlabel(labels[0], fontsize=9, color=INK["light"])
    axes.set_ylabel(labels[1], fontsize=9, color=INK["light"])
    axes.set_zlabel(grid.label, fontsize=9, color=INK["light"])
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color("#a8a59d")
    axes.view_init(elev=32, azim=-58)
    axes.set_box_aspect((1, 1, 0.72), zoom=0.82)


def _add_contours(figure: ScreenFigure, grid: _Grid, shared: dict[str, Any]) -> None:
    low, high = grid.limits
    figure.add_contour(
        **shared, zmin=low, zmax=high, contours={"start": low, "end": high, "size": (high - low) / 18},
        line={"width": 0.5, "color": "rgba(255,255,255,0.45)"}, connectgaps=False,
    )  # fmt: skip
    marks = [(0.0, 0.0, "circle-open", 15, "measured point"), (*grid.minimum[:2], "x-thin", 7, "lowest cell")]
    for x, y, symbol, size, name in marks:
        figure.add_scatter(
            x=[x], y=[y], mode="markers", hovertemplate=f"{name}<extra></extra>",
            marker={"symbol": symbol, "size": size, "color": "#ffffff", "line": {"color": "#ffffff", "width": 2}},
        )  # fmt: skip


def _add_relief(figure: ScreenFigure, grid: _Grid, shared: dict[str, Any], labels: tuple[str, str]) -> None:
    low, high = grid.limits
    figure.add_surface(
        **shared, cmin=low, cmax=high,
        contours={"z": {"show": True, "start": low, "end": high, "size": (high - low) / 18, "width": 1,
                        "color": "rgba(255,255,255,0.55)", "highlight": False}},
        lighting={"ambient": 0.82, "diffuse": 0.35, "specular": 0.04, "roughness": 0.9},
    )  # fmt: skip
    x, y, height = grid.minimum
    figure.add_scatter3d(
        x=[x], y=[y], z=[height], mode="markers", hovertemplate="lowest cell<extra></extra>", showlegend=False,
        marker={"symbol": "circle", "size": 4.5, "color": "#ffffff", "line": {"color": "#20262e", "width": 1}},
    )  # fmt: skip
    figure.update_layout(
        margin={"l": 0, "r": 8, "t": 8 if figure.layout.title.text is None else 56, "b": 0},
        scene={
            "xaxis": {"title": {"text": labels[0], "font": {"size": 12}}, "nticks": 6},
            "yaxis": {"title": {"text": labels[1], "font": {"size": 12}}, "nticks": 6},
            "zaxis": {"title": {"text": ""}, "tickvals": grid.ticks, "ticktext": grid.tick_text},
            "aspectmode": "manual", "aspectratio": {"x": 1, "y": 1, "z": 0.75},
            "camera": {"eye": {"x": 1.15, "y": -1.4, "z": 0.95}, "center": {"x": 0, "y": 0, "z": -0.14}},
        },
    )  # fmt: skip


def _grid(result: Surface, beside: Sequence[Surface]) -> _Grid:
    loss = result.loss.double().cpu().numpy().copy()
    finite = np.isfinite(loss)
    if not finite.any():
        raise ArgumentError("result: expected a surface with at least one finite loss, got none.")
    loss[~finite] = np.nan
    low, high = _limits([result, *beside])
    logarithmic = low > 0 and high / low > _WIDE
    height = np.log10(loss) if logarithmic else loss
    if logarithmic:
        values = decades(low, high, most=6)
        ticks, names, ends = np.log10(values).tolist(), [tick_text(v) for v in values], (np.log10(low), np.log10(high))
    else:
        ticker = load("matplotlib.ticker").MaxNLocator(6)
        ticks = [float(v) for v in ticker.tick_values(low, high) if low <= v <= high]
        names, ends = [tick_text(round(v, 12)) for v in ticks], (low, high)
    x, y = (axis.double().cpu().numpy() * norm for axis, norm in zip((result.x, result.y), result.norms, strict=True))
    row, column = np.unravel_index(np.nanargmin(loss), loss.shape)
    spans = sorted((float(np.ptp(x)), float(np.ptp(y))))
    return _Grid(
        x, y, loss, height, (float(ends[0]), float(ends[1])), ticks, names, "loss",
        (float(x[column]), float(y[row]), float(height[row, column])),
        (f"distance along {result.labels[0]}", f"distance along {result.labels[1]}"), spans[1] <= 3 * spans[0],
    )  # fmt: skip


def _limits(surfaces: Sequence[Surface]) -> tuple[float, float]:
    finite = [surface.loss[surface.loss.isfinite()].double() for surface in surfaces]
    finite = [losses for losses in finite if losses.numel()]
    low, high = min(float(losses.min()) for losses in finite), max(float(losses.max()) for losses in finite)
    return low, high if high > low else low + (abs(low) or 1.0)

"""The loss over a plane: in three dimensions, as contours, and as a heat map; with the quadratic model and a path."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._extra import load
from thalweg.figures._metric import with_metric
from thalweg.figures._numbers import number
from thalweg.figures._palette import DEPTH, INK, depth_scale
from thalweg.figures._surface_grid import Grid, Scale, grid_of, said_of_cells
from thalweg.figures._surface_path import Path, add_draped, add_path, draw_draped, draw_path_on, path_on
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._projection_results import Plane, Projection
from thalweg.surfaces._results import Surface

Kind = Literal["contour", "heat", "3d"]
_KINDS = ("contour", "heat", "3d")
_MODEL = "#f0a35e"


@plot.register(Surface)
def plot_surface(
    result: Surface,
    *,
    kind: Kind = "contour",
    path: Projection | Plane | None = None,
    scale: Scale = "auto",
    metric: str | None = None,
    beside: Sequence[Surface] = (),
    title: str | None = None,
) -> ScreenFigure:
    """Draw the loss over a plane whose axes are true distances in parameter space.

    A cell whose loss is not finite, or not known, is left blank; a line of text counts these, and what is interpolated.
    Where the loss is positive and its range is wide, height
    and colour follow its logarithm, and the ticks say so. The circle is the point that was measured, the
    cross the lowest cell that was measured. Dashed contours, at every third level, are those of the quadratic model, if
    the surface has it; in three dimensions it is a second surface, as far as the heights of the first go.

    A path is drawn with marks whose size says how far each point is off the plane, and a line of text with the share
    of its variance that the plane holds: where that is small, the colours around a point are not its loss.

    Args:
        result: The surface.
        kind: "contour", "heat" or "3d".
        path: A trajectory projected onto the surface's directions, or the plane through three points.
        scale: Of height and colour: "linear", "log", or "auto" by the range of the loss.
        metric: A metric of the surface to draw in the place of its loss, "accuracy" for instance.
        beside: Further surfaces that the colour scale has to suit, so that their figures can be compared.
        title: Above the figure.
    """
    choice("kind", kind, _KINDS)
    result, beside = with_metric(result, metric), [with_metric(other, metric) for other in beside]
    go, grid = load("plotly.graph_objects"), grid_of(result, beside, scale, metric or "loss")
    marks = path_on(path, result)
    figure = _screen.dressed(go.Figure(), title=title, height=460)
    shared: dict[str, Any] = {
        "x": grid.x, "y": grid.y, "z": grid.height, "colorscale": depth_scale(),
        "customdata": np.array([[number(float(v), 4) for v in row] for row in grid.loss], dtype=object),
        "hovertemplate": "distance %{x:.3g}, %{y:.3g}<br>" + _screen.text(grid.label) + " %{customdata}<extra></extra>",
        "colorbar": {"tickvals": grid.ticks, "ticktext": grid.tick_text,
                     "title": {"text": _screen.text(grid.label), "side": "top", "font": {"size": 12.5}},
                     "thickness": 10, "outlinewidth": 0, "len": 0.9, "x": 1.0, "xpad": 8},
    }  # fmt: skip
    first, second = (_screen.text(label) for label in (result.labels if kind == "3d" else grid.axes))
    model = None if result.quadratic is None else result.quadratic.double().cpu().numpy()
    notes = _notes(result, marks, None if model is None else kind)
    if kind == "3d":
        _add_relief(figure, grid, shared, (first, second))
        if model is not None:
            _add_raised_model(figure, grid, model)
        if marks is not None:
            add_draped(figure, marks, grid)
        _screen.notes_below(figure, notes)
        return figure
    _add_colours(figure, grid, shared, kind)
    if model is not None:
        _add_model(figure, grid, model)
    _add_marks(figure, grid, origin=marks is None or marks.joined)
    if marks is not None:
        add_path(figure, marks)
    figure.update_xaxes(title_text="<br>".join([first, *notes]), showgrid=False, constrain="domain")
    figure.update_yaxes(showgrid=False, constrain="domain")
    if grid.equal:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    _screen.upright_title(figure, second)
    figure.update_layout(showlegend=False, margin_r=8, height=460 + 18 * len(notes))
    return figure


@draw.register(Surface)
def draw_surface(
    result: Surface,
    axes: Axes | None = None,
    *,
    kind: Kind = "contour",
    path: Projection | Plane | None = None,
    scale: Scale = "auto",
    metric: str | None = None,
    beside: Sequence[Surface] = (),
    bar: bool = True,
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_surface` draws for the screen; "3d" needs axes of that projection.

    Args:
        result: The surface.
        axes: Where to draw; a new figure by default.
        kind: "contour", "heat" or "3d".
        path: A trajectory projected onto the surface's directions, or the plane through three points.
        scale: Of height and colour: "linear", "log", or "auto" by the range of the loss.
        metric: A metric of the surface to draw in the place of its loss, "accuracy" for instance.
        beside: Further surfaces that the colour scale has to suit, so that their figures can be compared.
        bar: Whether to draw the colour bar.
        title: Above the figure.
    """
    choice("kind", kind, _KINDS)
    result, beside = with_metric(result, metric), [with_metric(other, metric) for other in beside]
    grid, marks = grid_of(result, beside, scale, metric or "loss"), path_on(path, result)
    colours = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", DEPTH)
    options: dict[str, Any] = {"projection": "3d"} if kind == "3d" else {}
    figure, axes = _paper.panel(axes, title, width=4.6, height=4.0, **options)
    # In perspective there is room for the directions alone.
    first, second = (_paper.text(label) for label in (result.labels if kind == "3d" else grid.axes))
    model = None if result.quadratic is None else result.quadratic.double().cpu().numpy()
    notes = _notes(result, marks, None if model is None else kind)
    if kind == "3d":
        _raise_relief(axes, grid, colours, (first, second))
        if model is not None:
            _wire(axes, grid, model)
        if marks is not None:
            draw_draped(axes, marks, grid)
        if notes:
            axes.set_title(_paper.under("", notes).strip(), fontsize=8, color=INK["light"], y=-0.12)
        return figure
    filled = _fill(axes, grid, colours, kind)
    if model is not None:
        _model_lines(axes, grid, model)
    if marks is None or marks.joined:
        axes.plot(0, 0, "o", markersize=9, markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.4)
    axes.plot(*grid.minimum[:2], "x", markersize=4.5, color="white", markeredgewidth=1.6)
    if marks is not None:
        draw_path_on(axes, marks)
    if grid.equal:
        axes.set_aspect("equal")
    _paper.quiet(axes, x=_paper.under(first, notes), y=second, grid=None)
    if bar:
        _add_bar(figure, axes, grid, filled)
    return figure


def _add_bar(figure: PaperFigure, axes: Axes, grid: Grid, filled: Any) -> None:
    bar = figure.colorbar(filled, ax=axes, ticks=grid.ticks, shrink=0.9)
    bar.ax.set_yticklabels(grid.tick_text, fontsize=8.5, color=INK["light"])
    bar.outline.set_visible(False)
    bar.ax.set_title(grid.label, fontsize=9.5, color=INK["light"], loc="left" if len(grid.label) < 6 else "right")


def _notes(result: Surface, marks: Path | None, model: Kind | None) -> list[str]:
    cells = said_of_cells(result)
    drawn = "orange: the quadratic model" if model == "3d" else "dashed: the quadratic model, every third level"
    return [
        *([drawn] if model else []),
        *([cells] if cells else []),
        *(() if marks is None else marks.notes),
    ]


def _levels(grid: Grid) -> np.ndarray:
    return np.linspace(*grid.limits, 19)


def _fill(axes: Any, grid: Grid, colours: Any, kind: Kind) -> Any:
    lowest, highest = grid.limits
    if kind == "heat":
        return axes.pcolormesh(
            grid.x, grid.y, grid.height, cmap=colours, vmin=lowest, vmax=highest, shading="nearest", rasterized=True
        )
    levels = _levels(grid)
    filled = axes.contourf(grid.x, grid.y, grid.height, levels=levels, cmap=colours, extend="both")
    # Solid below zero too: logarithms are often negative, and dashes are the quadratic model's.
    axes.contour(
        grid.x, grid.y, grid.height, levels=levels[::2], colors="white", linewidths=0.4, alpha=0.5, linestyles="solid"
    )
    return filled


def _wire(axes: Any, grid: Grid, model: np.ndarray) -> None:
    axes.plot_wireframe(*np.meshgrid(grid.x, grid.y), _within(grid, model), color=_MODEL, linewidth=0.7, rcount=12)


def _within(grid: Grid, model: np.ndarray) -> np.ndarray:
    """Return the heights of the quadratic model as far as those of the surface go."""
    height, (low, high) = grid.raised(model), grid.limits
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where((height >= low) & (height <= high), height, np.nan))


def _add_raised_model(figure: ScreenFigure, grid: Grid, model: np.ndarray) -> None:
    figure.add_surface(
        x=grid.x, y=grid.y, z=_within(grid, model), showscale=False, opacity=0.55, hoverinfo="skip",
        colorscale=[[0, _MODEL], [1, _MODEL]], name="quadratic model",
    )  # fmt: skip


def _model_lines(axes: Any, grid: Grid, model: np.ndarray) -> None:
    height, levels = grid.raised(model), _levels(grid)[::3]
    if np.isfinite(height).any() and (levels >= np.nanmin(height)).any() and (levels <= np.nanmax(height)).any():
        axes.contour(grid.x, grid.y, height, levels=levels, colors=_MODEL, linewidths=1.1, linestyles="dashed")


def _raise_relief(axes: Any, grid: Grid, scale: Any, labels: tuple[str, str]) -> None:
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


def _add_colours(figure: ScreenFigure, grid: Grid, shared: dict[str, Any], kind: Kind) -> None:
    low, high = grid.limits
    if kind == "heat":
        figure.add_heatmap(**shared, zmin=low, zmax=high, zsmooth=False, connectgaps=False)
        return
    figure.add_contour(
        **shared, zmin=low, zmax=high, contours={"start": low, "end": high, "size": (high - low) / 18},
        line={"width": 0.5, "color": "rgba(255,255,255,0.45)"}, connectgaps=False,
    )  # fmt: skip


def _add_model(figure: ScreenFigure, grid: Grid, model: np.ndarray) -> None:
    low, high = grid.limits
    figure.add_contour(
        x=grid.x, y=grid.y, z=grid.raised(model), showscale=False, hoverinfo="skip", connectgaps=False,
        contours={"coloring": "none", "start": low, "end": high, "size": (high - low) / 6},
        line={"width": 1.6, "dash": "dash", "color": _MODEL}, name="quadratic model",
    )  # fmt: skip


def _add_marks(figure: ScreenFigure, grid: Grid, *, origin: bool) -> None:
    marks = [(0.0, 0.0, "circle-open", 15, "measured point")] if origin else []
    for x, y, symbol, size, name in [*marks, (*grid.minimum[:2], "x-thin", 7, "lowest cell")]:
        figure.add_scatter(
            x=[x], y=[y], mode="markers", hovertemplate=f"{name}<extra></extra>",
            marker={"symbol": symbol, "size": size, "color": "#ffffff", "line": {"color": "#ffffff", "width": 2}},
        )  # fmt: skip


def _add_relief(figure: ScreenFigure, grid: Grid, shared: dict[str, Any], labels: tuple[str, str]) -> None:
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

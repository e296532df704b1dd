"""How convex the landscape is over a plane, as a map."""

from typing import Any, Literal

import numpy as np
import torch

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._extra import load
from thalweg.figures._numbers import number
from thalweg.figures._palette import DEPTH, INK, SERIES, depth_scale
from thalweg.figures._surface_grid import Grid, Scale, grid_of
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._convexity_results import ConvexityMap
from thalweg.surfaces._results import Surface

Quantity = Literal["ratio", "smallest", "largest"]
_LABELS = {"ratio": "|λ_min/λ_max|", "smallest": "λ_min", "largest": "λ_max"}


@plot.register(ConvexityMap)
def plot_convexity(
    result: ConvexityMap, *, quantity: Quantity = "ratio", scale: Scale = "auto", title: str | None = None
) -> ScreenFigure:
    """Draw |λ_min/λ_max|, or one of the two, in the cells of the plane, with contours of the loss over it.

    A dot is a cell whose λ_min is not negative beyond its residual, a cross one that has not converged, whose values
    are bounds only; a cell that is not finite is blank.

    Args:
        result: The map.
        quantity: "ratio", "smallest" or "largest".
        scale: Of the colours: "linear", "log", or "auto" by their range.
        title: Above the figure.
    """
    grid, loss = _grids(result, quantity, scale)
    figure = _screen.dressed(load("plotly.graph_objects").Figure(), title=title, height=460)
    low, high = grid.limits
    figure.add_heatmap(
        x=grid.x, y=grid.y, z=grid.height, zmin=low, zmax=high, colorscale=depth_scale(),
        customdata=_hover(result), hovertemplate="distance %{x:.3g}, %{y:.3g}<br>%{customdata}<extra></extra>",
        colorbar={"tickvals": grid.ticks, "ticktext": grid.tick_text, "thickness": 10, "outlinewidth": 0, "len": 0.9,
                  "title": {"text": grid.label, "side": "top", "font": {"size": 12.5}}, "x": 1.0, "xpad": 8},
    )  # fmt: skip
    if loss is not None:
        bottom, top = loss.limits
        figure.add_contour(
            x=loss.x, y=loss.y, z=loss.height, showscale=False, hoverinfo="skip",
            contours={"coloring": "none", "start": bottom, "end": top, "size": (top - bottom) / 9},
            line={"width": 1.1, "color": "rgba(255,255,255,0.8)"},
        )  # fmt: skip
    for (rows, columns), symbol, size in _marks(result):
        figure.add_scatter(
            x=grid.x[columns], y=grid.y[rows], mode="markers", hoverinfo="skip",
            marker={"symbol": symbol, "size": size, "color": SERIES[1], "line": {"color": SERIES[1], "width": 1.6}},
        )  # fmt: skip
    first, second = (_screen.text(label) for label in grid.axes)
    notes = _notes(result, loss)
    figure.update_xaxes(title_text="<br>".join([first, *notes]), showgrid=False, constrain="domain")
    figure.update_yaxes(showgrid=False, constrain="domain")
    if grid.equal:
        figure.update_yaxes(scaleanchor="x", scaleratio=1)
    _screen.upright_title(figure, second)
    figure.update_layout(showlegend=False, margin_r=8, height=460 + 18 * len(notes))
    return figure


@draw.register(ConvexityMap)
def draw_convexity(
    result: ConvexityMap,
    axes: Axes | None = None,
    *,
    quantity: Quantity = "ratio",
    scale: Scale = "auto",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_convexity` draws for the screen.

    Args:
        result: The map.
        axes: Where to draw; a new figure by default.
        quantity: "ratio", "smallest" or "largest".
        scale: Of the colours: "linear", "log", or "auto" by their range.
        title: Above the figure.
    """
    grid, loss = _grids(result, quantity, scale)
    figure, axes = _paper.panel(axes, title, width=4.8, height=4.4)
    colours = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", DEPTH)
    low, high = grid.limits
    filled = axes.pcolormesh(
        grid.x, grid.y, grid.height, cmap=colours, vmin=low, vmax=high, shading="nearest", rasterized=True
    )
    if loss is not None:
        levels = np.linspace(*loss.limits, 10)
        axes.contour(loss.x, loss.y, loss.height, levels=levels, colors="white", linewidths=0.8, alpha=0.8)
    for (rows, columns), symbol, size in _marks(result):
        axes.plot(
            grid.x[columns], grid.y[rows], "." if symbol == "circle" else "x", color=SERIES[1], markersize=size,
            linestyle="none", markeredgewidth=1.2,
        )  # fmt: skip
    if grid.equal:
        axes.set_aspect("equal")
    first, second = (_paper.text(label) for label in grid.axes)
    _paper.quiet(axes, x=_paper.under(first, _notes(result, loss)), y=second, grid=None)
    bar = figure.colorbar(filled, ax=axes, ticks=grid.ticks)
    bar.ax.set_yticklabels(grid.tick_text, fontsize=8.5, color=INK["light"])
    bar.outline.set_visible(False)
    bar.ax.set_title(grid.label, fontsize=9.5, color=INK["light"], loc="left" if len(grid.label) < 6 else "right")
    return figure


def _grids(result: ConvexityMap, quantity: str, scale: Scale) -> tuple[Grid, Grid | None]:
    label = _LABELS[choice("quantity", quantity, tuple(_LABELS))]
    values = getattr(result, quantity) if quantity != "ratio" else _resolved(result)
    if not bool(values.isfinite().any()):
        raise ArgumentError(f"result: expected a map with at least one finite {label}, got none.")
    x, y, labels, norms = result.x, result.y, result.labels, result.norms
    grid = grid_of(Surface(x, y, values, labels=labels, norms=norms), scale=scale, label=label)
    varied = result.loss[result.loss.isfinite()]
    if len(varied) < 2 or float(varied.min()) == float(varied.max()):
        return grid, None
    return grid, grid_of(Surface(x, y, result.loss, labels=labels, norms=norms))


def _resolved(result: ConvexityMap) -> torch.Tensor:
    """Return the ratios, none of them below what the residual of λ_min leaves open: a zero has no logarithm."""
    floor = (result.smallest_residuals / result.largest).abs()
    ratio = result.ratio()
    return torch.where(floor.isfinite(), torch.maximum(ratio, floor), ratio)


def _marks(result: ConvexityMap) -> list[tuple[tuple[np.ndarray, np.ndarray], str, float]]:
    known = ~result.largest.isnan()
    marks = [(result.convex() & result.converged, "circle", 4.0), (known & ~result.converged, "x-thin", 6.0)]
    return [(np.nonzero(cells.cpu().numpy()), symbol, size) for cells, symbol, size in marks if bool(cells.any())]  # type: ignore[misc]  # two axes


def _notes(result: ConvexityMap, loss: Grid | None) -> list[str]:
    convex = int((result.convex() & result.converged).sum())
    words = [
        "lines: contours of the loss" if loss is not None else "",
        f"• convex within the residuals ({convex} of {result.largest.numel()})" if convex else "",
        f"× not converged ({result.unconverged})" if result.unconverged else "",
    ]
    shown = [word for word in words if word]
    return ["; ".join(shown)] if shown else []


def _hover(result: ConvexityMap) -> Any:
    def said(row: int, column: int) -> str:
        place = (row, column)
        lines = [
            f"{name} {number(float(values[place]), 4)} ± {number(float(errors[place]), 2)}"
            for name, values, errors in (
                ("λ_max", result.largest, result.largest_residuals),
                ("λ_min", result.smallest, result.smallest_residuals),
            )
        ]
        state = f"{int(result.products[place])} products" + ("" if bool(result.converged[place]) else ", not converged")
        return "<br>".join([*lines, f"loss {number(float(result.loss[place]), 4)}", state])

    rows, columns = torch.as_tensor(result.largest).shape
    return np.array([[said(row, column) for column in range(columns)] for row in range(rows)], dtype=object)

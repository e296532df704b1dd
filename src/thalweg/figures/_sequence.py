"""Surfaces or lines one after the other: an animation on the screen, small multiples on paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice
from thalweg.figures._extra import load
from thalweg.figures._line import draw_line, line_limits, plot_line
from thalweg.figures._palette import DEPTH, INK
from thalweg.figures._surface import Kind, draw_surface, plot_surface
from thalweg.figures._surface_grid import Scale, grid_of
from thalweg.figures._surface_path import same_directions
from thalweg.figures._types import PaperFigure, ScreenFigure
from thalweg.surfaces._results import Line, Surface

# More small multiples than these are too small.
_MOST = 12


def plot_sequence(
    results: Sequence[Surface] | Sequence[Line],
    labels: Sequence[str] | None = None,
    *,
    kind: Kind = "contour",
    scale: Scale = "auto",
    milliseconds: int = 400,
    title: str | None = None,
) -> ScreenFigure:
    """Animate surfaces or lines on one grid, over the epochs of a training run for instance.

    All frames have the same colours and axes, so that what changes is the loss. A slider chooses a frame, a button
    plays them.

    Args:
        results: Surfaces, or lines, of the same grid and directions.
        labels: Name of each frame; numbers by default.
        kind: "contour", "heat" or "3d", for surfaces.
        scale: "linear", "log", or "auto", which is linear for lines.
        milliseconds: Time of a frame.
        title: Above the figure.

    Raises:
        ArgumentError: If there are none, or they differ in kind or grid, or an argument is out of range.

    Example:
        >>> s = torch.linspace(-1, 1, 5, dtype=torch.float64)
        >>> figure = plot_sequence([Line(s, a * s**2) for a in (1, 2, 3)], ["epoch 0", "epoch 1", "epoch 2"])
        >>> [frame.name for frame in figure.frames]
        ['epoch 0', 'epoch 1', 'epoch 2']
    """
    found, names = _checked(results, labels, scale)
    if isinstance(milliseconds, bool) or milliseconds < 1:
        raise ArgumentError(f"milliseconds: expected at least 1, got {milliseconds}.")
    pictures = [_picture(one, found, kind, scale) for one in found]
    figure = pictures[0]
    frame = load("plotly.graph_objects").Frame
    figure.frames = [frame(data=one.data, name=name) for one, name in zip(pictures, names, strict=True)]
    if title is not None:
        figure.update_layout(title_text=_screen.text(title, 90), margin_t=76)
    play = {"frame": {"duration": milliseconds, "redraw": True}, "fromcurrent": True, "transition": {"duration": 0}}
    stop = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    button, below = {"method": "animate"}, 12 + (figure.layout.margin.b or 48)
    figure.update_layout(
        height=figure.layout.height + 96, margin_b=below + 96,
        updatemenus=[{
            "type": "buttons", "direction": "left", "x": 0, "xanchor": "left", "y": 0,
            "yanchor": "top", "pad": {"t": below + 26}, "showactive": False,
            "buttons": [
                {**button, "label": "▶", "args": [None, play]}, {**button, "label": "❚❚", "args": [[None], stop]},
            ],
        }],
        sliders=[{
            "x": 0.2, "len": 0.76, "y": 0, "yanchor": "top", "pad": {"t": below},
            "currentvalue": {"visible": True, "xanchor": "left", "font": {"size": 13}}, "ticklen": 3,
            "font": {"size": 10.5},
            "steps": [{**button, "label": _screen.text(name, 24), "args": [[name], stop]} for name in names],
        }],
    )  # fmt: skip
    return figure


def draw_sequence(
    results: Sequence[Surface] | Sequence[Line],
    labels: Sequence[str] | None = None,
    *,
    kind: Kind = "contour",
    scale: Scale = "auto",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_sequence` shows on the screen: small multiples, at most twelve of them.

    Of more, twelve at equal steps are taken, the first and the last among them.

    Args:
        results: Surfaces, or lines, of the same grid and directions.
        labels: Name of each panel; numbers by default.
        kind: "contour" or "heat", for surfaces; in three dimensions panels would be too small.
        scale: "linear", "log", or "auto", which is linear for lines.
        title: Above the figure.

    Raises:
        ArgumentError: As :func:`plot_sequence`, or if ``kind`` is "3d".

    Example:
        >>> s = torch.linspace(-1, 1, 5, dtype=torch.float64)
        >>> len(draw_sequence([Line(s, a * s**2) for a in (1, 2, 3)]).axes)
        3
    """
    found, names = _checked(results, labels, scale)
    choice("kind", kind, ("contour", "heat"))
    shown = np.unique(np.linspace(0, len(found) - 1, min(len(found), _MOST)).round().astype(int)).tolist()
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure, places = _paper.grid(rows, columns, title=title, width=2.5 * columns, height=2.5)
    for place in places[len(shown) :]:
        place.remove()
    for panel, index in enumerate(shown):
        one, axes = found[index], places[panel]
        if isinstance(one, Surface):
            draw_surface(one, axes, kind=kind, scale=scale, beside=_surfaces(found), bar=False)
        else:
            draw_line(one, axes, scale="log" if scale == "log" else "linear")
            axes.set_ylim(*line_limits(_lines(found), "log" if scale == "log" else "linear"))
        labels_of = _bare(axes, names[index])
        if not panel:
            figure.supxlabel(labels_of[0], fontsize=9.5, color=INK["light"])
            figure.supylabel(labels_of[1], fontsize=9.5, color=INK["light"])
    if isinstance(found[0], Surface):
        _shared_bar(figure, places[: len(shown)], _surfaces(found), scale)
    return figure


def _picture(one: Surface | Line, found: Sequence[Surface | Line], kind: Kind, scale: Scale) -> ScreenFigure:
    if isinstance(one, Surface):
        figure = plot_surface(one, kind=kind, scale=scale, beside=_surfaces(found))
        if kind == "3d":
            low, high = grid_of(one, _surfaces(found), scale).limits
            figure.update_layout(scene_zaxis_range=[low, high])
        return figure
    figure = plot_line(one, scale="log" if scale == "log" else "linear")
    low, high = line_limits(_lines(found), "log" if scale == "log" else "linear")
    figure.update_yaxes(range=[np.log10(low), np.log10(high)] if scale == "log" else [low, high])
    return figure


def _bare(axes: Any, name: str) -> tuple[str, str]:
    """Name a panel; take away and return what its axes say, which is said once for all."""
    across = str(axes.get_xlabel())
    up = " ".join(written.get_text() for written in axes.texts)
    axes.set_xlabel("")
    for written in list(axes.texts):
        written.remove()
    axes.set_title(_paper.text(name, 30), fontsize=9.5, color=INK["light"])
    return across, up


def _shared_bar(figure: PaperFigure, places: list[Any], found: Sequence[Surface], scale: Scale) -> None:
    grid = grid_of(found[0], found, scale)
    colours = load("matplotlib.colors")
    mapped = load("matplotlib.cm").ScalarMappable(
        colours.Normalize(*grid.limits), colours.LinearSegmentedColormap.from_list("depth", DEPTH)
    )
    bar = figure.colorbar(mapped, ax=places, ticks=grid.ticks, shrink=0.8, aspect=30)
    bar.ax.set_yticklabels(grid.tick_text, fontsize=8.5, color=INK["light"])
    bar.outline.set_visible(False)
    bar.ax.set_title(grid.label, fontsize=9.5, color=INK["light"], loc="left" if len(grid.label) < 6 else "right")


def _checked(
    results: Sequence[Surface] | Sequence[Line], labels: Sequence[str] | None, scale: Scale
) -> tuple[list[Surface | Line], list[str]]:
    if not isinstance(results, Sequence) or not results:
        raise ArgumentError("results: expected several surfaces, or several lines, got none.")
    choice("scale", scale, ("auto", "linear", "log"))
    found = list[Surface | Line](results)
    first = found[0]
    for place, one in enumerate(found):
        if not isinstance(one, (Surface, Line)) or type(one) is not type(first):
            raise ArgumentError(
                f"results: expected surfaces alone or lines alone, got {type(one).__name__} at {place} after "
                f"{type(first).__name__}."
            )
        if not _same_grid(one, first):
            raise ArgumentError(
                f"results: expected one grid, one scale and the same directions, but those of {place} differ from the "
                "first."
            )
    names = [str(index) for index in range(len(found))] if labels is None else list(labels)
    if len(names) != len(found) or len(set(names)) != len(names):
        raise ArgumentError(f"labels: expected {len(found)} different names, got {len(names)}.")
    return found, names


def _same_grid(one: Surface | Line, other: Surface | Line) -> bool:
    if isinstance(one, Surface) and isinstance(other, Surface):
        same = torch.equal(one.x, other.x) and torch.equal(one.y, other.y)
        return same and bool(np.allclose(one.norms, other.norms)) and same_directions(one, other)
    if isinstance(one, Line) and isinstance(other, Line):
        same = torch.equal(one.position, other.position) and bool(np.isclose(one.norm, other.norm))
        return same and (one.digests == other.digests or not (one.digests and other.digests))
    return False


def _surfaces(found: Sequence[Surface | Line]) -> list[Surface]:
    return [one for one in found if isinstance(one, Surface)]


def _lines(found: Sequence[Surface | Line]) -> list[Line]:
    return [one for one in found if isinstance(one, Line)]

"""A trajectory, or a few points, on the picture of a surface, and what the picture does not show of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._numbers import number
from thalweg.figures._palette import SERIES
from thalweg.figures._surface_grid import Grid
from thalweg.figures._types import ScreenFigure
from thalweg.surfaces._projection_results import Plane, Projection
from thalweg.surfaces._results import Surface

COLOUR, EDGE = SERIES[1], "#ffffff"
# Names stand on a plate of their own, since the colours under them reach from dark to light.
_PLATE = "rgba(20, 48, 90, 0.78)"
_PAPER_PLATE = {"facecolor": "#14305a", "alpha": 0.78, "edgecolor": "none", "pad": 1.8}
# Residuals below this share of the path's own extent have no size of their own.
_FLAT = 1e-6


@dataclass(frozen=True)
class Path:
    """Points in true distances, how large each is drawn, and what is said of them."""

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    hover: list[str]
    names: tuple[str, ...] | None
    notes: tuple[str, ...]

    @property
    def joined(self) -> bool:
        """Whether the points are one trajectory."""
        return self.names is None


def path_on(path: Projection | Plane | None, surface: Surface | None = None) -> Path | None:
    """Return what is drawn of a projection.

    Raises:
        ArgumentError: If it is not onto the two directions of the surface, or from another origin.
    """
    if path is None:
        return None
    if not isinstance(path, (Projection, Plane)):
        raise ArgumentError(f"path: expected a Projection or a Plane, got {type(path).__name__}.")
    seen = path.marks() if isinstance(path, Plane) else path
    if seen.coordinates.ndim != 2 or seen.coordinates.shape[1] != 2:
        raise ArgumentError(f"path: expected a projection onto two directions, got {len(seen.norms)}.")
    if surface is not None and not np.allclose(seen.norms, surface.norms, rtol=1e-5):
        raise ArgumentError(
            f"path: expected a projection onto the surface's own directions, of lengths {surface.norms}, got one onto "
            f"directions of lengths {seen.norms}."
        )
    if surface is not None:
        _require_own(seen, surface)
    x, y = (seen.coordinates.double().cpu().numpy() * np.array(seen.norms)).T
    off = seen.residuals.double().cpu().numpy()
    extent = max(float(np.ptp(x)), float(np.ptp(y)))
    flat = bool(off.max() <= _FLAT * extent)
    size = np.full(len(off), 0.25) if flat else off / off.max()
    notes = list[str]()
    if seen.names is None:
        notes.append(seen.summary())
        if not flat:
            notes.append("larger marks are further off the plane")
    hover = [_said(seen, index) for index in range(len(off))]
    return Path(x, y, size, hover, seen.names, tuple(notes))


def _require_own(seen: Projection, surface: Surface) -> None:
    if not same_directions(seen, surface):
        raise ArgumentError(
            f"path: expected a projection onto the surface's own directions, {' and '.join(surface.labels)}, got one "
            f"onto others: {' and '.join(seen.labels)}. Project the points onto these: project(points, directions, "
            "origin)."
        )
    if seen.origin is not None and surface.origin is not None and seen.origin != surface.origin:
        raise ArgumentError(
            "path: expected a projection with the origin of the surface, the θ that was scanned, got one with another. "
            "Give that landscape as origin= of project."
        )


def same_directions(one: Projection | Surface, other: Surface) -> bool:
    """Say whether two are over the same directions; by their names where that is all there is."""
    if one.digests and other.digests:
        return one.digests == other.digests
    unnamed = Surface.labels
    return unnamed in (one.labels, other.labels) or one.labels == other.labels


def _said(seen: Projection, index: int) -> str:
    name = f"point {index}" if seen.names is None else seen.names[index]
    lines = [_screen.text(name), f"off the plane by {number(float(seen.residuals[index]))}"]
    for label, losses in (("loss there", seen.loss), ("loss at its projection", seen.projected_loss)):
        if losses is not None:
            lines.append(f"{label} {number(float(losses[index]), 4)}")
    return "<br>".join(lines)


def add_path(figure: ScreenFigure, path: Path, **where: Any) -> None:
    """Draw the points over contours."""
    if path.joined:
        for colour, width in ((EDGE, 4), (COLOUR, 2)):
            figure.add_scatter(
                x=path.x, y=path.y, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip",
                showlegend=False, **where,
            )  # fmt: skip
    ends = ["circle"] * len(path.x)
    size = 6 + 9 * path.size
    if path.joined:
        ends[-1], size = "star", np.append(size[:-1], max(size[-1], 13))
    figure.add_scatter(
        x=path.x, y=path.y, mode="markers", customdata=path.hover, hovertemplate="%{customdata}<extra></extra>",
        showlegend=False, **where,
        marker={"symbol": ends, "size": size, "color": COLOUR, "opacity": 1, "line": {"color": EDGE, "width": 1.2}},
    )  # fmt: skip
    for name, x, y in zip(path.names or (), path.x, path.y, strict=False):
        figure.add_annotation(**_label(name), x=x, y=y, yshift=17, **where)


def _label(name: str) -> dict[str, Any]:
    return {"text": _screen.text(name), "bgcolor": _PLATE, "font": {"color": EDGE, "size": 12}, "showarrow": False}


def draw_path_on(axes: Any, path: Path) -> None:
    """Draw for paper what :func:`add_path` draws for the screen."""
    if path.joined:
        for colour, width in ((EDGE, 2.6), (COLOUR, 1.4)):
            axes.plot(path.x, path.y, "-", color=colour, linewidth=width, zorder=4)
    body = slice(None, -1) if path.joined else slice(None)
    axes.scatter(
        path.x[body], path.y[body], s=(4 + 6 * path.size[body]) ** 2, color=COLOUR, edgecolors=EDGE, linewidths=0.8,
        zorder=5,
    )  # fmt: skip
    if path.joined:
        axes.plot(path.x[-1:], path.y[-1:], "*", color=COLOUR, markersize=11, markeredgecolor=EDGE, zorder=6)
    for name, x, y in zip(path.names or (), path.x, path.y, strict=False):
        axes.annotate(
            _paper.text(name, 24), (x, y), xytext=(0, 8), textcoords="offset points", ha="center", color=EDGE,
            fontsize=8.5, zorder=6, bbox=_PAPER_PLATE,
        )  # fmt: skip


def draped(path: Path, grid: Grid, pieces: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the polyline laid onto the relief, a little above it; NaN where it leaves the grid."""
    share = np.linspace(0, 1, pieces, endpoint=False)
    x, y = (
        np.append((ends[:-1, None] + share * np.diff(ends)[:, None]).ravel(), ends[-1]) for ends in (path.x, path.y)
    )
    return x, y, grid.over(x, y) + lift(grid)


def lift(grid: Grid) -> float:
    """What a line is raised by, so that the relief does not swallow it."""
    return 0.012 * (grid.limits[1] - grid.limits[0])


def add_draped(figure: ScreenFigure, path: Path, grid: Grid) -> None:
    """Draw the points on the relief."""
    if path.joined:
        x, y, z = draped(path, grid)
        figure.add_scatter3d(
            x=x, y=y, z=z, mode="lines", line={"color": COLOUR, "width": 6}, hoverinfo="skip", showlegend=False
        )
    height = grid.over(path.x, path.y) + lift(grid)
    figure.add_scatter3d(
        x=path.x, y=path.y, z=height, mode="markers", customdata=path.hover,
        hovertemplate="%{customdata}<extra></extra>", showlegend=False,
        marker={"size": 6 + 5 * path.size, "color": COLOUR, "opacity": 1, "line": {"color": EDGE, "width": 1}},
    )  # fmt: skip
    # A point outside of the grid has no height to be named at.
    figure.update_layout(
        scene_annotations=[
            {**_label(name), "x": x, "y": y, "z": z, "yshift": 18}
            for name, x, y, z in zip(path.names or (), path.x, path.y, height, strict=False)
            if np.isfinite(z)
        ]
    )


def draw_draped(axes: Any, path: Path, grid: Grid) -> None:
    """Draw for paper what :func:`add_draped` draws for the screen."""
    if path.joined:
        axes.plot(*draped(path, grid), "-", color=COLOUR, linewidth=1.6, zorder=11)
    height = grid.over(path.x, path.y) + lift(grid)
    for x, y, z, size in zip(path.x, path.y, height, path.size, strict=True):
        if np.isfinite(z):
            axes.plot([x], [y], [z], "o", color=COLOUR, markersize=3 + 3 * size, markeredgecolor=EDGE, zorder=12)
    for name, x, y, z in zip(path.names or (), path.x, path.y, height, strict=False):
        if np.isfinite(z):
            axes.text(
                x, y, z + 7 * lift(grid), _paper.text(name, 24), fontsize=8.5, color=EDGE, zorder=13, ha="center",
                bbox=_PAPER_PLATE,
            )  # fmt: skip

"""A grid over several directions, as the surface over two of them."""

from collections.abc import Sequence
from typing import Any

from thalweg.errors import ArgumentError
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._surface import draw_surface, plot_surface
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._results import Grid, Surface


@plot.register(Grid)
def plot_grid(
    result: Grid, *, across: int = 0, up: int = 1, at: Sequence[int] | None = None, **options: Any
) -> ScreenFigure:
    """Draw the surface over two directions of a grid, the others held: ``result.section(across, up, at)``.

    Args:
        result: The grid, over two directions or more.
        across: Direction of x, counted from 0.
        up: Direction of y.
        at: An index along every axis; by default where the coefficient is closest to 0.
        **options: Of :func:`plot_surface`.

    Raises:
        ArgumentError: If the grid has one direction only.
    """
    return plot_surface(_section(result, across, up, at), **options)


@draw.register(Grid)
def draw_grid(
    result: Grid,
    axes: Axes | None = None,
    *,
    across: int = 0,
    up: int = 1,
    at: Sequence[int] | None = None,
    **options: Any,
) -> PaperFigure:
    """Draw for paper what :func:`plot_grid` draws for the screen.

    Args:
        result: The grid, over two directions or more.
        axes: Where to draw; a new figure by default.
        across: Direction of x, counted from 0.
        up: Direction of y.
        at: An index along every axis; by default where the coefficient is closest to 0.
        **options: Of :func:`draw_surface`.

    Raises:
        ArgumentError: If the grid has one direction only.
    """
    return draw_surface(_section(result, across, up, at), axes, **options)


def _section(result: Grid, across: int, up: int, at: Sequence[int] | None) -> Surface:
    if len(result.axes) < 2:
        raise ArgumentError("result: expected a grid over two directions or more; scan one by line_scan to draw it.")
    return result.section(across, up, at)

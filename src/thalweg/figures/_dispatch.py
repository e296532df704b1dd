"""The two functions that every result type adds its figure to."""

from functools import singledispatch
from typing import Any

from thalweg.errors import ArgumentError
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure


@singledispatch
def plot(result: Any, **options: Any) -> ScreenFigure:
    """Draw a result for the screen, with plotly.

    Which figure and which options: see the function of the result's type in ``thalweg.figures``.
    Every one takes ``title``. Names in the result are shown as they are; nothing in them is read as
    markup. The figure's colours suit a light page; for a dark one,
    ``figure.update_layout(template=thalweg.figures.template("dark"))``.

    Args:
        result: Eigenpairs, Convergence, Density, Spectrum, BlockSpectra, MatrixSpectra, BlockStructure, Measures,
            Trajectory, IntrinsicDimension, LearningCoefficient, PathScan, Connection, Line, Surface, Grid, History, a
            Measurement, or a tuple or list of Measurements.
        **options: Of the result's type.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        ArgumentError: If there is no figure for this type, or an option has a wrong value.
        MissingExtraError: If plotly is not installed.

    Example:
        >>> import torch
        >>> from thalweg.surfaces._results import Line
        >>> s = torch.linspace(-1, 1, 5, dtype=torch.float64)
        >>> figure = plot(Line(s, s**2, label="e₁"))
        >>> len(figure.data[0].x)
        5
    """
    del options
    raise ArgumentError(_message(result, plot.registry))


@singledispatch
def draw(result: Any, axes: Axes | None = None, **options: Any) -> PaperFigure:
    """Draw a result for paper, with matplotlib's object interface; pyplot is never touched.

    The same figures and options as :func:`plot`. :func:`save` writes the result.

    Args:
        result: As for :func:`plot`.
        axes: Draw into these axes; a result of several panels then shows its first one. ``None`` makes a
            figure of its own.
        **options: Of the result's type.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ArgumentError: If there is no figure for this type, or an option has a wrong value.
        MissingExtraError: If matplotlib is not installed.

    Example:
        >>> import torch
        >>> from thalweg.surfaces._results import Line
        >>> s = torch.linspace(-1, 1, 5, dtype=torch.float64)
        >>> figure = draw(Line(s, s**2, label="e₁"))
        >>> len(figure.axes)
        1
    """
    del axes, options
    raise ArgumentError(_message(result, draw.registry))


def choice(name: str, given: str, allowed: tuple[str, ...]) -> str:
    """Return an option that must be one of a few words.

    Raises:
        ArgumentError: If it is none of them.
    """
    if given not in allowed:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {given!r}.")
    return given


def _message(result: Any, registry: Any) -> str:
    known = sorted(kind.__name__ for kind in registry if kind is not object)
    return f"result: expected one of {', '.join(known)}, got {type(result).__name__}."

"""A spectrum: its two ends by rank, or its density with what stands out of it."""

from typing import Literal

from thalweg.figures._density import draw_density, plot_density
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._eigenpairs import Scale, draw_eigenpairs, plot_eigenpairs
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures import Spectrum

View = Literal["eigenvalues", "density"]


@plot.register(Spectrum)
def plot_spectrum(
    result: Spectrum, *, view: View = "eigenvalues", scale: Scale = "symlog", title: str | None = None
) -> ScreenFigure:
    """Draw the eigenvalues of both ends with their residual bounds, or the density with its outliers marked.

    Args:
        result: The spectrum.
        view: "eigenvalues" or "density".
        scale: Of the eigenvalues, "symlog" or "linear"; the density's axis is logarithmic.
        title: Above the figure.
    """
    choice("view", view, ("eigenvalues", "density"))
    if view == "density":
        return plot_density(result.density, outliers=result.top.values[: result.outliers or 0], title=title)
    return plot_eigenpairs(result.top, bottom=result.bottom, scale=scale, title=title)


@draw.register(Spectrum)
def draw_spectrum(
    result: Spectrum,
    axes: Axes | None = None,
    *,
    view: View = "eigenvalues",
    scale: Scale = "symlog",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_spectrum` draws for the screen.

    Args:
        result: The spectrum.
        axes: Where to draw; a new figure by default.
        view: "eigenvalues" or "density".
        scale: Of the eigenvalues, "symlog" or "linear"; the density's axis is logarithmic.
        title: Above the figure.
    """
    choice("view", view, ("eigenvalues", "density"))
    if view == "density":
        return draw_density(result.density, axes, outliers=result.top.values[: result.outliers or 0], title=title)
    return draw_eigenpairs(result.top, axes, bottom=result.bottom, scale=scale, title=title)

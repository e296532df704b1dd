"""A spectrum: its two ends by rank, its density with what stands out of it, or how it converged."""

from typing import Any, Literal

from thalweg.errors import ArgumentError
from thalweg.figures._convergence import draw_convergence, plot_convergence
from thalweg.figures._density import draw_density, plot_density
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._eigenpairs import Scale, draw_eigenpairs, plot_eigenpairs
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.krylov._convergence import Convergence
from thalweg.krylov._results import Eigenpairs
from thalweg.measures import Spectrum

View = Literal["eigenvalues", "density", "convergence"]
_VIEWS = ("eigenvalues", "density", "convergence")


@plot.register(Spectrum)
def plot_spectrum(
    result: Spectrum, *, view: View = "eigenvalues", scale: Scale = "symlog", title: str | None = None
) -> ScreenFigure:
    """Draw both ends with their residual bounds, the density with its outliers, or how the ends converged.

    Outliers are those beyond the bulk's edge, which is drawn, too; where no edge was found, those above the widest gap.

    Outliers are those beyond the bulk's edge, which is drawn, too; where no edge was found, those above the widest gap.

    Args:
        result: The spectrum.
        view: "eigenvalues", "density" or "convergence".
        scale: Of the eigenvalues, "symlog" or "linear"; the density's axis is logarithmic.
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    if view == "density":
        return plot_density(result.density, **_beyond(result), title=title)
    if view == "convergence":
        return plot_convergence(_history(result.top), bottom=_history(result.bottom), scale=scale, title=title)
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
        view: "eigenvalues", "density" or "convergence".
        scale: Of the eigenvalues, "symlog" or "linear"; the density's axis is logarithmic.
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    if view == "density":
        return draw_density(result.density, axes, **_beyond(result), title=title)
    if view == "convergence":
        return draw_convergence(_history(result.top), axes, bottom=_history(result.bottom), scale=scale, title=title)
    return draw_eigenpairs(result.top, axes, bottom=result.bottom, scale=scale, title=title)


def _beyond(result: Spectrum) -> dict[str, Any]:
    if result.edge is None:
        return {"outliers": result.top.values[: result.outliers or 0]}
    return {"outliers": result.top.values[: result.edge.outliers], "edge": result.edge.value}


def _history(pairs: Eigenpairs) -> Convergence:
    if pairs.history is None:
        raise ArgumentError("view: expected a spectrum whose history was kept, got one without.")
    return pairs.history

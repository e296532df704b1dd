"""Several spectra: their ends as strips, or their densities as small multiples, on one axis."""

from typing import Literal

from thalweg.figures._density_panels import draw_panels, plot_panels
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._strips import draw_strips, plot_strips
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures import BlockSpectra, MatrixSpectra

View = Literal["eigenvalues", "density"]
_VIEWS = ("eigenvalues", "density")


@plot.register(BlockSpectra)
@plot.register(MatrixSpectra)
def plot_spectra(
    result: BlockSpectra | MatrixSpectra, *, view: View = "eigenvalues", title: str | None = None
) -> ScreenFigure:
    """Draw several spectra on a common axis.

    "eigenvalues" is a strip a spectrum on an axis that is linear near zero and logarithmic away from it: the
    eigenvalues of both ends, open where they have not converged, a line from the smallest to the largest, and
    the mean of all eigenvalues, which is the trace by the size. "density" is a panel a spectrum, its eigenvalues of
    both ends marked below.

    Args:
        result: The spectra.
        view: "eigenvalues" or "density".
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    return (plot_strips if view == "eigenvalues" else plot_panels)(result.spectra, title)


@draw.register(BlockSpectra)
@draw.register(MatrixSpectra)
def draw_spectra(
    result: BlockSpectra | MatrixSpectra,
    axes: Axes | None = None,
    *,
    view: View = "eigenvalues",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_spectra` draws for the screen.

    Args:
        result: The spectra.
        axes: Where to draw; a new figure by default. Of densities these show the first.
        view: "eigenvalues" or "density".
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    return (draw_strips if view == "eigenvalues" else draw_panels)(result.spectra, axes, title)

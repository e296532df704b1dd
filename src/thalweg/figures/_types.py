"""Names for the types of packages that may not be installed."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as PaperFigure
    from plotly.graph_objects import Figure as ScreenFigure
else:
    Axes = PaperFigure = ScreenFigure = Any

__all__ = ["Axes", "PaperFigure", "ScreenFigure"]

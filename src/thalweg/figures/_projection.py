"""A trajectory in a plane, beside what the plane does not show of it."""

from typing import Any

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._palette import GREY, SERIES
from thalweg.figures._surface_path import add_path, draw_path_on, path_on
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._projection_results import Projection


@plot.register(Projection)
def plot_projection(result: Projection, *, title: str | None = None) -> ScreenFigure:
    """Draw the points in the plane, their distances from it, and the loss there against that of the projections.

    Args:
        result: The points, projected onto two directions.
        title: Above the figure.
    """
    path, curves = path_on(result), _curves(result)
    if path is None:
        raise ArgumentError("result: expected a projection.")
    figure = _screen.screen(1 + len(curves), title=title, height=400)
    add_path(figure, path, row=1, col=1)
    figure.update_xaxes(title_text=f"distance along {_screen.text(result.labels[0])}", row=1, col=1)
    figure.add_annotation(
        text="<br>".join(path.notes), x=0, xref="paper", xanchor="left", y=0, yref="paper", yanchor="top", yshift=-50,
        align="left",
    )  # fmt: skip
    _screen.upright_title(figure, f"distance along {_screen.text(result.labels[1])}")
    for index, (label, lines) in enumerate(curves, start=2):
        for name, values, colour, dash in lines:
            figure.add_scatter(
                x=np.arange(len(values)), y=values, mode="lines+markers", name=name, showlegend=len(lines) > 1,
                line={"color": colour, "width": 2, "dash": dash}, marker_size=5, row=1, col=index,
            )  # fmt: skip
        figure.update_xaxes(title_text="point", row=1, col=index)
        _screen.upright_title(figure, label, index)
    if any(len(lines) > 1 for _, lines in curves):
        _screen.legend_below(figure)
    figure.update_layout(margin_b=112 if path.notes else 90)
    return figure


@draw.register(Projection)
def draw_projection(result: Projection, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_projection` draws for the screen; into given axes, the plane alone.

    Args:
        result: The points, projected onto two directions.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    path, curves = path_on(result), _curves(result)
    if path is None:
        raise ArgumentError("result: expected a projection.")
    if axes is None:
        panels = 1 + len(curves)
        figure, places = _paper.paper(panels, title=title, width=4.0 * panels, height=3.6)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    draw_path_on(places[0], path)
    first, second = (f"distance along {_paper.text(label)}" for label in result.labels)
    _paper.quiet(places[0], x="\n".join([first, *path.notes]), y=second)
    for place, (label, lines) in zip(places[1:], curves, strict=False):
        for name, values, colour, dash in lines:
            place.plot(
                np.arange(len(values)), values, "o-" if dash == "solid" else "o--", color=colour, markersize=3,
                linewidth=1.4, label=name,
            )  # fmt: skip
        _paper.quiet(place, x="point", y=label)
        if len(lines) > 1:
            _paper.legend(place)
    return figure


def _curves(result: Projection) -> list[tuple[str, list[tuple[str, Any, str, str]]]]:
    def values(of: Any) -> np.ndarray:
        found = of.double().cpu().numpy().copy()
        found[~np.isfinite(found)] = np.nan
        return np.asarray(found)

    off = ("off the plane", values(result.residuals), SERIES[0], "solid")
    curves = [("distance from the plane", [off])]
    if result.loss is not None and result.projected_loss is not None:
        there = ("at the point", values(result.loss), SERIES[0], "solid")
        curves.append(("loss", [there, ("at its projection", values(result.projected_loss), GREY, "dash")]))
    return curves

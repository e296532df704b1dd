"""What all figures for the screen share: the template, axis conventions, and text that stays text."""

from collections.abc import Sequence
from typing import Any

from thalweg.figures._extra import load
from thalweg.figures._palette import AXIS, GRID, INK, SERIES, SURFACE, Mode
from thalweg.figures._types import ScreenFigure

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
LONGEST = 44


def text(name: str, longest: int = LONGEST) -> str:
    """Make a name safe for plotly, which reads some HTML in labels, and cut it where it would not fit.

    Example:
        >>> text("<b>A & B</b>")
        '&lt;b&gt;A &amp; B&lt;/b&gt;'
    """
    line = " ".join(name.split())
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def template(mode: Mode = "light") -> dict[str, Any]:
    """Return the plotly layout template for a light or a dark page; backgrounds are transparent.

    Args:
        mode: "light" or "dark".

    Example:
        >>> template("dark")["layout"]["paper_bgcolor"]
        'rgba(0,0,0,0)'
    """
    axis = {
        "gridcolor": GRID[mode],
        "linecolor": AXIS[mode],
        "zerolinecolor": AXIS[mode],
        "tickcolor": AXIS[mode],
        "automargin": True,
        "exponentformat": "power",
        "minexponent": 4,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "title": {"standoff": 10, "font": {"size": 13}},
        "zeroline": False,
    }
    spatial = {
        "backgroundcolor": "rgba(0,0,0,0)",
        "color": INK[mode],
        "exponentformat": "power",
        "gridcolor": GRID[mode],
        "linecolor": AXIS[mode],
        "showbackground": False,
        "zeroline": False,
    }
    return {
        "layout": {
            "annotationdefaults": {"font": {"color": INK[mode], "size": 12.5}, "showarrow": False},
            "colorway": list(SERIES),
            "font": {"color": INK[mode], "family": FONT, "size": 12.5},
            "hoverlabel": {
                "bgcolor": SURFACE[mode],
                "bordercolor": AXIS[mode],
                "font": {"color": INK[mode], "family": FONT, "size": 12.5},
            },
            "legend": {
                "bgcolor": "rgba(0,0,0,0)",
                "orientation": "h",
                "x": 0,
                "y": 0,
                "yanchor": "bottom",
                "yref": "container",
            },
            "margin": {"b": 48, "l": 56, "r": 16, "t": 40},
            "modebar": {"activecolor": INK[mode], "bgcolor": "rgba(0,0,0,0)", "color": AXIS[mode]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "scene": {"bgcolor": "rgba(0,0,0,0)", "xaxis": spatial, "yaxis": spatial, "zaxis": spatial},
            "shapedefaults": {"line": {"color": AXIS[mode], "width": 1}},
            "title": {"font": {"size": 16}, "x": 0, "xanchor": "left", "xref": "paper"},
            "xaxis": axis,
            "yaxis": axis,
        }
    }


def screen(panels: int = 1, *, title: str | None = None, height: int = 340) -> ScreenFigure:
    """Make an empty figure with panels side by side, each with axes of its own."""
    figure = load("plotly.subplots").make_subplots(rows=1, cols=panels, horizontal_spacing=0.16 if panels > 1 else 0)
    return dressed(figure, title=title, height=height)


def dressed(figure: ScreenFigure, *, title: str | None, height: int) -> ScreenFigure:
    """Set the template, the height, and the title if there is one."""
    # Assigned, because update_layout would merge it into plotly's default, which takes forty times as long.
    figure.layout.template = template()
    figure.layout.height = height
    if title is not None:
        figure.update_layout(title_text=text(title, 90), margin_t=76)
    return figure


def legend_below(figure: ScreenFigure, rows: int = 1) -> None:
    """Make room for the legend under the horizontal axis, where it collides with nothing on a narrow screen."""
    figure.update_layout(showlegend=True, margin_b=62 + 22 * rows)


def upright_title(figure: ScreenFigure, label: str, panel: int = 1, *, shift: int = -30) -> None:
    """Write what the vertical axis shows above its upper end, where it reads without turning the head."""
    suffix = "" if panel == 1 else str(panel)
    figure.add_annotation(
        text=label, x=0, xref=f"x{suffix} domain", xanchor="left", y=1, yref=f"y{suffix} domain", yanchor="bottom",
        yshift=5, xshift=shift,
    )  # fmt: skip


def notes_below(figure: ScreenFigure, notes: Sequence[str]) -> None:
    """Write lines under the whole figure, where it has no horizontal axis to write them at."""
    if notes:
        figure.add_annotation(
            text="<br>".join(text(note, 90) for note in notes), x=0, xref="paper", xanchor="left", y=0, yref="paper",
            yanchor="top", align="left",
        )  # fmt: skip
        figure.update_layout(margin_b=14 + 20 * len(notes))

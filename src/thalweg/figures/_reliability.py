"""The reliability diagram: how often came true what was predicted with which probability."""

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number, percent, thousands
from thalweg.figures._palette import GREY, SERIES
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.predict._connectivity_results import Reliability

_RANGE = (-0.03, 1.03)


@plot.register(Reliability)
def plot_reliability(result: Reliability, *, title: str | None = None) -> ScreenFigure:
    """Draw observed shares against predicted probabilities, with binomial intervals; calibrated is the diagonal.

    Args:
        result: The calibration table.
        title: Above the figure.
    """
    x, y, low, high, counts = _columns(result)
    figure = _screen.screen(title=title, height=460)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash", "width": 1.4}, hoverinfo="skip",
        name="calibrated",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=y, mode="lines+markers", marker_size=8, line={"color": SERIES[0], "width": 1.6},
        name=f"observed, with {percent(result.level, 0)} intervals",
        error_y={"array": high - y, "arrayminus": y - low, "symmetric": False, "thickness": 1.4, "width": 4},
        customdata=[thousands(int(count)) for count in counts],
        hovertemplate="predicted %{x:.3f}<br>observed %{y:.3f}<br>of %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text=f"predicted probability<br>{_summary(result)}", range=_RANGE, constrain="domain")
    figure.update_yaxes(range=_RANGE, scaleanchor="x", scaleratio=1, constrain="domain")
    _screen.upright_title(figure, "share that came true")
    _screen.legend_below(figure)
    figure.update_layout(margin_b=112)
    return figure


@draw.register(Reliability)
def draw_reliability(result: Reliability, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_reliability` draws for the screen.

    Args:
        result: The calibration table.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    x, y, low, high, _ = _columns(result)
    figure, axes = _paper.panel(axes, title, width=4.2, height=4.2)
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.1, label="calibrated")
    axes.errorbar(
        x, y, yerr=[y - low, high - y], fmt="o-", color=SERIES[0], markersize=4.5, linewidth=1.3, elinewidth=1,
        capsize=2.5, label=f"observed, with {percent(result.level, 0)} intervals",
    )  # fmt: skip
    axes.set_xlim(*_RANGE)
    axes.set_ylim(*_RANGE)
    axes.set_aspect("equal")
    _paper.quiet(axes, x=f"predicted probability\n{_summary(result)}", y="share that came true")
    _paper.legend(axes, loc="upper left")
    return figure


def _columns(result: Reliability) -> tuple[np.ndarray, ...]:
    columns = (result.predicted, result.observed, result.low, result.high, result.counts)
    return tuple(column.double().cpu().numpy() for column in columns)


def _summary(result: Reliability) -> str:
    skill = "" if result.skill is None else f", skill {number(result.skill, 2)}"
    return f"Brier score {number(result.brier, 2)}{skill}, {thousands(int(result.counts.sum()))} predictions"

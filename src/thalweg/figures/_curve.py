"""How the objective of a curve fell while it was trained."""

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import SERIES, faint
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.paths._curve_results import TrainedCurve

_WINDOW = 0.05
"""Share of the steps that the smooth line is a mean of."""


@plot.register(TrainedCurve)
def plot_trained_curve(result: TrainedCurve, *, title: str | None = None) -> ScreenFigure:
    """Draw the objective of every step, and its running mean.

    Args:
        result: The training.
        title: Above the figure.
    """
    steps, values, mean = _history(result)
    figure = _screen.screen(title=title)
    figure.add_scatter(
        x=steps, y=values, mode="lines", line={"color": faint(SERIES[0], 0.35), "width": 1}, name="each step",
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=steps, y=mean, mode="lines", line={"color": SERIES[0], "width": 2}, name="running mean",
        customdata=[number(float(v), 4) for v in mean],
        hovertemplate="step %{x}: %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="step")
    _screen.legend_below(figure)
    _screen.upright_title(figure, _screen.text(f"{result.objective} of the loss along the curve"))
    return figure


@draw.register(TrainedCurve)
def draw_trained_curve(result: TrainedCurve, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_trained_curve` draws for the screen.

    Args:
        result: The training.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    steps, values, mean = _history(result)
    figure, axes = _paper.panel(axes, title)
    axes.plot(steps, values, color=SERIES[0], alpha=0.3, linewidth=0.7, label="each step")
    axes.plot(steps, mean, color=SERIES[0], linewidth=1.5, label="running mean")
    _paper.quiet(axes, x="step", y=_paper.text(f"{result.objective} of the loss along the curve"))
    _paper.legend(axes)
    return figure


def _history(result: TrainedCurve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = result.history.double().cpu().numpy()
    width = max(1, round(_WINDOW * values.size))
    # A mean over fewer values at the ends, so that the line is as long as the history.
    count = np.convolve(np.ones_like(values), np.ones(width), mode="same")
    mean = np.convolve(values, np.ones(width), mode="same") / count
    return np.arange(1, values.size + 1), values, mean

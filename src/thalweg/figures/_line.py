"""The loss along a line, with the quadratic model beside it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._levels import is_wide
from thalweg.figures._metric import with_metric
from thalweg.figures._numbers import number
from thalweg.figures._palette import AXIS, GREY, SERIES
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._results import Line

Scale = Literal["auto", "linear", "log"]


@plot.register(Line)
def plot_line(
    result: Line, *, scale: Scale = "linear", metric: str | None = None, title: str | None = None
) -> ScreenFigure:
    """Draw the loss against the true distance along the direction, and the quadratic model if there is one.

    The vertical axis is that of the loss: where the model leaves it, it is cut. Where the loss is not finite the curve
    has a gap, and a cross under it.

    Args:
        result: The line.
        scale: "log" needs a loss that is positive throughout; "auto" takes it where the range is wide.
        metric: A metric of the line to draw in the place of its loss, "accuracy" for instance.
        title: Above the figure.
    """
    result, name = with_metric(result, metric), metric or "loss"
    scale = _scale(result, scale)
    x, loss, model, (low, high) = _curves(result, scale)
    figure = _screen.screen(title=title)
    if model is not None:
        figure.add_scatter(
            x=x, y=model, mode="lines", line={"color": GREY, "dash": "dash", "width": 1.6}, name="quadratic model",
            customdata=[number(float(v), 4) for v in model],
            hovertemplate="distance %{x:.3g}<br>model %{customdata}<extra></extra>",
        )  # fmt: skip
    gaps = _gaps(result, x)
    if gaps.size:
        figure.add_scatter(
            x=gaps, y=[np.nanmin(loss)] * gaps.size, mode="markers", name="not finite",
            marker={"symbol": "x-thin", "size": 8, "line": {"color": SERIES[0], "width": 2}},
            hovertemplate="distance %{x:.3g}<br>not finite<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=x, y=loss, mode="lines+markers", line={"color": SERIES[0], "width": 2}, marker_size=4,
        name=_screen.text(name), customdata=[number(float(v), 4) for v in loss],
        hovertemplate="distance %{x:.3g}<br>" + _screen.text(name) + " %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": AXIS["light"], "dash": "dot", "width": 1})
    figure.update_xaxes(title_text=f"distance along {_screen.text(result.label)}")
    if scale == "log":
        figure.update_yaxes(type="log", range=[np.log10(low), np.log10(high)])
    else:
        figure.update_yaxes(range=[low, high])
    if model is None and not gaps.size:
        figure.update_layout(showlegend=False)
    else:
        _screen.legend_below(figure)
    _screen.upright_title(figure, _screen.text(name))
    return figure


@draw.register(Line)
def draw_line(
    result: Line,
    axes: Axes | None = None,
    *,
    scale: Scale = "linear",
    metric: str | None = None,
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_line` draws for the screen.

    Args:
        result: The line.
        axes: Where to draw; a new figure by default.
        scale: "log" needs a loss that is positive throughout; "auto" takes it where the range is wide.
        metric: A metric of the line to draw in the place of its loss.
        title: Above the figure.
    """
    result, name = with_metric(result, metric), metric or "loss"
    scale = _scale(result, scale)
    x, loss, model, limits = _curves(result, scale)
    figure, axes = _paper.panel(axes, title)
    axes.axvline(0, color=AXIS["light"], linestyle=":", linewidth=0.9)
    if model is not None:
        axes.plot(x, model, "--", color=GREY, linewidth=1.2, label="quadratic model")
    gaps = _gaps(result, x)
    if gaps.size:
        axes.plot(gaps, [np.nanmin(loss)] * gaps.size, "x", color=SERIES[0], markersize=5, label="not finite")
    axes.plot(x, loss, "o-", color=SERIES[0], markersize=2.5, linewidth=1.5, label=_paper.text(name))
    axes.set_yscale(scale)
    axes.set_ylim(*limits)
    _paper.quiet(axes, x=f"distance along {_paper.text(result.label)}", y=_paper.text(name))
    if model is not None or gaps.size:
        _paper.legend(axes)
    return figure


def _curves(result: Line, scale: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[float, float]]:
    x = result.position.double().cpu().numpy() * result.norm
    loss = result.loss.double().cpu().numpy().copy()
    loss[~np.isfinite(loss)] = np.nan
    limits = line_limits([result], scale)
    model = None if result.quadratic is None else result.quadratic.double().cpu().numpy()
    return x, loss, model, limits


def _scale(result: Line, scale: Scale) -> Literal["linear", "log"]:
    choice("scale", scale, ("auto", "linear", "log"))
    if scale != "auto":
        return scale
    finite = result.loss[result.loss.isfinite()]
    return "log" if finite.numel() and is_wide(float(finite.min()), float(finite.max())) else "linear"


def _gaps(result: Line, x: np.ndarray) -> np.ndarray:
    """Return where the loss was measured and is not finite."""
    bad = ~result.loss.isfinite()
    bad = bad if result.measured is None else bad & result.measured
    return np.asarray(x[bad.cpu().numpy()])


def line_limits(results: Sequence[Line], scale: str) -> tuple[float, float]:
    """Return the ends of a vertical axis for the losses of all of them.

    Raises:
        ArgumentError: If none is finite, or one is not positive where a logarithm is asked for.
    """
    losses = np.concatenate([result.loss.double().cpu().numpy() for result in results])
    finite = losses[np.isfinite(losses)]
    if finite.size == 0:
        raise ArgumentError("result: expected a line with at least one finite loss, got none.")
    low, high = float(finite.min()), float(finite.max())
    if scale != "log":
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        return low - margin, high + margin
    if low <= 0:
        raise ArgumentError(f"scale: 'log' needs a positive loss, got {low:.4g} on the line; use 'linear'.")
    return low / 1.5, high * 1.5

"""A spectral density on a logarithmic axis, with its band over probes."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES, faint
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.krylov._results import Density

_EDGE = "edge of the bulk"


@dataclass(frozen=True)
class Curve:
    """What is drawn of a density: its mean and band over probes, cut off below what means something."""

    x: np.ndarray
    mean: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None
    floor: float
    top: float
    outliers: np.ndarray
    label: str


@plot.register(Density)
def plot_density(
    result: Density,
    *,
    outliers: Tensor | None = None,
    edge: float | None = None,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> ScreenFigure:
    """Draw a density with a logarithmic axis, so that single eigenvalues beside the bulk can be seen.

    Args:
        result: The density.
        outliers: Eigenvalues to mark on the axis.
        edge: Of the bulk, to mark by a line.
        limits: Of the horizontal axis, in units of the eigenvalues; those of the grid by default.
        title: Above the figure.
    """
    curve = curve_of(result, outliers)
    figure = _screen.screen(title=title)
    if curve.lower is not None and curve.upper is not None:
        figure.add_scatter(
            x=np.concatenate([curve.x, curve.x[::-1]]), y=np.concatenate([curve.upper, curve.lower[::-1]]),
            mode="lines", line_width=0, fill="toself", fillcolor=faint(SERIES[0]), hoverinfo="skip",
            name="± 1 standard error",
        )  # fmt: skip
    figure.add_scatter(
        x=curve.x, y=curve.mean, mode="lines", line={"color": SERIES[0], "width": 1.8}, name=curve.label,
        customdata=[number(float(value)) for value in curve.mean],
        hovertemplate="λ = %{x:.4g}<br>density %{customdata}<extra></extra>",
    )  # fmt: skip
    if curve.outliers.size:
        figure.add_scatter(
            x=curve.outliers, y=np.full(curve.outliers.size, curve.floor * 1.7), mode="markers",
            name=_outlier_label(curve.outliers.size),
            customdata=[number(float(value), 4) for value in curve.outliers],
            hovertemplate="outlier λ = %{customdata}<extra></extra>",
            marker={"color": SERIES[1], "size": 8, "symbol": "triangle-up"},
        )  # fmt: skip
    if edge is not None:
        figure.add_scatter(
            x=[edge, edge], y=[curve.floor, curve.top], mode="lines", name=_EDGE, line={"color": GREY, "dash": "dash"},
            hovertemplate=f"bulk's edge {number(edge, 4)}<extra></extra>",
        )  # fmt: skip
    ticks = decades(curve.floor, curve.top)
    figure.update_yaxes(
        type="log", range=[np.log10(curve.floor), np.log10(curve.top)], tickvals=ticks,
        ticktext=[tick_text(tick) for tick in ticks],
    )  # fmt: skip
    figure.update_xaxes(title_text="eigenvalue λ", range=limits or (float(curve.x[0]), float(curve.x[-1])))
    _screen.legend_below(figure)
    _screen.upright_title(figure, "density")
    return figure


@draw.register(Density)
def draw_density(
    result: Density,
    axes: Axes | None = None,
    *,
    outliers: Tensor | None = None,
    edge: float | None = None,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_density` draws for the screen.

    Args:
        result: The density.
        axes: Where to draw; a new figure by default.
        outliers: Eigenvalues to mark on the axis.
        edge: Of the bulk, to mark by a line.
        limits: Of the horizontal axis, in units of the eigenvalues; those of the grid by default.
        title: Above the figure.
    """
    curve = curve_of(result, outliers)
    figure, axes = _paper.panel(axes, title)
    if curve.lower is not None and curve.upper is not None:
        axes.fill_between(
            curve.x, curve.lower, curve.upper, color=SERIES[0], alpha=0.22, linewidth=0, label="± 1 standard error"
        )
    axes.plot(curve.x, curve.mean, color=SERIES[0], linewidth=1.3, label=curve.label)
    if curve.outliers.size:
        axes.plot(
            curve.outliers, np.full(curve.outliers.size, curve.floor * 1.7), "^", color=SERIES[1], markersize=5,
            linestyle="none", label=_outlier_label(curve.outliers.size),
        )  # fmt: skip
    if edge is not None:
        axes.axvline(edge, color=GREY, linestyle="--", linewidth=1, label=_EDGE)
    axes.set_yscale("log")
    axes.set_ylim(curve.floor, curve.top)
    axes.set_xlim(*(limits or (float(curve.x[0]), float(curve.x[-1]))))
    _paper.quiet(axes, x="eigenvalue λ", y="density")
    _paper.legend(axes, loc="best")
    return figure


def curve_of(result: Density, outliers: Tensor | None) -> Curve:
    """Read a density off its record."""
    x, mean = result.grid.double().cpu().numpy(), result.density.double().cpu().numpy()
    weights = result.weights.double().cpu().numpy()
    probes = len(weights)
    # The lowest height that still means something: a tenth of the lightest Ritz value's peak.
    peak = float(mean.max())
    lightest = float(weights[weights > 1e-12].min()) / (result.width * np.sqrt(2 * np.pi))
    floor = 10.0 ** np.floor(np.log10(max(0.1 * lightest, 1e-10 * peak)))
    lower = upper = None
    if result.standard_error is not None:
        error = result.standard_error.double().cpu().numpy()
        lower, upper = np.maximum(mean - error, floor / 10), np.maximum(mean + error, floor / 10)
    marked = np.empty(0) if outliers is None else outliers.double().cpu().numpy()
    label = "one probe" if probes == 1 else f"mean of {probes} probes"
    # Beyond the floor a logarithmic axis would run to the last bit of the Gaussian's tail.
    return Curve(x, np.maximum(mean, floor / 10), lower, upper, float(floor), 3 * peak, marked, label)


def _outlier_label(count: int) -> str:
    return f"{count} outlier{'s' if count > 1 else ''}"

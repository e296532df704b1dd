"""Eigenvalues by rank, with their residuals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._numbers import with_error
from thalweg.figures._palette import AXIS, SERIES, faint
from thalweg.figures._ticks import symlog, symlog_inverse, symlog_threshold, symlog_ticks, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.krylov._results import Eigenpairs

Scale = Literal["linear", "symlog"]
_GAP = 2
_RANKS = {"LM": "rank by magnitude", "SA": "rank from the smallest"}


@dataclass(frozen=True)
class _Points:
    """What is drawn: one entry an eigenvalue, those of the other end after a gap."""

    position: np.ndarray
    value: np.ndarray
    residual: np.ndarray
    converged: np.ndarray
    name: list[str]
    ticks: dict[int, str]
    threshold: float
    limits: tuple[float, float]


@plot.register(Eigenpairs)
def plot_eigenpairs(
    result: Eigenpairs,
    *,
    bottom: Eigenpairs | None = None,
    scale: Scale = "symlog",
    beside: Sequence[Eigenpairs] = (),
    title: str | None = None,
) -> ScreenFigure:
    """Draw eigenvalues by rank; bars are residual bounds, open circles have not converged.

    Args:
        result: Eigenvalues of one end.
        bottom: Those of the other end, drawn to the right after a gap, smallest last.
        scale: "symlog" is linear near zero and logarithmic away from it, on both sides of it.
        beside: Further results that the vertical axis has to suit, so that their figures can be compared.
        title: Above the figure.
    """
    choice("scale", scale, ("linear", "symlog"))
    points = _points(result, bottom, beside)

    def height(values: np.ndarray) -> np.ndarray:
        return symlog(values, points.threshold) if scale == "symlog" else values

    at = height(points.value)
    figure = _screen.screen(title=title)
    stems = [coordinate for y in at for coordinate in (0.0, y, None)]
    figure.add_scatter(
        x=np.repeat(points.position, 3), y=stems, mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": faint(SERIES[0], 0.35), "width": 2},
    )  # fmt: skip
    for done, label in ((True, "converged"), (False, "not converged")):
        chosen = points.converged == done
        if chosen.any():
            upper = height(points.value + points.residual) - at
            lower = at - height(points.value - points.residual)
            figure.add_scatter(
                x=points.position[chosen], y=at[chosen], mode="markers", name=label,
                customdata=[name for name, kept in zip(points.name, chosen, strict=True) if kept],
                hovertemplate="%{customdata}<extra></extra>",
                error_y={"type": "data", "symmetric": False, "array": upper[chosen], "arrayminus": lower[chosen],
                         "color": SERIES[0] if done else SERIES[1], "thickness": 1.4, "width": 4},
                marker={"color": SERIES[0] if done else SERIES[1], "size": 8,
                        "symbol": "circle" if done else "circle-open"},
            )  # fmt: skip
    low, high = height(np.asarray(points.limits))
    margin = 0.06 * float(high - low)
    figure.update_yaxes(range=[low - margin, high + margin], zeroline=True)
    if scale == "symlog":
        ticks = symlog_ticks(*points.limits, points.threshold)
        figure.update_yaxes(tickvals=height(np.asarray(ticks)), ticktext=[tick_text(tick) for tick in ticks])
    figure.update_xaxes(
        title_text=_RANKS.get(result.which, "rank"), showgrid=False,
        tickvals=list(points.ticks), ticktext=list(points.ticks.values()),
        range=[0.2, float(points.position.max()) + 0.8],
    )  # fmt: skip
    if not points.converged.all():
        _screen.legend_below(figure)
    else:
        figure.update_layout(showlegend=False)
    _screen.upright_title(figure, "eigenvalue")
    return figure


@draw.register(Eigenpairs)
def draw_eigenpairs(
    result: Eigenpairs,
    axes: Axes | None = None,
    *,
    bottom: Eigenpairs | None = None,
    scale: Scale = "symlog",
    beside: Sequence[Eigenpairs] = (),
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_eigenpairs` draws for the screen.

    Args:
        result: Eigenvalues of one end.
        axes: Where to draw; a new figure by default.
        bottom: Those of the other end, drawn to the right after a gap, smallest last.
        scale: "symlog" is linear near zero and logarithmic away from it, on both sides of it.
        beside: Further results that the vertical axis has to suit, so that their figures can be compared.
        title: Above the figure.
    """
    choice("scale", scale, ("linear", "symlog"))
    points = _points(result, bottom, beside)
    figure, axes = _paper.panel(axes, title)
    axes.vlines(points.position, 0, points.value, color=SERIES[0], alpha=0.35, linewidth=1.4)
    for done, label in ((True, "converged"), (False, "not converged")):
        chosen = points.converged == done
        if chosen.any():
            axes.errorbar(
                points.position[chosen], points.value[chosen], yerr=points.residual[chosen], fmt="o", markersize=4.5,
                color=SERIES[0] if done else SERIES[1], markerfacecolor=SERIES[0] if done else "white",
                elinewidth=1, capsize=2, label=label,
            )  # fmt: skip
    axes.axhline(0, color=AXIS["light"], linewidth=0.8)
    _paper.quiet(axes, x=_RANKS.get(result.which, "rank"), y="eigenvalue", grid="y")
    low, high = points.limits
    if scale == "symlog":
        threshold = points.threshold
        axes.set_yscale("function", functions=(lambda v: symlog(v, threshold), lambda u: symlog_inverse(u, threshold)))
        ticks = symlog_ticks(low, high, threshold)
        axes.set_yticks(ticks, [tick_text(tick) for tick in ticks])
        ends = symlog(np.asarray(points.limits), threshold)
        margin = 0.06 * (ends[1] - ends[0])
        low, high = symlog_inverse(np.array([ends[0] - margin, ends[1] + margin]), threshold)
    else:
        low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)
    axes.set_ylim(float(low), float(high))
    axes.set_xticks(list(points.ticks), list(points.ticks.values()))
    if not points.converged.all():
        _paper.legend(axes)
    return figure


def _points(result: Eigenpairs, bottom: Eigenpairs | None, beside: Sequence[Eigenpairs]) -> _Points:
    parts = [result] if bottom is None else [result, bottom]
    value = [part.values.double().cpu().numpy() for part in parts]
    residual = [part.residuals.double().cpu().numpy() for part in parts]
    converged = [part.converged.cpu().numpy().astype(bool) for part in parts]
    k = len(value[0])
    position = [np.arange(1, k + 1)]
    ranks = [str(rank) for rank in range(1, k + 1)]
    step = max(1, -(-k // 5))
    ticks = {rank: str(rank) for rank in range(1, k + 1) if rank == 1 or rank % step == 0}
    if bottom is not None:
        # The smallest come first in their own result, and stand last, where the rank is P.
        value[1], residual[1], converged[1] = value[1][::-1], residual[1][::-1], converged[1][::-1]
        m = len(value[1])
        position.append(np.arange(k + _GAP + 1, k + _GAP + m + 1))
        ranks += [_from_the_end(rank) for rank in range(m - 1, -1, -1)]
        ticks[k + _GAP + m] = "P"
        if m > 3:
            ticks[k + _GAP + 1] = _from_the_end(m - 1)
    values, residuals = np.concatenate(value), np.concatenate(residual)
    names = [
        f"rank {rank}: {with_error(float(v), float(r), 4)}" for rank, v, r in zip(ranks, values, residuals, strict=True)
    ]
    shown = np.concatenate([values, *(other.values.double().cpu().numpy() for other in beside)])
    return _Points(
        np.concatenate(position), values, residuals, np.concatenate(converged), names, ticks,
        symlog_threshold(shown), _limits([*parts, *beside]),
    )  # fmt: skip


def _from_the_end(steps: int) -> str:
    return "P" if steps == 0 else f"P−{steps}"


def _limits(results: Sequence[Eigenpairs]) -> tuple[float, float]:
    ends = [0.0]
    for result in results:
        values, residuals = result.values.double(), result.residuals.double()
        ends += [float((values - residuals).min()), float((values + residuals).max())]
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (-1.0, 1.0)

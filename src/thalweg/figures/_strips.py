"""Spectra as strips under one another: both ends, and the mean between them."""

from dataclasses import dataclass

import numpy as np
import torch

from thalweg.figures import _paper, _screen
from thalweg.figures._groups import with_size
from thalweg.figures._numbers import number, with_error
from thalweg.figures._palette import AXIS, INK, SERIES, faint
from thalweg.figures._ticks import symlog, symlog_inverse, symlog_threshold, symlog_ticks, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures import Spectrum

_MEAN = "mean of all eigenvalues"


@dataclass(frozen=True)
class _Strips:
    """A row a spectrum; of each eigenvalue the row, the value, its bound, and whether it has converged."""

    names: list[str]
    row: np.ndarray
    value: np.ndarray
    residual: np.ndarray
    converged: np.ndarray
    mean: np.ndarray
    threshold: float
    limits: tuple[float, float]


def plot_strips(spectra: dict[str, Spectrum], title: str | None) -> ScreenFigure:
    """Draw strips for the screen."""
    strips = _strips(spectra)
    count = len(strips.names)
    figure = _screen.screen(title=title, height=150 + (26 if count <= 20 else 17) * count)

    def at(values: np.ndarray) -> np.ndarray:
        return symlog(values, strips.threshold)

    lines, rows = list[float | None](), list[float | None]()
    for row in range(count):
        own = strips.value[strips.row == row]
        lines += [*at(np.array([own.min(), own.max()])).tolist(), None]
        rows += [row, row, None]
    figure.add_scatter(
        x=lines, y=rows, mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": faint(SERIES[0], 0.35), "width": 3},
    )  # fmt: skip
    for done, label in ((True, "eigenvalues of both ends"), (False, "not converged")):
        kept = strips.converged == done
        if kept.any():
            colour = SERIES[0] if done else SERIES[1]
            figure.add_scatter(
                x=at(strips.value[kept]), y=strips.row[kept], mode="markers", name=label,
                customdata=[
                    with_error(float(v), float(r), 4)
                    for v, r in zip(strips.value[kept], strips.residual[kept], strict=True)
                ],
                hovertemplate="λ = %{customdata}<extra></extra>",
                marker={"color": faint(colour, 0.75) if done else colour, "size": 7 if count <= 20 else 6,
                        "symbol": "circle" if done else "circle-open"},
            )  # fmt: skip
    figure.add_scatter(
        x=at(strips.mean), y=np.arange(count), mode="markers", name=_MEAN,
        customdata=[number(float(mean), 4) for mean in strips.mean],
        hovertemplate="mean λ = %{customdata}<extra></extra>",
        marker={"symbol": "line-ns", "size": 12 if count <= 20 else 9,
                "line": {"width": 2.5, "color": SERIES[1]}, "color": SERIES[1]},
    )  # fmt: skip
    ticks = symlog_ticks(*strips.limits, strips.threshold)
    low, high = at(np.asarray(strips.limits))
    margin = 0.04 * float(high - low)
    figure.update_xaxes(
        title_text="eigenvalue λ", tickvals=at(np.asarray(ticks)), ticktext=[tick_text(tick) for tick in ticks],
        range=[low - margin, high + margin], zeroline=True,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(count)), ticktext=[_screen.text(name) for name in strips.names],
        range=[count - 0.4, -0.6], showgrid=False, ticks="", tickfont={"size": 10} if count > 20 else {},
    )  # fmt: skip
    _screen.legend_below(figure)
    return figure


def draw_strips(spectra: dict[str, Spectrum], axes: Axes | None, title: str | None) -> PaperFigure:
    """Draw strips for paper."""
    strips = _strips(spectra)
    count = len(strips.names)
    height = min(1.5 + (0.26 if count <= 20 else 0.16) * count, 12.0)
    figure, axes = _paper.panel(axes, title, width=4.3 + 0.07 * max(map(len, strips.names)), height=height)
    for row in range(count):
        own = strips.value[strips.row == row]
        axes.plot([own.min(), own.max()], [row, row], color=SERIES[0], alpha=0.35, linewidth=2, solid_capstyle="butt")
    size = 4.0 if count <= 20 else 2.8
    for done, label in ((True, "eigenvalues of both ends"), (False, "not converged")):
        kept = strips.converged == done
        if kept.any():
            axes.plot(
                strips.value[kept], strips.row[kept], "o", markersize=size, color=SERIES[0] if done else SERIES[1],
                markerfacecolor=SERIES[0] if done else "white", alpha=0.8 if done else 1, linestyle="none", label=label,
                markeredgewidth=0 if done else 1,
            )  # fmt: skip
    axes.plot(
        strips.mean, np.arange(count), "|", markersize=2 * size, markeredgewidth=1.6, color=SERIES[1], label=_MEAN
    )
    threshold = strips.threshold
    axes.set_xscale("function", functions=(lambda v: symlog(v, threshold), lambda u: symlog_inverse(u, threshold)))
    ticks = symlog_ticks(*strips.limits, threshold, most=7)
    axes.set_xticks(ticks, [tick_text(tick) for tick in ticks])
    low, high = symlog(np.asarray(strips.limits), threshold)
    margin = 0.04 * (high - low)
    axes.set_xlim(*symlog_inverse(np.array([low - margin, high + margin]), threshold))
    axes.axvline(0, color=AXIS["light"], linewidth=0.8, zorder=0)
    _paper.quiet(axes, x="eigenvalue λ", grid="x")
    axes.set_yticks(
        range(count), [_paper.text(name) for name in strips.names], fontsize=8.5 if count <= 20 else 6.5,
        color=INK["light"],
    )  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(count - 0.4, -0.6)
    _paper.legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2, columnspacing=1.2)
    return figure


def _strips(spectra: dict[str, Spectrum]) -> _Strips:
    values, residuals, done, rows = [], [], [], []
    for row, one in enumerate(spectra.values()):
        bottom = max(0, min(len(one.bottom.values), one.size - len(one.top.values)))
        for pairs, count in ((one.top, len(one.top.values)), (one.bottom, bottom)):
            values.append(pairs.values[:count])
            residuals.append(pairs.residuals[:count])
            done.append(pairs.converged[:count])
            rows += [row] * count
    value = torch.cat(values).double().cpu().numpy()
    mean = np.array([one.trace.value / one.size for one in spectra.values()])
    low, high = min(0.0, float(value.min()), float(mean.min())), max(0.0, float(value.max()), float(mean.max()))
    return _Strips(
        names=[with_size(name, one.size) for name, one in spectra.items()],
        row=np.array(rows),
        value=value,
        residual=torch.cat(residuals).double().cpu().numpy(),
        converged=torch.cat(done).cpu().numpy().astype(bool),
        mean=mean,
        threshold=symlog_threshold(np.concatenate([value, mean])),
        limits=(low, high) if high > low else (-1.0, 1.0),
    )

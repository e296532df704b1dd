"""How Ritz values and their residuals came to rest."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES
from thalweg.figures._ticks import decades, symlog, symlog_inverse, symlog_threshold, symlog_ticks, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.krylov._convergence import Convergence

Scale = Literal["linear", "symlog"]
_PRODUCTS, _RITZ, _RESIDUAL = "products", "Ritz value", "residual"


@dataclass(frozen=True)
class _Curves:
    """One end of the spectrum: (n,) products, (n, k) values and residuals."""

    name: str
    colour: str
    products: np.ndarray
    values: np.ndarray
    residuals: np.ndarray


@plot.register(Convergence)
def plot_convergence(
    result: Convergence, *, bottom: Convergence | None = None, scale: Scale = "symlog", title: str | None = None
) -> ScreenFigure:
    """Draw Ritz values and their residual bounds against products; below the dashed line a pair has converged.

    Args:
        result: The history of some eigenpairs.
        bottom: That of the other end, which the same products belong to.
        scale: Of the values, "symlog" or "linear"; residuals have a logarithmic axis.
        title: Above the figure.
    """
    choice("scale", scale, ("linear", "symlog"))
    curves = _curves(result, bottom)
    threshold = symlog_threshold(np.concatenate([part.values[-1] for part in curves]))
    figure = _screen.screen(2, title=title, height=320)
    for part in curves:
        heights = symlog(part.values, threshold) if scale == "symlog" else part.values
        for column, shown in ((1, heights), (2, part.residuals)):
            for rank in range(part.values.shape[1]):
                figure.add_scatter(
                    x=part.products, y=shown[:, rank], mode="lines", name=part.name, legendgroup=part.name,
                    showlegend=column == 1 and rank == 0 and len(curves) > 1, opacity=0.75,
                    line={"color": part.colour, "width": 1.3}, hovertemplate="%{customdata}<extra></extra>",
                    customdata=_hover(part, rank),
                    row=1, col=column,
                )  # fmt: skip
    if scale == "symlog":
        ticks = symlog_ticks(*_limits(curves), threshold)
        figure.update_yaxes(
            tickvals=symlog(np.asarray(ticks), threshold), ticktext=[tick_text(t) for t in ticks], row=1, col=1
        )
    ticks = decades(*_range(curves, result.threshold))
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[tick_text(t) for t in ticks], row=1, col=2)
    figure.add_hline(
        y=result.threshold, line={"color": GREY, "width": 1.4, "dash": "dash"}, row=1, col=2,
        annotation={"text": "converged below", "font": {"color": GREY}}, annotation_position="bottom left",
    )  # fmt: skip
    _screen.upright_title(figure, _RITZ, 1)
    _screen.upright_title(figure, _RESIDUAL, 2)
    figure.update_xaxes(title_text=_PRODUCTS, nticks=6)
    if len(curves) > 1:
        _screen.legend_below(figure)
    else:
        figure.update_layout(showlegend=False)
    return figure


@draw.register(Convergence)
def draw_convergence(
    result: Convergence,
    axes: Axes | None = None,
    *,
    bottom: Convergence | None = None,
    scale: Scale = "symlog",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_convergence` draws for the screen; into given axes, the Ritz values alone.

    Args:
        result: The history of some eigenpairs.
        axes: Where to draw; a new figure by default.
        bottom: That of the other end, which the same products belong to.
        scale: Of the values, "symlog" or "linear"; residuals have a logarithmic axis.
        title: Above the figure.
    """
    choice("scale", scale, ("linear", "symlog"))
    curves = _curves(result, bottom)
    if axes is None:
        figure, places = _paper.paper(2, title=title, width=6.8, height=2.7)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for part in curves:
        for place, shown in zip(places, (part.values, part.residuals), strict=False):
            lines = place.plot(part.products, shown, color=part.colour, linewidth=1, alpha=0.75)
            lines[0].set_label(part.name)
    for place, label in zip(places, (_RITZ, _RESIDUAL), strict=False):
        place.locator_params(axis="x", integer=True)
        _paper.quiet(place, x=_PRODUCTS, y=label)
    if scale == "symlog":
        _symlog_axis(places[0], curves)
    for place in places[1:]:
        ticks = decades(*_range(curves, result.threshold))
        place.set_yscale("log")
        place.set_yticks(ticks, [tick_text(tick) for tick in ticks])
        place.minorticks_off()
        place.axhline(result.threshold, color=GREY, linewidth=1.2, linestyle="--")
    if len(curves) > 1:
        _paper.legend(places[0])
    return figure


def _hover(part: _Curves, rank: int) -> list[str]:
    rows = zip(part.products, part.values[:, rank], part.residuals[:, rank], strict=True)
    return [f"{n} products, {part.name} {rank + 1}: {number(float(v), 4)}, residual {r:.1e}" for n, v, r in rows]


def _symlog_axis(place: Axes, curves: list[_Curves]) -> None:
    threshold = symlog_threshold(np.concatenate([part.values[-1] for part in curves]))
    place.set_yscale("function", functions=(lambda v: symlog(v, threshold), lambda u: symlog_inverse(u, threshold)))
    ticks = symlog_ticks(*_limits(curves), threshold)
    place.set_yticks(ticks, [tick_text(tick) for tick in ticks])


def _curves(result: Convergence, bottom: Convergence | None) -> list[_Curves]:
    named = [("largest", result)] if bottom is None else [("largest", result), ("smallest", bottom)]
    if any(not part.values.numel() for _, part in named):
        raise ArgumentError("result: expected a history with Ritz values, got an empty one.")
    return [
        _Curves(name, SERIES[index], part.products.numpy(), part.values.numpy(), part.residuals.numpy())
        for index, (name, part) in enumerate(named)
    ]


def _limits(curves: list[_Curves]) -> tuple[float, float]:
    low = min(0.0, *(float(part.values.min()) for part in curves))
    high = max(0.0, *(float(part.values.max()) for part in curves))
    return (low, high) if high > low else (-1.0, 1.0)


def _range(curves: list[_Curves], threshold: float) -> tuple[float, float]:
    """The range of the residuals and the threshold, as far as a logarithm has one."""
    sizes = np.concatenate([np.array([threshold]), *(part.residuals.ravel() for part in curves)])
    sizes = sizes[sizes > 0]
    return (float(sizes.min()), float(sizes.max())) if sizes.size else (1e-3, 1.0)

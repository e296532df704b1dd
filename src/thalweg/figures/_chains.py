"""Chains around a point: what they visit, and what each says of the local learning coefficient."""

from dataclasses import dataclass

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number, with_error
from thalweg.figures._palette import GREY, faint, series
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures._learning_coefficient_results import LearningCoefficient

_DRAW, _CHAIN = "draw after burn-in", "chain"
_RISE, _VALUE = "L(w) − L(w*)", "λ̂ of each chain"
# More points than a screen has across say no more.
_MOST = 1500


@dataclass(frozen=True)
class _Chains:
    """(draws,) numbers from 1, (chains, draws) rises of the loss, (chains,) estimates, and what is amiss with each."""

    draws: np.ndarray
    rises: np.ndarray
    values: np.ndarray
    amiss: list[str]
    mean: str
    interval: tuple[float, float] | None


@plot.register(LearningCoefficient)
def plot_chains(result: LearningCoefficient, *, title: str | None = None) -> ScreenFigure:
    """Draw the loss along each chain, and λ̂ of each chain beside the mean of all with its 95 % interval.

    Chains that have mixed lie over one another and have no trend. An open diamond is a chain that left the
    neighbourhood or runs hot. The dotted line is P/2, the most that a minimum of an analytic loss can have; it is left
    out where it is far away.

    Args:
        result: The chains.
        title: Above the figure.
    """
    chains, estimate = _chains(result), result.value
    figure = _screen.screen(2, title=title, height=380)
    for index, rise in enumerate(chains.rises):
        figure.add_scatter(
            x=chains.draws, y=rise, mode="lines", name=f"chain {index}", showlegend=False, opacity=0.75,
            line={"color": series(index), "width": 1.2}, row=1, col=1,
            hovertemplate=f"chain {index}, draw %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    x = list(range(len(chains.values)))
    ends = [-0.6, len(x) - 0.4]
    figure.add_scatter(
        x=ends, y=[estimate] * 2, mode="lines", name=chains.mean, line={"color": GREY, "width": 1.6, "dash": "dash"},
        hoverinfo="skip", row=1, col=2,
    )  # fmt: skip
    if _near(result):
        figure.add_scatter(
            x=ends, y=[result.size / 2] * 2, mode="lines", name=f"P/2 = {result.size / 2:g}", hoverinfo="skip",
            line={"color": GREY, "width": 1.4, "dash": "dot"}, row=1, col=2,
        )  # fmt: skip
    figure.add_scatter(
        x=x, y=chains.values, mode="markers", showlegend=False, row=1, col=2,
        marker={"color": [series(i) for i in x], "size": 9,
                "line": {"width": 2, "color": [series(i) for i in x]},
                "symbol": ["diamond-open" if word else "circle" for word in chains.amiss]},
        customdata=chains.amiss, hovertemplate="chain %{x}: %{y:.4g}%{customdata}<extra></extra>",
    )  # fmt: skip
    if chains.interval is not None:
        # After the points: plotly leaves panels alone that are empty.
        low, high = chains.interval
        figure.add_hrect(y0=low, y1=high, fillcolor=faint(GREY, 0.2), line_width=0, layer="below", row=1, col=2)
    figure.update_xaxes(title_text=_DRAW, nticks=6, row=1, col=1)
    figure.update_xaxes(title_text=_CHAIN, dtick=max(1, len(x) // 10), range=ends, showgrid=False, row=1, col=2)
    _screen.upright_title(figure, _RISE)
    _screen.upright_title(figure, _VALUE, 2)
    _screen.legend_below(figure)
    return figure


@draw.register(LearningCoefficient)
def draw_chains(result: LearningCoefficient, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_chains` draws for the screen; into given axes, the losses alone.

    Args:
        result: The chains.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    chains = _chains(result)
    if axes is None:
        figure, places = _paper.paper(2, title=title, width=8.2, height=3.2)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for index, rise in enumerate(chains.rises):
        places[0].plot(chains.draws, rise, color=series(index), linewidth=0.8, alpha=0.8)
    _paper.quiet(places[0], x=_DRAW, y=_RISE)
    if len(places) > 1:
        place = places[1]
        if chains.interval is not None:
            place.axhspan(*chains.interval, color=GREY, alpha=0.18, linewidth=0)
        place.axhline(result.value, color=GREY, linestyle="--", linewidth=1.3, label=chains.mean)
        if _near(result):
            place.axhline(result.size / 2, color=GREY, linestyle=":", linewidth=1.3, label=f"P/2 = {result.size / 2:g}")
        for index, (value, word) in enumerate(zip(chains.values, chains.amiss, strict=True)):
            place.plot([index], [value], "D" if word else "o", color=series(index), markersize=6,
                       markerfacecolor="white" if word else series(index))  # fmt: skip
        place.locator_params(axis="x", integer=True)
        place.set_xlim(-0.6, len(chains.values) - 0.4)
        low, high = place.get_ylim()
        place.set_ylim(low, high + 0.22 * (high - low))
        _paper.quiet(place, x=_CHAIN, y=_VALUE, grid="y")
        _paper.legend(place, loc="upper left", ncols=2)
    return figure


def _near(result: LearningCoefficient) -> bool:
    """Whether P/2 can be shown without pressing the chains flat."""
    highest = float(result.chains.max())
    return result.size / 2 <= 3 * abs(highest)


def _chains(result: LearningCoefficient) -> _Chains:
    rises = result.losses.double().cpu().numpy()
    step = max(1, -(-rises.shape[1] // _MOST))
    rises = rises[:, ::step].copy()
    rises[~np.isfinite(rises)] = np.nan
    values = result.chains.double().cpu().numpy()
    amiss = [
        f"{', left the neighbourhood' if index in result.left else ''}{', hot' if index in result.hot else ''}"
        for index in range(len(values))
    ]
    error = result.estimate.standard_error
    said = with_error(result.value, error) if error is not None else number(result.value)
    return _Chains(
        draws=1 + step * np.arange(rises.shape[1]),
        rises=rises,
        values=values,
        amiss=amiss,
        mean=f"λ̂ = {said}",
        interval=result.estimate.interval(),
    )

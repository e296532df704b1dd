"""The loss along a minimum-energy path, with its images and its saddle."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.paths._minimum_energy_results import MinimumEnergyPath, PathSaddle


@dataclass(frozen=True)
class _Profile:
    x: np.ndarray
    loss: np.ndarray
    fine: tuple[np.ndarray, np.ndarray]
    """Between the images, without rising above them."""
    whole: np.ndarray
    across: np.ndarray
    saddle: tuple[float, float, str] | None


@plot.register(MinimumEnergyPath)
def plot_energy_path(
    result: MinimumEnergyPath, *, saddle: PathSaddle | None = None, title: str | None = None
) -> ScreenFigure:
    """Draw the loss of the images against the length along the path, and the gradient at each beside it.

    The curve between images is interpolated. On a minimum-energy path the part of the gradient across it vanishes; the
    whole gradient does at the ends and at the saddle.

    Args:
        result: The path.
        saddle: From :func:`thalweg.path_saddle`, to be marked.
        title: Above the figure.
    """
    profile = _profile(result, saddle)
    figure = _screen.screen(2, title=title, height=400)
    figure.add_scatter(
        x=profile.fine[0], y=profile.fine[1], mode="lines", line={"color": SERIES[0], "width": 2}, hoverinfo="skip",
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=profile.x, y=profile.loss, mode="markers", marker={"color": SERIES[0], "size": 7}, name="images",
        customdata=[[i, number(float(v), 5)] for i, v in enumerate(profile.loss)],
        hovertemplate="image %{customdata[0]}<br>length %{x:.3g}<br>loss %{customdata[1]}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    if profile.saddle is not None:
        at, height, name = profile.saddle
        figure.add_scatter(
            x=[at], y=[height], mode="markers", name=_screen.text(name),
            marker={"symbol": "diamond-open", "size": 15, "color": SERIES[1], "line": {"width": 2.2}},
            hovertemplate=f"loss {number(height, 5)}<extra></extra>", row=1, col=1,
        )  # fmt: skip
    for values, name, colour, symbol in (
        (profile.whole, "‖∇L‖", GREY, "circle-open"),
        (profile.across, "across the path", SERIES[2], "circle"),
    ):
        figure.add_scatter(
            x=profile.x, y=values, mode="lines+markers", name=name, line={"color": colour, "width": 1.6},
            marker={"symbol": symbol, "size": 6}, customdata=[number(float(v)) for v in values],
            hovertemplate="length %{x:.3g}<br>%{customdata}<extra>" + name + "</extra>", row=1, col=2,
        )  # fmt: skip
    start, end = (_screen.text(label, 30) for label in result.labels)
    figure.update_xaxes(title_text="length along the path")
    figure.update_xaxes(title_text=f"length along the path<br>from {start} to {end}", row=1, col=1)
    ticks = _ticks(profile)
    if ticks:
        figure.update_yaxes(type="log", tickvals=ticks, ticktext=[tick_text(v) for v in ticks], row=1, col=2)
    _screen.upright_title(figure, "loss")
    _screen.upright_title(figure, "gradient", 2)
    _screen.legend_below(figure)
    figure.update_layout(margin_b=112)
    return figure


@draw.register(MinimumEnergyPath)
def draw_energy_path(
    result: MinimumEnergyPath,
    axes: Axes | None = None,
    *,
    saddle: PathSaddle | None = None,
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_energy_path` draws for the screen; into given axes, the loss alone.

    Args:
        result: The path.
        axes: Where to draw; a new figure by default.
        saddle: From :func:`thalweg.path_saddle`, to be marked.
        title: Above the figure.
    """
    profile = _profile(result, saddle)
    beside = None
    if axes is None:
        figure, (axes, beside) = _paper.paper(2, title=title, width=8.4, height=3.4)
    else:
        figure, axes = _paper.panel(axes, title)
    axes.plot(*profile.fine, "-", color=SERIES[0], linewidth=1.5)
    axes.plot(profile.x, profile.loss, "o", color=SERIES[0], markersize=4, label="images")
    if profile.saddle is not None:
        at, height, name = profile.saddle
        axes.plot(
            [at], [height], "D", markersize=8, markerfacecolor="none", markeredgecolor=SERIES[1], markeredgewidth=1.6,
            label=_paper.text(name),
        )  # fmt: skip
    start, end = (_paper.text(label, 30) for label in result.labels)
    _paper.quiet(axes, x=f"length along the path\nfrom {start} to {end}", y="loss")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    _paper.legend(axes, loc="upper left", ncols=2)
    if beside is not None:
        beside.plot(profile.x, profile.whole, "o-", color=GREY, markersize=4, markerfacecolor="none", label="‖∇L‖")
        beside.plot(profile.x, profile.across, "o-", color=SERIES[2], markersize=3.5, label="across the path")
        ticks = _ticks(profile)
        if ticks:
            beside.set_yscale("log")
            beside.set_yticks(ticks, [tick_text(v) for v in ticks])
            beside.minorticks_off()
            low, high = beside.get_ylim()
            beside.set_ylim(low, high * (high / low) ** 0.2)
        beside.set_xlim(axes.get_xlim())
        _paper.quiet(beside, x="length along the path", y="gradient")
        _paper.legend(beside, loc="upper left", ncols=2)
    return figure


def _profile(result: MinimumEnergyPath, saddle: PathSaddle | None) -> _Profile:
    x, loss = (values.double().cpu().numpy() for values in (result.distance, result.loss))
    fine = np.linspace(x[0], x[-1], 20 * len(x))
    whole, across = (v.double().cpu().numpy().copy() for v in (result.gradient_norms, result.perpendicular_norms))
    for values in (whole, across):
        # Rounding to exactly 0 has no place on a logarithmic axis.
        values[~(values > 0)] = np.nan
    mark, at, height = None, x, loss
    if saddle is not None and saddle.critical is not None and saddle.along is not None and saddle.reached:
        index = saddle.critical.index if saddle.critical.index_exact else f"at least {saddle.critical.index}"
        mark = (saddle.along, saddle.critical.loss, f"critical point of index {index}")
        if saddle.on_path and not np.isclose(x, saddle.along, atol=1e-3 * x[-1]).any():
            where = int(np.searchsorted(x, saddle.along))
            at, height = np.insert(x, where, saddle.along), np.insert(loss, where, saddle.critical.loss)
    return _Profile(x, loss, (fine, PchipInterpolator(at, height)(fine)), whole, across, mark)


def _ticks(profile: _Profile) -> list[float]:
    values = np.concatenate([profile.whole, profile.across])
    values = values[np.isfinite(values)]
    return decades(float(values.min()), float(values.max())) if len(values) else []

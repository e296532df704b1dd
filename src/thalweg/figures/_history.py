"""Training curves."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import SERIES
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.training._results import History

_WIDE = 30.0


@dataclass(frozen=True)
class _Panel:
    label: str
    curves: dict[str, np.ndarray]
    ticks: list[float] | None
    """Of a logarithmic axis; ``None`` for a linear one."""


@plot.register(History)
def plot_history(result: History, *, title: str | None = None) -> ScreenFigure:
    """Draw loss and accuracy against the epoch, on training and test data.

    The loss has a logarithmic axis where its range is wide.

    Args:
        result: The history.
        title: Above the figure.
    """
    panels, epoch = _panels(result), result.epoch.double().cpu().numpy()
    figure = _screen.screen(len(panels), title=title, height=320)
    for index, panel in enumerate(panels, start=1):
        for order, (name, values) in enumerate(panel.curves.items()):
            figure.add_scatter(
                x=epoch, y=values, mode="lines", name=name, legendgroup=name, showlegend=index == 1,
                line={"color": SERIES[order], "width": 2, "dash": "solid" if order == 0 else "dash"},
                customdata=[f"{name} {number(float(v), 4)}" for v in values],
                hovertemplate="epoch %{x}: %{customdata}<extra></extra>", row=1, col=index,
            )  # fmt: skip
        if panel.ticks is not None:
            figure.update_yaxes(
                type="log", tickvals=panel.ticks, ticktext=[tick_text(t) for t in panel.ticks], row=1, col=index
            )
        _screen.upright_title(figure, panel.label, index)
    figure.update_xaxes(title_text="epoch", nticks=6)
    _screen.legend_below(figure)
    return figure


@draw.register(History)
def draw_history(result: History, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_history` draws for the screen; into given axes, the loss alone.

    Args:
        result: The history.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    panels, epoch = _panels(result), result.epoch.double().cpu().numpy()
    if axes is None:
        figure, places = _paper.paper(len(panels), title=title, width=3.4 * len(panels), height=2.7)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for panel, place in zip(panels, places, strict=False):
        for order, (name, values) in enumerate(panel.curves.items()):
            place.plot(epoch, values, "-" if order == 0 else "--", color=SERIES[order], linewidth=1.5, label=name)
        if panel.ticks is not None:
            place.set_yscale("log")
            place.set_yticks(panel.ticks, [tick_text(t) for t in panel.ticks])
        place.locator_params(axis="x", integer=True)
        _paper.quiet(place, x="epoch", y=panel.label)
        _paper.legend(place)
    return figure


def _panels(result: History) -> list[_Panel]:
    pairs = [
        ("loss", result.train_loss, result.test_loss),
        ("accuracy", result.train_accuracy, result.test_accuracy),
    ]
    panels = []
    for label, train, test in pairs:
        given = {name: _finite(curve) for name, curve in (("train", train), ("test", test)) if curve is not None}
        if not given:
            continue
        ticks = None
        values = np.concatenate([curve[np.isfinite(curve)] for curve in given.values()])
        if label == "loss" and values.size and values.min() > 0 and values.max() > _WIDE * values.min():
            ticks = decades(float(values.min()), float(values.max()))
        panels.append(_Panel(label, given, ticks))
    return panels


def _finite(curve: Tensor) -> np.ndarray:
    values = curve.double().cpu().numpy().copy()
    values[~np.isfinite(values)] = np.nan
    return np.asarray(values)

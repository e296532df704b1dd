"""A table of quantities, each with its value and how certain it is."""

import math
from dataclasses import dataclass, replace

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import with_error
from thalweg.figures._palette import GREY, INK, SERIES
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures._measure_results import Measures, Quantity

_X = "95 % interval around the value, %"
# Beyond that an interval only says that little is known.
_FAR = 100.0
# Inches of paper around the rows, and for each.
_EDGE, _LINE = 0.9, 0.21
# Up to this, whole numbers are counts.
_COUNT = 1e6
_STYLES = {
    "exact": (SERIES[2], "square", "s"),
    "estimate": (SERIES[0], "circle", "o"),
    "bounds": (SERIES[1], "diamond", "D"),
    "lower bound": (SERIES[3], "triangle-right", ">"),
}


@dataclass(frozen=True)
class _Row:
    """One quantity: the ends of its interval in percent of the value, ``None`` where it has no value."""

    name: str
    value: str
    kind: str
    low: float | None
    high: float | None
    open: tuple[bool, bool] = (False, False)
    """Whether the ends lie farther away than is shown."""


@plot.register(Measures)
def plot_quantities(result: Measures, *, title: str | None = None) -> ScreenFigure:
    """Draw each quantity as a line of a table, with its 95 % interval or bounds in percent of its value.

    Quantities have different units, so that what can be compared is how certain they are. The colour and the marker say
    what the interval is: none for what is exact on these data. A lower bound is open to the right; a quantity without a
    value says why.

    Args:
        result: The quantities.
        title: Above the figure.
    """
    rows, reach = _rows(result)
    figure = _screen.screen(title=title, height=110 + 24 * len(rows))
    for kind, (colour, symbol, _) in _STYLES.items():
        chosen = [(place, row) for place, row in enumerate(rows) if row.kind == kind and row.low is not None]
        if not chosen:
            continue
        bars_x, bars_y = list[float | None](), list[float | None]()
        for place, row in chosen:
            bars_x += [row.low, row.high, None]
            bars_y += [place, place, None]
        figure.add_scatter(
            x=bars_x, y=bars_y, mode="lines", hoverinfo="skip", showlegend=False, line={"color": colour, "width": 2.5}
        )
        figure.add_scatter(
            x=[0.0] * len(chosen), y=[place for place, _ in chosen], mode="markers", name=kind,
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=[f"{row.name}: {row.value}" for _, row in chosen],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
        open_ends = [(end, place, side) for place, row in chosen for end, side in _open_ends(row)]
        if open_ends:
            figure.add_scatter(
                x=[end for end, _, _ in open_ends], y=[place for _, place, _ in open_ends], mode="markers",
                hoverinfo="skip", showlegend=False,
                marker={"color": colour, "size": 9, "symbol": [f"arrow-{side}" for _, _, side in open_ends]},
            )  # fmt: skip
    for place, row in enumerate(rows):
        figure.add_annotation(
            text=_screen.text(row.value, 60), x=1.02, xref="paper", xanchor="left", y=place, yref="y",
            font={"color": GREY} if row.low is None else None,
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[_screen.text(row.name) for row in rows], showgrid=True,
        range=[len(rows) - 0.4, -0.6],
    )  # fmt: skip
    figure.update_xaxes(title_text=_X, range=[-1.12 * reach, 1.12 * reach], zeroline=True)
    _screen.legend_below(figure)
    longest = max((len(row.value) for row in rows), default=0)
    figure.update_layout(margin_r=24 + 7.2 * min(longest, 60))
    return figure


@draw.register(Measures)
def draw_quantities(result: Measures, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_quantities` draws for the screen.

    Args:
        result: The quantities.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    rows, reach = _rows(result)
    figure, axes = _paper.panel(axes, title, width=7.2, height=_EDGE + _LINE * max(len(rows), 4))
    axes.axvline(0, color="#a8a59d", linewidth=0.8)
    named = set[str]()
    for place, row in enumerate(rows):
        colour, _, marker = _STYLES.get(row.kind, (GREY, "", "o"))
        axes.text(
            1.02, place, _paper.text(row.value), transform=axes.get_yaxis_transform(), va="center_baseline",
            fontsize=8.5, color=GREY if row.low is None else INK["light"],
        )  # fmt: skip
        if row.low is None or row.high is None:
            continue
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        label = None if row.kind in named else row.kind
        named.add(row.kind)
        axes.plot([0], [place], marker, color=colour, markersize=5, linestyle="none", label=label)
        for end, side in _open_ends(row):
            axes.plot([end], [place], "<" if side == "left" else ">", color=colour, markersize=5, linestyle="none")
    axes.set_yticks(range(len(rows)), [_paper.text(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-1.12 * reach, 1.12 * reach)
    _paper.quiet(axes, x=_X)
    if named:
        # Below the axis, where no interval can be.
        _paper.legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.5 / (_LINE * max(len(rows), 4))), ncols=4)
    return figure


def _open_ends(row: _Row) -> list[tuple[float, str]]:
    ends = ((row.low, "left"), (row.high, "right"))
    return [(end, side) for (end, side), far in zip(ends, row.open, strict=True) if far and end is not None]


def _rows(result: Measures) -> tuple[list[_Row], float]:
    """Return the rows, and half the width of the axis, which ends that are too far away do not widen."""
    rows = [_row(row) for row in result.rows]
    ends = [abs(end) for row in rows for end in (row.low, row.high) if end is not None]
    reach = max([1.0, *(end for end in ends if end <= _FAR)])
    return [_clipped(row, reach) for row in rows], reach


def _clipped(row: _Row, reach: float) -> _Row:
    if row.low is None or row.high is None:
        return row
    far = row.low < -reach, row.high > reach
    return replace(row, low=max(row.low, -reach), high=min(row.high, reach), open=far)


def _row(row: Quantity) -> _Row:
    if row.value is None or not math.isfinite(row.value):
        return _Row(row.name, f"– {row.note}".rstrip(), row.kind, None, None)
    bound = row.kind == "lower bound"
    whole = row.kind == "exact" and row.value == round(row.value) and abs(row.value) < _COUNT
    value = f"{row.value:.0f}" if whole else with_error(row.value, row.standard_error)
    note = f" ({row.note})" if row.note and not bound else ""
    if row.kind == "exact":
        return _Row(row.name, value + note, row.kind, 0.0, 0.0)
    low, high = _percent(row.low, row.value, -1.0), _percent(row.high, row.value, 1.0)
    return _Row(row.name, ("≥ " if bound else "") + value + note, row.kind, low, high)


def _percent(end: float | None, value: float, side: float) -> float:
    """Where an end lies beside the value: nowhere if there is none."""
    if end is None or not math.isfinite(end):
        return side * math.inf
    if value == 0:
        return 0.0 if end == 0 else side * math.inf
    return 100 * (end - value) / abs(value)

"""Births and deaths of the features of sub-level sets: as points, or as bars."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._levels import Levels, levels
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, series
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._topology_results import Persistence

View = Literal["diagram", "barcode"]
_VIEWS = ("diagram", "barcode")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NAMES = ("components", "loops", "cavities")
_SCREEN, _PAPER = ("circle", "diamond", "square"), ("o", "D", "s")
_MOST = 60


@dataclass(frozen=True)
class _Group:
    """Features of one dimension; those that never die come last, with the end of the axis as their death."""

    name: str
    birth: np.ndarray
    death: np.ndarray
    endless: np.ndarray
    said: list[str]


@plot.register(Persistence)
def plot_persistence(result: Persistence, *, view: View = "diagram", title: str | None = None) -> ScreenFigure:
    """Draw each feature as a point (birth, death), or as a bar from birth to death.

    Far from the diagonal, or long: what shapes the landscape; close to it, or short: what may be the grid's. Open
    markers at the upper edge, and bars that end in an arrow, never die. Where the loss is positive and its range is
    wide, axes are logarithmic. Of more than 60 bars the longest are shown.

    Args:
        result: The features.
        view: "diagram" or "barcode".
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    groups, axis = _groups(result)
    figure = _screen.screen(title=title, height=420 if view == "diagram" else 380)
    if view == "diagram":
        _screen_diagram(figure, groups, axis)
        _screen.upright_title(figure, "death: loss")
    else:
        _screen_bars(figure, groups, axis)
        left = _left_out(groups)
        _screen.upright_title(figure, f"the longest {_MOST}; {left} more are not shown" if left else "features")
    _screen.legend_below(figure)
    return figure


@draw.register(Persistence)
def draw_persistence(
    result: Persistence, axes: Axes | None = None, *, view: View = "diagram", title: str | None = None
) -> PaperFigure:
    """Draw for paper what :func:`plot_persistence` draws for the screen.

    Args:
        result: The features.
        axes: Where to draw; a new figure by default.
        view: "diagram" or "barcode".
        title: Above the figure.
    """
    choice("view", view, _VIEWS)
    groups, axis = _groups(result)
    figure, axes = _paper.panel(axes, title, width=4.4 if view == "diagram" else 4.6, height=4.0)
    if view == "diagram":
        axes.plot(axis.limits, axis.limits, color=GREY, linewidth=1)
        for index, group in enumerate(groups):
            for endless, fill in ((False, series(index)), (True, "white")):
                chosen = group.endless == endless
                axes.plot(
                    group.birth[chosen], group.death[chosen], _PAPER[index % 3], color=series(index), markersize=5.5,
                    markerfacecolor=fill, linestyle="none", clip_on=False, zorder=3,
                    label=group.name + (", never dying" if endless else "") if chosen.any() else None,
                )  # fmt: skip
        axes.set_aspect("equal")
        axes.set_ylim(*axis.limits)
        axes.set_yticks(axis.ticks, axis.names)
        _paper.quiet(axes, x="birth: loss", y="death: loss")
    else:
        place = 0
        for index, group in enumerate(_shown(groups)):
            rows = np.arange(place, place + len(group.birth))
            axes.hlines(rows, group.birth, group.death, color=series(index), linewidth=2.4, label=group.name)
            axes.plot(
                group.death[group.endless], rows[group.endless], ">", color=series(index), markersize=5, clip_on=False
            )
            place += len(rows)
        axes.set_ylim(place - 0.2, -0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        left = _left_out(groups)
        _paper.quiet(axes, x="loss", y=f"the longest {_MOST}; {left} more are not shown" if left else "", grid="x")
    axes.set_xlim(*axis.limits)
    axes.set_xticks(axis.ticks, axis.names)
    _paper.legend(axes, loc="upper left", bbox_to_anchor=(0.0, -0.13), ncols=2)
    return figure


def _screen_diagram(figure: ScreenFigure, groups: list[_Group], axis: Levels) -> None:
    figure.add_scatter(
        x=axis.limits, y=axis.limits, mode="lines", line={"color": GREY, "width": 1.2}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    for index, group in enumerate(groups):
        for endless, suffix in ((False, ""), (True, ", never dying")):
            chosen = group.endless == endless
            if chosen.any():
                symbol = _SCREEN[index % 3]
                figure.add_scatter(
                    x=group.birth[chosen], y=group.death[chosen], mode="markers", name=group.name + suffix,
                    customdata=[said for said, kept in zip(group.said, chosen, strict=True) if kept],
                    hovertemplate="%{customdata}<extra></extra>", cliponaxis=False,
                    marker={"color": series(index), "size": 9, "symbol": f"{symbol}-open" if endless else symbol,
                            "line": {"width": 2 if endless else 0}},
                )  # fmt: skip
    ticks = {"tickvals": axis.ticks, "ticktext": axis.names, "range": axis.limits, "constrain": "domain"}
    figure.update_xaxes(title_text="birth: loss", **ticks)
    figure.update_yaxes(scaleanchor="x", scaleratio=1, **ticks)


def _screen_bars(figure: ScreenFigure, groups: list[_Group], axis: Levels) -> None:
    place = 0
    for index, group in enumerate(_shown(groups)):
        rows = np.arange(place, place + len(group.birth))
        gap = np.full(len(rows), np.nan)
        figure.add_scatter(
            x=np.stack([group.birth, group.death, gap], axis=1).ravel(), y=np.repeat(rows, 3), mode="lines",
            line={"color": series(index), "width": 4}, name=group.name,
            customdata=np.repeat(np.array(group.said, dtype=object), 3), hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=group.death[group.endless], y=rows[group.endless], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"color": series(index), "size": 11, "symbol": "triangle-right"}, cliponaxis=False,
        )  # fmt: skip
        place += len(rows)
    figure.update_xaxes(title_text="loss", tickvals=axis.ticks, ticktext=axis.names, range=axis.limits)
    figure.update_yaxes(
        range=[place - 0.2, -0.8], showticklabels=False, ticks="", showgrid=False, showline=False
    )  # fmt: skip


def _groups(result: Persistence) -> tuple[list[_Group], Levels]:
    axis = levels(*result.limits)
    dimensions = sorted({*result.dimension.tolist(), *result.essential_dimension.tolist()})
    if not dimensions:
        raise ArgumentError("result: expected at least one feature, got none.")
    groups = []
    for dimension in dimensions:
        pairs, endless = result.pairs(dimension).cpu().numpy(), result.essential(dimension).cpu().numpy()
        name = f"H{str(dimension).translate(_LOWERED)}"
        if dimension < len(_NAMES):
            name += f": {_NAMES[dimension]}"
        births = np.concatenate([endless, pairs[:, 0]])
        deaths = np.concatenate([np.full(len(endless), axis.limits[1]), axis.place(pairs[:, 1])])
        said = [f"born at {number(float(b), 4)}<br>never dies" for b in endless]
        said += [
            f"born at {number(float(b), 4)}<br>dies at {number(float(d), 4)}<br>persistence {number(float(d - b), 4)}"
            for b, d in pairs
        ]
        lasting = np.arange(len(births)) < len(endless)
        groups.append(_Group(name, axis.place(births), deaths, lasting, said))
    return groups, axis


def _shown(groups: list[_Group]) -> list[_Group]:
    """Keep the longest bars of all, at least one of each dimension; each group is sorted already."""
    total = sum(len(group.birth) for group in groups)
    if total <= _MOST:
        return groups
    lengths = np.concatenate([np.where(group.endless, np.inf, group.death - group.birth) for group in groups])
    least = np.sort(lengths)[-_MOST]
    kept = []
    for group in groups:
        n = max(int((np.where(group.endless, np.inf, group.death - group.birth) >= least).sum()), 1)
        kept.append(_Group(group.name, group.birth[:n], group.death[:n], group.endless[:n], group.said[:n]))
    return kept


def _left_out(groups: list[_Group]) -> int:
    return sum(len(group.birth) for group in groups) - sum(len(group.birth) for group in _shown(groups))

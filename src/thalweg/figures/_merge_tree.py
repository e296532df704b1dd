"""How minima join as the level of the loss rises."""

from dataclasses import dataclass

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._levels import Levels, levels
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.surfaces._topology_results import MergeTree


@dataclass(frozen=True)
class _Tree:
    """Where nodes stand, the lines between them, and what is said of each."""

    x: np.ndarray
    y: np.ndarray
    lines: tuple[np.ndarray, np.ndarray]
    stems: tuple[np.ndarray, np.ndarray]
    minima: int
    size: np.ndarray
    said: list[str]
    axis: Levels


@plot.register(MergeTree)
def plot_merge_tree(result: MergeTree, *, title: str | None = None) -> ScreenFigure:
    """Draw minima as the leaves of a tree and saddles as its forks, each at the height of its loss.

    The area of a leaf is the share of the grid from which steepest descent leads there. Of two branches that meet the
    deeper one goes straight on, and the other one's length is its persistence. Dotted lines are components that join no
    other. Across there is no scale. Where the loss is positive and its range is wide, heights are logarithmic.

    Args:
        result: The tree.
        title: Above the figure.
    """
    tree = _tree(result)
    figure = _screen.screen(title=title, height=400)
    for (x, y), dash, name in ((tree.lines, "solid", ""), (tree.stems, "dot", "joins no other")):
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": GREY, "width": 1.6, "dash": dash}, hoverinfo="skip", name=name,
            showlegend=False,
        )  # fmt: skip
    for chosen, name, marker in (
        (slice(None, tree.minima), "minima", {"color": SERIES[0], "size": 7 + 19 * np.sqrt(tree.size)}),
        (slice(tree.minima, None), "saddles", {"color": SERIES[1], "size": 8, "symbol": "diamond"}),
    ):
        if len(tree.x[chosen]):
            figure.add_scatter(
                x=tree.x[chosen], y=tree.y[chosen], mode="markers", name=name, customdata=tree.said[chosen],
                hovertemplate="%{customdata}<extra></extra>", marker={**marker, "opacity": 1, "line": {"width": 0}},
            )  # fmt: skip
    figure.update_yaxes(range=tree.axis.limits, tickvals=tree.axis.ticks, ticktext=tree.axis.names)
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False, showline=False, range=_width(tree))
    figure.update_layout(legend={"itemsizing": "constant"})
    _screen.upright_title(figure, "loss")
    _screen.legend_below(figure)
    return figure


@draw.register(MergeTree)
def draw_merge_tree(result: MergeTree, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_merge_tree` draws for the screen.

    Args:
        result: The tree.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    tree = _tree(result)
    figure, axes = _paper.panel(axes, title, width=4.6, height=3.4)
    axes.plot(*tree.lines, color=GREY, linewidth=1.2)
    axes.plot(*tree.stems, ":", color=GREY, linewidth=1.2)
    leaves, forks = slice(None, tree.minima), slice(tree.minima, None)
    axes.scatter(tree.x[leaves], tree.y[leaves], s=16 + 240 * tree.size, color=SERIES[0], zorder=3, linewidths=0)
    axes.scatter(tree.x[forks], tree.y[forks], s=20, marker="D", color=SERIES[1], zorder=3, linewidths=0)
    # In the legend all are of one size.
    axes.plot([], [], "o", color=SERIES[0], markersize=5, label="minima")
    if len(tree.x[forks]):
        axes.plot([], [], "D", color=SERIES[1], markersize=4, label="saddles")
    _paper.quiet(axes, y="loss", grid="y")
    axes.set_ylim(*tree.axis.limits)
    axes.set_xlim(*_width(tree))
    axes.set_yticks(tree.axis.ticks, tree.axis.names)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    _paper.legend(axes, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2)
    return figure


def _width(tree: _Tree) -> tuple[float, float]:
    return -0.7, max(tree.minima - 0.3, 0.7)


def _tree(result: MergeTree) -> _Tree:
    if not result.minima:
        raise ArgumentError("result: expected a tree with at least one minimum, got none.")
    level, parent = result.level.double().cpu().numpy(), result.parent.cpu().tolist()
    x, axis = _across(result.minima, parent, level), levels(*result.limits)
    y, top = axis.place(level), axis.limits[1]
    lines: list[list[float]] = [[], []]
    stems: list[list[float]] = [[], []]
    for node, above in enumerate(parent):
        if above >= 0:
            # Up to the height of the saddle, and then across.
            lines[0] += [x[node], x[node], x[above], np.nan]
            lines[1] += [y[node], y[above], y[above], np.nan]
        else:
            stems[0] += [x[node], x[node], np.nan]
            stems[1] += [y[node], top, np.nan]
    basin = result.basin.double().cpu().numpy()
    said = [
        f"{'minimum' if node < result.minima else 'saddle'} at {_where(place)}<br>loss {number(float(value), 4)}"
        for node, (place, value) in enumerate(zip(result.position.cpu().tolist(), level, strict=True))
    ]
    for node, lasting in enumerate(result.persistence()):
        said[node] += "<br>reaches no deeper one" if lasting is None else f"<br>persistence {number(lasting, 4)}"
    return _Tree(
        x, y, (np.array(lines[0]), np.array(lines[1])), (np.array(stems[0]), np.array(stems[1])),
        result.minima, basin / basin.sum(), said, axis,
    )  # fmt: skip


def _where(place: list[int]) -> str:
    return "(" + ", ".join(map(str, place)) + ")"


def _across(minima: int, parent: list[int], level: np.ndarray) -> np.ndarray:
    """Lay leaves side by side so that no lines cross, the deeper branch of a fork to the left of the others."""
    children: dict[int, list[int]] = {}
    for node, above in enumerate(parent):
        children.setdefault(above, []).append(node)
    deepest = level.astype(np.float64).copy()
    for node in range(minima, len(parent)):
        # A saddle comes after all that it joins.
        deepest[node] = min(deepest[child] for child in children[node])
    x, stack, place = np.zeros(len(parent)), sorted(children[-1], key=lambda node: -deepest[node]), 0
    while stack:
        node = stack.pop()
        if node < minima:
            x[node], place = place, place + 1
        else:
            stack += sorted(children[node], key=lambda child: -deepest[child])
    for node in range(minima, len(parent)):
        # Straight above the deepest, which is the leftmost.
        x[node] = min(x[child] for child in children[node])
    return x

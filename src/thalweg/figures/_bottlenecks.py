"""Which minima are connected at which level: the tree of their parts, and the matrix."""

from dataclasses import dataclass

import numpy as np

from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._extra import load
from thalweg.figures._numbers import number
from thalweg.figures._palette import DEPTH, INK, SERIES, depth_scale
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.paths._bottlenecks_results import Bottlenecks

# With more minima than this their names would overlap.
_NAMED = 24


@dataclass(frozen=True)
class _Tree:
    order: list[int]
    x: np.ndarray
    y: np.ndarray
    """The lines, broken by NaN."""
    names: list[str]
    level: np.ndarray
    loss: np.ndarray


@plot.register(Bottlenecks)
def plot_bottlenecks(result: Bottlenecks, *, title: str | None = None) -> ScreenFigure:
    """Draw the disconnectivity graph (Becker & Karplus, 1997) and the matrix of levels in the same order.

    Every branch ends at the loss of a minimum; two branches join at the lowest level at which a way between their
    minima is known. Parts between which no way is known stay apart, and their cells empty.

    Args:
        result: The bottlenecks.
        title: Above the figure.
    """
    tree = _tree(result)
    figure = _screen.screen(2, title=title, height=430)
    figure.add_scatter(
        x=tree.x, y=tree.y, mode="lines", line={"color": SERIES[0], "width": 1.8}, hoverinfo="skip", row=1, col=1
    )
    names = [_screen.text(result.labels[i], 18) for i in tree.order]
    figure.add_scatter(
        x=list(range(len(names))), y=tree.loss, mode="markers", marker={"color": SERIES[1], "size": 7},
        customdata=[[name, number(float(v), 4)] for name, v in zip(names, tree.loss, strict=True)],
        hovertemplate="%{customdata[0]}<br>loss %{customdata[1]}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    places = list(range(len(names)))
    shown = names if len(names) <= _NAMED else [""] * len(names)
    text = [[f"{names[i]} – {names[j]}: {number(float(v), 4)}" for j, v in enumerate(row)]
            for i, row in enumerate(tree.level)]  # fmt: skip
    figure.add_heatmap(
        x=places, y=places, z=tree.level, colorscale=depth_scale(), hoverongaps=False, text=text,
        hovertemplate="%{text}<extra></extra>",
        colorbar={"title": {"text": "level", "side": "top", "font": {"size": 12.5}}, "thickness": 10,
                  "outlinewidth": 0, "len": 0.9, "x": 1.0, "xpad": 8}, row=1, col=2,
    )  # fmt: skip
    figure.update_xaxes(tickvals=places, ticktext=shown, showgrid=False)
    figure.update_yaxes(tickvals=places, ticktext=shown, showgrid=False, autorange="reversed", row=1, col=2)
    figure.update_xaxes(title_text="minima")
    _screen.upright_title(figure, "level")
    _screen.upright_title(figure, "lowest known level of a way", 2)
    figure.update_layout(showlegend=False, margin_r=8, margin_b=64)
    return figure


@draw.register(Bottlenecks)
def draw_bottlenecks(result: Bottlenecks, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_bottlenecks` draws for the screen; into given axes, the tree alone.

    Args:
        result: The bottlenecks.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    tree = _tree(result)
    beside = None
    if axes is None:
        figure, (axes, beside) = _paper.paper(2, title=title, width=8.8, height=3.8)
    else:
        figure, axes = _paper.panel(axes, title)
    places = list(range(len(tree.order)))
    names = [_paper.text(result.labels[i], 18) if len(places) <= _NAMED else "" for i in tree.order]
    turned = 90 if max(map(len, names)) > 3 else 0
    axes.plot(tree.x, tree.y, "-", color=SERIES[0], linewidth=1.4)
    axes.plot(places, tree.loss, "o", color=SERIES[1], markersize=4.5)
    _paper.quiet(axes, x="minima", y="level", grid="y")
    axes.set_xticks(places, names)
    axes.tick_params(axis="x", labelrotation=turned)
    if beside is not None:
        scale = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", DEPTH)
        image = beside.imshow(np.ma.masked_invalid(tree.level), cmap=scale)
        _paper.quiet(beside, x="minima", y="lowest known level of a way", grid=None)
        beside.set_xticks(places, names)
        beside.tick_params(axis="x", labelrotation=turned)
        beside.set_yticks(places, names)
        bar = figure.colorbar(image, ax=beside, shrink=0.9)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK["light"])
        bar.outline.set_visible(False)
        bar.ax.set_title("level", fontsize=9.5, color=INK["light"], loc="left")
    return figure


def _tree(result: Bottlenecks) -> _Tree:
    level = result.level.double().cpu().numpy()
    loss = level.diagonal()
    parts: dict[int, tuple[int, ...]] = {i: (i,) for i in range(len(loss))}
    joins: list[tuple[tuple[int, ...], tuple[int, ...], float]] = []
    edges, heights = result.tree.tolist(), result.tree_level.tolist()
    for (i, j), height in zip(edges, heights, strict=True):
        # The part with the lower minimum stands to the left.
        one, other = sorted((parts[i], parts[j]), key=lambda part: min(float(loss[k]) for k in part))
        joins.append((one, other, height))
        joined = one + other
        parts.update(dict.fromkeys(joined, joined))
    order: list[int] = []
    for i in range(len(loss)):
        order += () if i in order else parts[i]
    place = {i: float(where) for where, i in enumerate(order)}
    # Where the trunk of each part stands, and how high it has grown.
    top: dict[tuple[int, ...], tuple[float, float]] = {(i,): (place[i], float(loss[i])) for i in order}
    x: list[float] = []
    y: list[float] = []
    for one, other, height in joins:
        (left, low), (right, below) = top[one], top[other]
        x += [left, left, right, right, np.nan]
        y += [low, height, height, below, np.nan]
        top[one + other] = ((left + right) / 2, height)
    names = [result.labels[i] for i in order]
    return _Tree(order, np.array(x), np.array(y), names, level[np.ix_(order, order)], loss[order])

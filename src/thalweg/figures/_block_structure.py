"""Norms of the blocks of a matrix, as a map."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import choice, draw, plot
from thalweg.figures._extra import load
from thalweg.figures._groups import ending
from thalweg.figures._numbers import number, percent, with_error
from thalweg.figures._palette import DEPTH, INK, depth_scale
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures import BlockStructure

Quantity = Literal["norms", "rms", "coupling"]
_LABELS = {
    "norms": "norm of each block",
    "rms": "root mean square of each block's entries",
    "coupling": "norm of each block, relative to its two diagonal blocks",
}
# Beyond so many groups a number does not fit into its cell.
_NUMBERED = 10
# Norms further below the largest have no colour of their own.
_DEEPEST = 1e-6


@dataclass(frozen=True)
class _Map:
    """Values, their logarithms as they are coloured, and what is written where."""

    value: np.ndarray
    height: np.ndarray
    hover: np.ndarray
    names: list[str]
    limits: tuple[float, float]
    ticks: list[float]
    tick_text: list[str]
    label: str
    share: str

    @property
    def across(self) -> list[str]:
        """Names for the horizontal axis: numbers, which the vertical one explains, where the names have no room."""
        short = max(map(len, self.names)) * len(self.names) < 40
        return self.names if short else [str(place) for place in range(1, len(self.names) + 1)]

    @property
    def down(self) -> list[str]:
        """Names for the vertical axis."""
        if self.across == self.names:
            return self.names
        return [f"{name} · {place}" for place, name in enumerate(self.names, 1)]

    @property
    def numbered(self) -> bool:
        return len(self.names) <= _NUMBERED

    def cell(self, row: int, column: int) -> str:
        return "" if np.isnan(self.height[row, column]) else number(float(self.value[row, column]), 2)


@plot.register(BlockStructure)
def plot_block_structure(
    result: BlockStructure, *, quantity: Quantity = "norms", title: str | None = None
) -> ScreenFigure:
    """Draw the norms of all blocks as a map with a logarithmic colour scale; up to ten groups, with their numbers.

    A block that is zero is left blank; norms below a millionth of the largest have the colour of that.

    Args:
        result: The blocks.
        quantity: "norms"; "rms", which does not grow with the groups; or "coupling", relative to the diagonal blocks.
        title: Above the figure.
    """
    shown = _map(result, quantity)
    count, go = len(shown.names), load("plotly.graph_objects")
    figure = _screen.dressed(go.Figure(), title=title, height=150 + max(190, (36 if shown.numbered else 15) * count))
    low, high = shown.limits
    places = list(range(count))
    written = [[shown.cell(g, h) for h in places] for g in places] if shown.numbered else None
    figure.add_heatmap(
        x=places, y=places, z=shown.height, zmin=low, zmax=high, colorscale=depth_scale(), xgap=1, ygap=1,
        text=written, texttemplate="%{text}" if written else None, customdata=shown.hover, hoverongaps=False,
        hovertemplate="%{customdata}<extra></extra>",
        colorbar={"tickvals": shown.ticks, "ticktext": shown.tick_text, "thickness": 10, "outlinewidth": 0, "len": 0.9,
                  "x": 1.0, "xpad": 8},
    )  # fmt: skip
    shared: dict[str, Any] = {
        "tickvals": places, "showgrid": False, "showline": False, "tickfont": {"size": 9.5} if count > 25 else {},
        "ticks": "",
    }  # fmt: skip
    figure.update_xaxes(**shared, ticktext=_thinned(list(map(_screen.text, shown.across))), title_text=shown.share)
    figure.update_yaxes(**shared, ticktext=list(map(_screen.text, shown.down)), range=[count - 0.5, -0.5])
    _screen.upright_title(figure, shown.label, shift=0)
    figure.update_layout(showlegend=False, margin_r=8)
    return figure


@draw.register(BlockStructure)
def draw_block_structure(
    result: BlockStructure, axes: Axes | None = None, *, quantity: Quantity = "norms", title: str | None = None
) -> PaperFigure:
    """Draw for paper what :func:`plot_block_structure` draws for the screen.

    Args:
        result: The blocks.
        axes: Where to draw; a new figure by default.
        quantity: "norms"; "rms", which does not grow with the groups; or "coupling", relative to the diagonal blocks.
        title: Above the figure.
    """
    shown = _map(result, quantity)
    count = len(shown.names)
    side = min(max(3.4, 0.45 * count if shown.numbered else 2.6 + 0.13 * count), 11.0)
    # Beside the map: its names, and the scale.
    beside = 1.1 + (0.075 if count <= 25 else 0.055) * max(map(len, shown.down))
    figure, axes = _paper.panel(axes, title, width=side + beside, height=side + 0.6)
    scale = load("matplotlib.colors").LinearSegmentedColormap.from_list("depth", DEPTH)
    low, high = shown.limits
    image = axes.imshow(shown.height, cmap=scale, vmin=low, vmax=high, interpolation="nearest")
    _paper.quiet(axes, x=shown.share, grid=None)
    axes.spines[["left", "bottom"]].set_visible(False)
    size = 8.5 if count <= 25 else 6.0
    axes.set_xticks(range(count), _thinned(list(map(_paper.text, shown.across))), fontsize=size)
    axes.set_yticks(range(count), list(map(_paper.text, shown.down)), fontsize=size)
    axes.tick_params(length=0)
    # Cells a hair apart, as on the screen.
    axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(visible=True, which="minor", color="white", linewidth=0.8 if shown.numbered else 0.3)
    if shown.numbered:
        for g in range(count):
            for h in range(count):
                light = shown.height[g, h] > low + 0.5 * (high - low)
                axes.text(
                    h, g, shown.cell(g, h), ha="center", va="center", fontsize=7.5 if count > 5 else 8.5,
                    color="#20262e" if light else "white",
                )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, ticks=shown.ticks, shrink=0.9)
    bar.ax.set_yticklabels(shown.tick_text, fontsize=8.5, color=INK["light"])
    bar.outline.set_visible(False)
    axes.text(0, 1.02, shown.label, transform=axes.transAxes, fontsize=9.5, color=INK["light"], ha="left", va="bottom")
    return figure


def _thinned(labels: list[str]) -> list[str]:
    """Keep the first of many, and every fifth."""
    if len(labels) <= 25:
        return labels
    return [label if place in (1, len(labels)) or place % 5 == 0 else "" for place, label in enumerate(labels, 1)]


def _map(result: BlockStructure, quantity: str) -> _Map:
    choice("quantity", quantity, ("norms", "rms", "coupling"))
    values: np.ndarray = getattr(result, quantity).double().cpu().numpy()
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        raise ArgumentError("result: expected a block that is not zero, got zeros alone.")
    high = float(positive.max())
    low = max(float(positive.min()), _DEEPEST * high)
    low = low if low < high else high / 2
    drawn = np.where(np.isfinite(values) & (values > 0), np.clip(values, low, None), np.nan)
    ticks = decades(low, high, most=6)
    names_of = [tick_text(tick) for tick in ticks]
    if len(ticks) < 2:
        ticks, names_of = [low, high], [number(low, 2), number(high, 2)]
    with np.errstate(divide="ignore", invalid="ignore"):
        # The error of a norm from that of its square.
        errors = result.standard_error.numpy() / (2 * result.norms.numpy()) * (values / result.norms.numpy())
    names = list(result.names)
    hover = [
        [
            f"{_screen.text(ending(g))} × {_screen.text(ending(h))}<br>"
            f"{with_error(float(values[i, j]), float(errors[i, j]))}"
            for j, h in enumerate(names)
        ]
        for i, g in enumerate(names)
    ]
    share = ""
    if result.share is not None:
        error = "" if not result.share.standard_error else f" ± {percent(result.share.standard_error)}"
        share = f"{percent(result.share.value)}{error} of ‖A‖² in the diagonal blocks"
    return _Map(
        values, np.log10(drawn), np.array(hover, dtype=object), [ending(name) for name in names],
        (float(np.log10(low)), float(np.log10(high))), np.log10(ticks).tolist(), names_of,
        _LABELS[quantity], share,
    )  # fmt: skip

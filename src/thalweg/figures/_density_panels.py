"""Densities as small multiples on common axes."""

from dataclasses import replace

import numpy as np
import torch

from thalweg.figures import _paper, _screen
from thalweg.figures._density import Curve, curve_of, draw_density
from thalweg.figures._extra import load
from thalweg.figures._groups import with_size
from thalweg.figures._numbers import number
from thalweg.figures._palette import INK, SERIES, faint
from thalweg.figures._ticks import decades, tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.measures import Spectrum

# More of them stand in several columns.
_COLUMN = 8
_ENDS = "eigenvalues of both ends"


def plot_panels(spectra: dict[str, Spectrum], title: str | None) -> ScreenFigure:
    """Draw densities for the screen."""
    curves, (left, right), (floor, top) = _common(spectra)
    columns, rows = _shape(len(curves))
    names = [_screen.text(with_size(name, one.size)) for name, one in spectra.items()]
    height = 110 + 105 * rows
    figure = load("plotly.subplots").make_subplots(
        rows=rows, cols=columns, shared_xaxes=True, shared_yaxes=True, horizontal_spacing=0.03,
        vertical_spacing=30 / (height - 110) if rows > 1 else 0,
    )  # fmt: skip
    figure = _screen.dressed(figure, title=title, height=height)
    for index, (curve, one) in enumerate(zip(curves, spectra.values(), strict=True)):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        first = index == 0
        if curve.lower is not None and curve.upper is not None:
            figure.add_scatter(
                x=np.concatenate([curve.x, curve.x[::-1]]), y=np.concatenate([curve.upper, curve.lower[::-1]]),
                mode="lines", line_width=0, fill="toself", fillcolor=faint(SERIES[0]), hoverinfo="skip",
                name="± 1 standard error", legendgroup="band", showlegend=first, **place,
            )  # fmt: skip
        figure.add_scatter(
            x=curve.x, y=curve.mean, mode="lines", line={"color": SERIES[0], "width": 1.6}, name="density",
            legendgroup="density", showlegend=first, customdata=[number(float(value)) for value in curve.mean],
            hovertemplate="λ = %{x:.4g}<br>density %{customdata}<extra></extra>", **place,
        )  # fmt: skip
        ends = _ends(one)
        figure.add_scatter(
            x=ends, y=np.full(len(ends), 2.0 * floor), mode="markers", name=_ENDS, legendgroup="ends", showlegend=first,
            customdata=[number(float(value), 4) for value in ends], hovertemplate="λ = %{customdata}<extra></extra>",
            marker={"symbol": "line-ns", "size": 8, "line": {"width": 1.4, "color": SERIES[1]}, "color": SERIES[1]},
            **place,
        )  # fmt: skip
        suffix = "" if first else str(index + 1)
        figure.add_annotation(
            text=names[index], x=0, xref=f"x{suffix} domain", xanchor="left", y=1, yref=f"y{suffix} domain",
            yanchor="bottom", yshift=2,
        )  # fmt: skip
    ticks = decades(floor, top, most=4)
    figure.update_yaxes(
        type="log", range=[np.log10(floor), np.log10(top)], tickvals=ticks, ticktext=[tick_text(t) for t in ticks]
    )
    figure.update_xaxes(range=[left, right])
    for column in range(1, columns + 1):
        last = (len(curves) - column) // columns + 1
        figure.update_xaxes(title_text="eigenvalue λ", showticklabels=True, row=last, col=column)
    _screen.legend_below(figure)
    return figure


def draw_panels(spectra: dict[str, Spectrum], axes: Axes | None, title: str | None) -> PaperFigure:
    """Draw densities for paper."""
    if axes is not None:
        name, one = next(iter(spectra.items()))
        return draw_density(one.density, axes, title=title or name)
    curves, (left, right), (floor, top) = _common(spectra)
    columns, rows = _shape(len(curves))
    figure, panels = _paper.grid(rows, columns, title=title, width=5.6 if columns == 1 else 2.7 * columns)
    ticks = decades(floor, top, most=4)
    for index, (name, curve) in enumerate(zip(spectra, curves, strict=True)):
        place = panels[index]
        if curve.lower is not None and curve.upper is not None:
            place.fill_between(curve.x, curve.lower, curve.upper, color=SERIES[0], alpha=0.22, linewidth=0)
        place.plot(curve.x, curve.mean, color=SERIES[0], linewidth=1.1)
        ends = _ends(spectra[name])
        place.plot(ends, np.full(len(ends), 2.0 * floor), "|", color=SERIES[1], markersize=5, markeredgewidth=0.9)
        place.set_yscale("log")
        place.set_ylim(floor, top)
        place.set_xlim(left, right)
        last = index + columns >= len(curves)
        _paper.quiet(place, x="eigenvalue λ" if last else "")
        place.set_yticks(ticks, [tick_text(tick) for tick in ticks] if index % columns == 0 else [])
        place.minorticks_off()
        if not last:
            place.tick_params(labelbottom=False)
        label = _paper.text(with_size(name, spectra[name].size))
        place.set_title(label, loc="left", fontsize=8.5, color=INK["light"], pad=3)
    if columns == 1:
        panels[0].set_title(f"density; | {_ENDS}", loc="right", fontsize=8, color=INK["light"], pad=3)
    for place in panels[len(curves) :]:
        place.remove()
    return figure


def _common(spectra: dict[str, Spectrum]) -> tuple[list[Curve], tuple[float, float], tuple[float, float]]:
    """The curves, and limits that hold them all."""
    curves = [_cut(curve_of(one.density, None)) for one in spectra.values()]
    horizontal = min(float(curve.x[0]) for curve in curves), max(float(curve.x[-1]) for curve in curves)
    return curves, horizontal, (min(curve.floor for curve in curves), max(curve.top for curve in curves))


def _cut(curve: Curve) -> Curve:
    """Leave out what lies below the curve's own floor, which the common axis goes beyond."""
    return replace(curve, mean=np.where(curve.mean > curve.floor, curve.mean, np.nan))


def _shape(count: int) -> tuple[int, int]:
    """Columns and rows."""
    columns = 1 if count <= _COLUMN else 3
    return columns, -(-count // columns)


def _ends(one: Spectrum) -> np.ndarray:
    ends: np.ndarray = np.unique(torch.cat([one.bottom.values, one.top.values]).double().cpu().numpy())
    return ends

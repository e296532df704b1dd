"""A surface as figures show it: true distances, and heights that are the values or their logarithms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.figures._dispatch import choice
from thalweg.figures._extra import load
from thalweg.figures._levels import is_wide
from thalweg.figures._ticks import decades, tick_text
from thalweg.surfaces._results import Surface

Scale = Literal["auto", "linear", "log"]


@dataclass(frozen=True)
class Grid:
    """True distances, the loss, and its height as it is coloured: the loss itself or its logarithm."""

    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    height: np.ndarray
    limits: tuple[float, float]
    ticks: list[float]
    tick_text: list[str]
    label: str
    minimum: tuple[float, float, float]
    axes: tuple[str, str]
    equal: bool
    logarithmic: bool

    def raised(self, values: np.ndarray) -> np.ndarray:
        """Return the heights of other values: NaN where they have none, outside of the colours' range too."""
        values = np.where(np.isfinite(values), values, np.nan)
        if not self.logarithmic:
            return values
        return np.log10(np.where(values > 0, values, np.nan))

    def over(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the height of the surface over points, linear between the cells' centres; NaN outside."""
        between = RegularGridInterpolator((self.y, self.x), self.height, bounds_error=False, fill_value=np.nan)
        return np.asarray(between(np.stack([y, x], axis=-1)))


def grid_of(result: Surface, beside: Sequence[Surface] = (), scale: Scale = "auto", label: str = "loss") -> Grid:
    """Return what is drawn of a surface.

    Raises:
        ArgumentError: If no cell is finite, or a logarithm is asked for where there is none.
    """
    choice("scale", scale, ("auto", "linear", "log"))
    loss = result.loss.double().cpu().numpy().copy()
    finite = np.isfinite(loss)
    if not finite.any():
        raise ArgumentError("result: expected a surface with at least one finite loss, got none.")
    loss[~finite] = np.nan
    low, high = limits([result, *beside])
    if scale == "log" and low <= 0:
        raise ArgumentError(f"scale: 'log' needs a positive {label}, got {low:.4g} on the surface; use 'linear'.")
    logarithmic = scale == "log" or (scale == "auto" and is_wide(low, high))
    # What is interpolated may lie below all that was measured, where the colours and the logarithm begin.
    height = np.log10(np.maximum(loss, low)) if logarithmic else loss
    if logarithmic:
        values = decades(low, high, most=6)
        ticks, names, ends = np.log10(values).tolist(), [tick_text(v) for v in values], (np.log10(low), np.log10(high))
    else:
        ticker = load("matplotlib.ticker").MaxNLocator(6)
        ticks = [float(v) for v in ticker.tick_values(low, high) if low <= v <= high]
        names, ends = [tick_text(round(v, 12)) for v in ticks], (low, high)
    x, y = (axis.double().cpu().numpy() * norm for axis, norm in zip((result.x, result.y), result.norms, strict=True))
    seen = np.where(_measured(result).numpy(), loss, np.nan)
    row, column = np.unravel_index(np.nanargmin(seen), loss.shape)
    spans = sorted((float(np.ptp(x)), float(np.ptp(y))))
    return Grid(
        x, y, loss, height, (float(ends[0]), float(ends[1])), ticks, names, label,
        (float(x[column]), float(y[row]), float(height[row, column])),
        (f"distance along {result.labels[0]}", f"distance along {result.labels[1]}"), spans[1] <= 3 * spans[0],
        logarithmic,
    )  # fmt: skip


def limits(surfaces: Sequence[Surface]) -> tuple[float, float]:
    """Return the lowest and the highest finite loss that was measured of all of them, kept apart."""
    finite = [surface.loss.cpu()[_measured(surface)].double() for surface in surfaces]
    finite = [losses for losses in finite if losses.numel()]
    low, high = min(float(losses.min()) for losses in finite), max(float(losses.max()) for losses in finite)
    return low, high if high > low else low + (abs(low) or 1.0)


def said_of_cells(result: Surface) -> str:
    """Say which cells are no measurements: left blank, or interpolated, and how well."""
    parts = [f"{result.nonfinite} not finite"] if result.nonfinite else []
    if result.unknown:
        parts.append(f"{result.unknown} not measured")
    guessed = 0 if result.measured is None else int((~result.measured & result.loss.isfinite()).sum())
    if guessed:
        error = result.largest_error
        parts.append(f"{guessed} interpolated" + ("" if error is None else f", within {error:.1%} of the range"))
    return f"of {result.loss.numel()} cells {'; '.join(parts)}" if parts else ""


def _measured(surface: Surface) -> Tensor:
    """Which cells are finite and measured; of a surface without such, which are finite."""
    finite = surface.loss.isfinite().cpu()
    if surface.measured is None:
        return finite
    both = finite & surface.measured.cpu()
    return both if bool(both.any()) else finite

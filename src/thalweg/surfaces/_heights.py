"""The loss on a grid as topology takes it."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.surfaces._results import Grid, Line, Surface


def heights_of(grid: Any) -> np.ndarray:
    """Return the loss of a scan, or a tensor of any number of axes, in double precision.

    Raises:
        ArgumentError: If it is none of these, or a scan that is not finished, or no entry is finite.
    """
    scanned = isinstance(grid, (Surface, Line, Grid))
    values = grid.loss if scanned else grid
    if not isinstance(values, Tensor):
        raise ArgumentError(f"grid: expected a Surface, a Line, a Grid or a tensor, got {type(grid).__name__}.")
    if scanned and grid.unknown:
        # As walls they would make components that the landscape does not have.
        raise ArgumentError(
            f"grid: expected a scan that is finished, but of {grid.unknown} of its {values.numel()} points nothing is "
            "known, after an interruption or beyond a budget. Go on with it; or give its .loss, where they count as "
            "not finite."
        )
    if values.ndim == 0 or values.is_complex():
        raise ArgumentError(
            f"grid: expected real numbers on at least one axis, got {values.dtype} of shape {tuple(values.shape)}."
        )
    heights = values.detach().cpu().double().numpy()
    if not np.isfinite(heights).any():
        raise ArgumentError(f"grid: expected at least one finite value, got none among {heights.size}.")
    return np.asarray(heights)


def check_threshold(threshold: float) -> None:
    """Check a persistence below which features are left out.

    Raises:
        ArgumentError: If it is negative or not finite.
    """
    real = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not (real and math.isfinite(threshold) and threshold >= 0):
        raise ArgumentError(f"threshold: expected a finite number of at least 0, got {threshold!r}.")


def limits_of(heights: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest finite value."""
    finite = heights[np.isfinite(heights)]
    return float(finite.min()), float(finite.max())


def oscillation_of(heights: np.ndarray) -> float | None:
    """Return the largest difference between corners of one cell whose corners are all finite."""
    with np.errstate(invalid="ignore"):
        low = high = np.where(np.isfinite(heights), heights, np.nan)
    for axis in range(heights.ndim):
        if heights.shape[axis] == 1:
            continue
        first, last = [slice(None)] * heights.ndim, [slice(None)] * heights.ndim
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        # The larger of a number and NaN is NaN here, so that a cell with a hole drops out.
        low = np.minimum(low[tuple(first)], low[tuple(last)])
        high = np.maximum(high[tuple(first)], high[tuple(last)])
    spread = (high - low)[np.isfinite(low)]
    return float(spread.max()) if spread.size and heights.size > 1 else None

"""An axis of losses: logarithmic where they are positive and their range is wide."""

from dataclasses import dataclass

import numpy as np

from thalweg.figures._extra import load
from thalweg.figures._ticks import decades, tick_text

_WIDE = 30.0
# A minimum that is zero but for rounding has no logarithm worth showing.
_ROUNDING = 1e13


@dataclass(frozen=True)
class Levels:
    """Where losses stand on an axis, and what its ticks say.

    Attributes:
        limits: Ends of the axis, with a margin.
        ticks: Where they are.
        names: What they say.
        logarithmic: Whether the axis is.
    """

    limits: tuple[float, float]
    ticks: list[float]
    names: list[str]
    logarithmic: bool

    def place(self, loss: np.ndarray) -> np.ndarray:
        """Return where losses stand."""
        return np.log10(loss) if self.logarithmic else np.asarray(loss)


def is_wide(low: float, high: float) -> bool:
    """Say whether a range is wide enough for a logarithm, and its lower end more than rounding."""
    return low > 0 and _WIDE < high / low < _ROUNDING


def levels(low: float, high: float, *, margin: float = 0.06) -> Levels:
    """Choose an axis for losses between two limits.

    Example:
        >>> levels(0.01, 100.0).names
        ['0.01', '0.1', '1', '10', '100']
    """
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    logarithmic = is_wide(low, high)
    if logarithmic:
        values = decades(low, high, most=6)
        ticks, names, ends = np.log10(values).tolist(), [tick_text(v) for v in values], (np.log10(low), np.log10(high))
    else:
        found = load("matplotlib.ticker").MaxNLocator(6).tick_values(low, high)
        ticks = [float(v) for v in found if low <= v <= high]
        names, ends = [tick_text(round(v, 12)) for v in ticks], (low, high)
    gap = margin * (ends[1] - ends[0])
    return Levels((float(ends[0] - gap), float(ends[1] + gap)), ticks, names, logarithmic)

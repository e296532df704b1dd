"""Exponents of power laws."""

from collections.abc import Sequence

import numpy as np


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float] | None:
    """Fit log y = a + b log x by least squares; return b and its standard error, or ``None`` below three points."""
    if len(x) < 3:
        return None
    logs = np.log(np.asarray(x, dtype=float))
    centred = logs - logs.mean()
    values = np.log(np.asarray(y, dtype=float))
    spread = float(centred @ centred)
    slope = float(centred @ values) / spread
    residuals = values - values.mean() - slope * centred
    return slope, float(np.sqrt(residuals @ residuals / (len(logs) - 2) / spread))

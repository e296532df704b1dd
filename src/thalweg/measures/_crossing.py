"""Where a performance that should grow with the dimension crosses a target."""

import math
from collections.abc import Sequence

from scipy import stats


def isotonic(values: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest in squares (Ayer et al., 1955: pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]


def crossing(dimensions: Sequence[int], performances: Sequence[float], target: float) -> int | None:
    """Return the smallest whole dimension at which the monotone curve reaches a target.

    The curve is the isotonic regression, linear in log d between the dimensions; 0, where training starts, may be the
    first of them, and nothing is known between it and the second.
    """
    fitted = isotonic(performances)
    above = next((place for place, value in enumerate(fitted) if value >= target), None)
    if above is None:
        return None
    if above == 0 or dimensions[above - 1] == 0:
        return dimensions[above]
    low, high = dimensions[above - 1], dimensions[above]
    share = (target - fitted[above - 1]) / (fitted[above] - fitted[above - 1])
    # Rounding may put the end of the interval beyond itself.
    return min(high, math.ceil(low * math.exp(share * math.log(high / low)) * (1 - 1e-12)))


def bracket(dimensions: Sequence[int], performances: Sequence[float], target: float) -> tuple[int, int | None]:
    """Return the dimensions tried on either side of the crossing."""
    fitted = isotonic(performances)
    above = next((place for place, value in enumerate(fitted) if value >= target), None)
    if above is None:
        return dimensions[-1], None
    return (dimensions[above - 1] if above else 0), dimensions[above]


def interval_of(crossings: Sequence[int | None], value: int | None, size: int) -> tuple[float, float] | None:
    """Return Student's 95 % interval of the mean logarithm of the seeds' crossings, widened to hold the value.

    No dimension is below 1 or above that of all parameters.
    """
    found = [crossing for crossing in crossings if crossing]
    if value is None or len(found) < max(2, len(crossings)):
        return None
    logs = [math.log(crossing) for crossing in found]
    mean = math.fsum(logs) / len(logs)
    error = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (len(logs) - 1) / len(logs))
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * error
    # Clipped as logarithms: of two seeds that differ much the upper end overflows.
    low, high = math.exp(max(mean - half, 0.0)), math.exp(min(mean + half, math.log(size)))
    return min(low, float(value)), min(max(high, float(value)), float(size))

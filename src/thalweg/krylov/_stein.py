"""How many probes are enough? Stein's rule, whose intervals keep their level."""

import math
from collections.abc import Callable

from scipy import stats

from thalweg.estimate import Estimate


def to_accuracy(
    samples: list[float], draw: Callable[[int], None], exact: float, rtol: float, level: float, max_probes: int
) -> Estimate:
    r"""Draw until the interval of exact + mean(samples) is as narrow as asked (Stein, 1945).

    The spread s of the samples that are there, the pilot, fixes their number to :math:`\lceil (t\,s / d)^2 \rceil` for
    the half-width d = ``rtol``·|estimate|, with Student's t of the pilot's degrees of freedom; the interval uses the
    pilot's s, or that of all samples where it is larger.

    Args:
        samples: At least two; more are appended.
        draw: ``draw(n)`` appends to the samples until there are n; fewer end the matter.
        exact: What is known besides.
        rtol: Half-width to reach, relative to the estimate.
        level: Of the interval.
        max_probes: The most samples.
    """
    spread, dof = deviation(samples), len(samples) - 1
    half = rtol * abs(exact + math.fsum(samples) / len(samples))
    needed = _needed(spread, half, dof, level)
    while len(samples) < min(needed, max_probes):
        target = int(min(needed, max_probes))
        draw(target)
        # Skewed probes can make a pilot look calm; what all of them say then counts.
        spread = max(spread, deviation(samples))
        needed = _needed(spread, half, dof, level)
        if len(samples) < target:
            max_probes = len(samples)
    value = exact + math.fsum(samples) / len(samples)
    # A pilot can be larger than what it says is needed.
    converged = needed <= max(max_probes, len(samples))
    return Estimate(value, spread / math.sqrt(len(samples)), dof, converged=converged)


def deviation(samples: list[float]) -> float:
    """Return the standard deviation of single samples."""
    mean = math.fsum(samples) / len(samples)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in samples) / (len(samples) - 1))


def _needed(spread: float, half: float, dof: int, level: float) -> float:
    if spread == 0:
        return 0
    if half == 0:
        return math.inf
    return math.ceil((float(stats.t.ppf(0.5 + level / 2, dof)) * spread / half) ** 2)

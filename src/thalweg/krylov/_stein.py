"""How many probes are enough? Stein's rule, whose intervals keep their level."""

import math
from collections.abc import Callable

from scipy import stats

from thalweg.estimate import Estimate
from thalweg.krylov._spread import Forms, Spread


def to_accuracy(
    forms: Forms, draw: Callable[[int], None], exact: float, rtol: float, level: float, max_probes: int
) -> Estimate:
    r"""Draw until the interval of exact + mean(forms) is as narrow as asked (Stein, 1945).

    The spread s of the forms that are there, the pilot, fixes their number to :math:`\lceil (t\,s / d)^2 \rceil` for
    the half-width d = ``rtol``·|estimate|, with Student's t of the pilot's degrees of freedom; the interval uses the
    pilot's s, or that of all forms where it is larger.

    Args:
        forms: At least two; more are added.
        draw: ``draw(n)`` adds forms until there are n; fewer end the matter.
        exact: What is known besides.
        rtol: Half-width to reach, relative to the estimate.
        level: Of the interval.
        max_probes: The most forms.
    """
    spread, samples = forms.spread(), forms.values
    half = rtol * abs(exact + math.fsum(samples) / len(samples))
    needed = _needed(spread, half, level)
    while len(samples) < min(needed, max_probes):
        target = int(min(needed, max_probes))
        draw(target)
        # Skewed probes can make a pilot look calm; what all of them say then counts.
        spread = Spread(max(spread.variance, forms.spread().variance), spread.dof)
        needed = _needed(spread, half, level)
        if len(samples) < target:
            max_probes = len(samples)
    value = exact + math.fsum(samples) / len(samples)
    # A pilot can be larger than what it says is needed.
    converged = needed <= max(max_probes, len(samples))
    return Estimate(value, spread.of_mean(len(samples)), spread.dof, converged=converged)


def _needed(spread: Spread, half: float, level: float) -> float:
    if spread.variance == 0:
        return 0
    if half == 0:
        return math.inf
    tail = 0.5 + level / 2
    quantile = float(stats.norm.ppf(tail) if spread.dof is None else stats.t.ppf(tail, spread.dof))
    return math.ceil(quantile**2 * spread.variance / half**2)

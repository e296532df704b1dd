"""Where a function of one variable may still be higher than the points that were looked at."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Intervals are halved, and this many times at most.
_NARROWEST = 2.0**-30

# Values of a function, and what it cannot exceed on each interval, if that is known.
Height = tuple[Sequence[float], Sequence[float] | None]


@dataclass(frozen=True)
class Bracket:
    """A maximum between what was seen and what is not excluded.

    Attributes:
        seen: The largest value.
        at: Where.
        upper: What the function stays below, if it is as steep between the points as is assumed.
        between: Positions between which it may be higher than ``seen``; where it was seen if nowhere.
    """

    seen: float
    at: float
    upper: float
    between: tuple[float, float]


def bracket(
    positions: Sequence[float], values: Sequence[float], safety: float, ceilings: Sequence[float] | None = None
) -> Bracket:
    r"""Bracket the maximum of a function from values at increasing positions.

    On an interval of width d between values a and b, a function that is nowhere steeper than K stays below
    :math:`(a + b)/2 + K d/2` (Piyavskii, 1972). K is estimated for each interval, by ``safety`` times the largest of
    three secants, its own and those of its neighbours, and of the steepest secant of all times d over the largest d
    (local tuning; Sergeyev, 1995). At a smooth maximum the secants vanish, and the bound falls with d²; at a kink with
    d.

    Where one end is NaN the function is bounded from the other, a + K d, so far as it is finite; of two, nothing is
    known.

    Args:
        positions: Increasing.
        values: There; NaN where they are not finite.
        safety: See above.
        ceilings: What the function cannot exceed on each interval, if that is known.
    """
    top = max(range(len(values)), key=lambda i: -math.inf if math.isnan(values[i]) else values[i])
    seen, at = values[top], positions[top]
    bounds = upper_bounds(positions, values, safety, ceilings)
    higher = [i for i, bound in enumerate(bounds) if bound > seen]
    between = (positions[higher[0]], positions[higher[-1] + 1]) if higher else (at, at)
    return Bracket(seen, at, max(seen, max(bounds, default=seen)), between)


def upper_bounds(
    positions: Sequence[float], values: Sequence[float], safety: float, ceilings: Sequence[float] | None = None
) -> list[float]:
    """Return the upper bound of each interval, −∞ where both ends are NaN; see :func:`bracket`."""
    widths = [high - low for low, high in itertools.pairwise(positions)]
    secants = [abs(b - a) / d for (a, b), d in zip(itertools.pairwise(values), widths, strict=True)]
    known = [0.0 if math.isnan(secant) else secant for secant in secants]
    steepest, widest = max(known, default=0.0), max(widths, default=1.0)
    bounds = []
    for i, ((a, b), d) in enumerate(zip(itertools.pairwise(values), widths, strict=True)):
        slope = safety * max(*known[max(i - 1, 0) : i + 2], steepest * d / widest)
        one, other = (b, a) if math.isnan(a) else (a, b)
        bound = one + slope * d if math.isnan(other) else (a + b) / 2 + slope * d / 2
        if ceilings is not None:
            bound = min(bound, ceilings[i])
        bounds.append(-math.inf if math.isnan(bound) else bound)
    return bounds


def refine(
    evaluate: Callable[[float], float],
    heights: Callable[[Sequence[float], Sequence[float]], Sequence[Height]],
    positions: Sequence[float],
    *,
    tolerance: float,
    budget: int,
    safety: float,
) -> tuple[list[float], list[float], bool]:
    """Halve intervals until the maxima of all of several functions are bracketed, the least certain one first.

    Args:
        evaluate: The function; NaN where it is not finite.
        heights: Makes the functions whose maxima are asked for from positions and values, each with its ceilings.
        positions: Where to begin, increasing.
        tolerance: Widest bracket, in shares of the range of the values.
        budget: Most evaluations.
        safety: See :func:`bracket`.

    Returns:
        Positions, values, and whether the tolerance was reached with a finite value everywhere.
    """
    found = {t: evaluate(t) for t in positions}
    while True:
        order = sorted(found)
        values = [found[t] for t in order]
        finite = [value for value in values if not math.isnan(value)]
        allowed = tolerance * (max(finite) - min(finite)) if finite else 0.0
        doubts = [0.0] * (len(order) - 1)
        for height, ceilings in heights(order, values):
            seen = max((value for value in height if not math.isnan(value)), default=0.0)
            for i, bound in enumerate(upper_bounds(order, height, safety, ceilings)):
                doubts[i] = max(doubts[i], bound - seen)
        open_ = [i for i, doubt in enumerate(doubts) if doubt > allowed and order[i + 1] - order[i] > _NARROWEST]
        if not open_ or len(found) >= budget:
            return order, values, not open_ and max(doubts) <= allowed and len(finite) == len(values)
        widest = max(open_, key=lambda i: doubts[i])
        middle = (order[widest] + order[widest + 1]) / 2
        found[middle] = evaluate(middle)

"""The laws by which bias and standard error fall with the number of samples, and where they reach a goal."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from thalweg.measures._data_results import ErrorLaw

_LEVEL = 0.95
_SLOPES = (0.5, 1.0)


@dataclass(frozen=True)
class Gaps:
    """Gaps between in-sample and held-out quotients of fits on shares of the data, and about how uncertain each is."""

    shares: Sequence[float]
    gaps: Sequence[float]
    error: float


@dataclass(frozen=True)
class Goal:
    """The relative error asked for, the samples at hand, and the degrees of freedom of standard errors from them."""

    rtol: float
    samples: int
    dof: int


def mean_law(value: float, error: float, goal: Goal) -> ErrorLaw:
    """The law of a mean: no bias, and a standard error that falls with the root of n."""
    size, interval = _sizes(value, error, (0.0, 0.0), (1.0, 0.0), goal)
    relative = error / abs(value) if value else math.inf
    return ErrorLaw(value, 0.0, error, None, None, None, relative, size, interval)


def maximum_law(value: float, error: float, gaps: Gaps, goal: Goal) -> ErrorLaw:
    """The law of a maximum, from gaps at several sizes."""
    shares, measured = np.array(gaps.shares), np.array(gaps.gaps)

    def scale(slope: float) -> float:
        basis = shares**-slope
        return max(float(basis @ measured / (basis @ basis)), 0.0)

    def misfit(slope: float) -> float:
        return float(np.square(measured - scale(slope) * shares**-slope).sum())

    slope = float(optimize.minimize_scalar(misfit, bounds=_SLOPES, method="bounded", options={"xatol": 1e-6}).x)
    slope = min([slope, *_SLOPES], key=misfit)
    fitted = scale(slope) * shares**-slope
    # A gap is uncertain by about the standard error of what was held out: to first order for its logarithm.
    centred = np.log(shares) - np.log(shares).mean()
    known = bool((fitted > 0).all())
    slope_error = (
        float(np.sqrt(np.square(centred * gaps.error / fitted).sum()) / np.square(centred).sum()) if known else math.inf
    )
    bias, uncertain = scale(slope) / (2 * slope), gaps.error / (2 * slope)
    size, interval = _sizes(value, error, (bias, uncertain), (slope, slope_error), goal)
    return ErrorLaw(
        value=value,
        bias=bias,
        standard_error=error,
        exponent=slope,
        exponent_error=slope_error if known else None,
        misfit=float(np.abs(measured / fitted - 1).max()) if known else None,
        relative_error=math.hypot(bias, error) / abs(value) if value else math.inf,
        size=size,
        size_interval=interval,
    )


def _sizes(
    value: float, error: float, bias: tuple[float, float], slope: tuple[float, float], goal: Goal
) -> tuple[int | None, tuple[int, int] | None]:
    """The size at which the law reaches the goal, and its range over the intervals of what the law is made of."""
    quantile = float(stats.t.ppf(0.5 + _LEVEL / 2, goal.dof))
    if abs(value) <= quantile * error:
        return None, None
    best = _size(value, error, bias[0], slope[0], goal)
    tails = stats.chi2.ppf([0.5 + _LEVEL / 2, 0.5 - _LEVEL / 2], goal.dof)
    errors = error * np.sqrt(goal.dof / tails)
    values = (abs(value) - quantile * error, abs(value) + quantile * error)
    biases = [max(bias[0] + side * quantile * bias[1], 0.0) for side in (-1, 1)]
    slopes = [float(np.clip(slope[0] + side * quantile * slope[1], *_SLOPES)) for side in (-1, 1)]
    corners = [_size(v, float(e), b, a, goal) for v, e, b, a in itertools.product(values, errors, biases, slopes)]
    return best, (min(corners), max(corners))


def _size(value: float, error: float, bias: float, slope: float, goal: Goal) -> int:
    """The least n with bias² (N/n)^2α + error² N/n ≤ (rtol·value)²."""
    target = (goal.rtol * abs(value)) ** 2
    if bias == 0 and error == 0:
        return 1

    def excess(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        return float(bias**2 * ratio ** (2 * slope) + error**2 * ratio - target)

    # Each term alone bounds the ratio N/n from above, and half of the goal for each from below.
    most = [(target / bias**2) ** (0.5 / slope)] if bias else []
    most += [target / error**2] if error else []
    least = [(target / 2 / bias**2) ** (0.5 / slope)] if bias else []
    least += [target / 2 / error**2] if error else []
    ratio = math.exp(optimize.brentq(excess, math.log(min(least)) - 1e-6, math.log(min(most)) + 1e-6, xtol=1e-12))
    # A whole number that rounding has pushed up stays what it is.
    return max(1, math.ceil(goal.samples / ratio * (1 - 1e-9)))

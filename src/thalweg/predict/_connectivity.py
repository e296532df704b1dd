"""Whether minima are connected below a level: the variance rate from measured barriers, and how well it predicts."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.measures._require import require_real
from thalweg.predict._connectivity_results import Reliability, VarianceRate, VarianceRateLaw
from thalweg.vectors import draw_seeds

_SIMULATIONS = 2000
# Numbers held at a time while outcomes are drawn.
_DRAWN = 1 << 21


def variance_rate(
    rises: Float[Tensor, " n"] | Sequence[float],
    distances: Float[Tensor, " n"] | Sequence[float],
    *,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> VarianceRate:
    r"""Fit the variance of the loss per unit length to barriers between minima.

    .. math:: \hat s^2 = \frac{2}{n} \sum_i \frac{x_i^2}{r_i}

    It is the maximum-likelihood estimate where the loss along a path is the chord plus a Brownian bridge: then
    2x²/(s²r) is exponential, and 2n ŝ²/s² follows χ² with 2n degrees of freedom, which gives the interval. Whether the
    rises have that law at all is tested, by Kolmogorov's distance with the rate fitted (Lilliefors, 1969) in 2,000
    simulations.

    Cost: none; the barriers are measured already.

    Valid for: independent pairs. The n(n−1)/2 pairs of n minima are not: the interval is then too narrow; take pairs
    without a common minimum. Rises over few points of a path are too low, and so is ŝ².

    Args:
        rises: x, barriers against the chord (``Barrier.linear``), shape (n,), of at least 0.
        distances: r, lengths of the paths, shape (n,).
        level: Of the interval.
        generator: Of the simulations; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If there are fewer than two pairs, a rise is negative, a distance not above 0, all rises are 0,
            or a number is not finite.

    Example:
        >>> fit = variance_rate([0.5, 0.7, 0.2, 0.4], [2.0, 2.0, 2.0, 2.0])
        >>> round(fit.rate, 12)  # 2 · (0.25 + 0.49 + 0.04 + 0.16)/2 / 4
        0.235
    """
    x, r = _numbers("rises", rises, 2), _numbers("distances", distances, 2)
    if x.shape != r.shape:
        raise ArgumentError(f"distances: expected as many as rises, {len(x)}, got {len(r)}.")
    if (x < 0).any() or not (x > 0).any():
        raise ArgumentError(f"rises: expected numbers of at least 0 and not all 0, got the smallest {x.min():g}.")
    if not (r > 0).all():
        raise ArgumentError(f"distances: expected numbers above 0, got the smallest {r.min():g}.")
    _require_level(level)
    squares, count = x**2 / r, len(x)
    rate = 2 * float(squares.mean())
    tails = stats.chi2.ppf([0.5 + level / 2, 0.5 - level / 2], 2 * count)
    distance = _from_exponential(squares[None])[0]
    source = np.random.default_rng(draw_seeds(generator, 1)[0])
    simulated = _from_exponential(source.exponential(size=(_SIMULATIONS, count)))
    return VarianceRate(
        rate=rate,
        low=2 * count * rate / float(tails[0]),
        high=2 * count * rate / float(tails[1]),
        level=level,
        count=count,
        distance_of_laws=float(distance),
        p_value=float((1 + (simulated >= distance).sum()) / (1 + _SIMULATIONS)),
    )


def variance_rate_law(
    sizes: Float[Tensor, " m"] | Sequence[float], rates: Sequence[VarianceRate], *, level: float = 0.95
) -> VarianceRateLaw:
    r"""Fit how the variance rate depends on the number of parameters.

    .. math:: \ln s^2 = \ln s_0^2 - \gamma \ln d

    by least squares with weights 1/ψ′(nᵢ), as ψ′(nᵢ) is the exact variance of ln ŝ² from nᵢ independent pairs. Where
    the rates scatter more about the line than that, the errors are widened by the scatter.

    Cost: none. Valid for: the sizes given. Whether a power law holds at all, ``scatter`` tells for three sizes or more.

    Args:
        sizes: d, numbers of parameters, shape (m,), at least two different ones.
        rates: From :func:`variance_rate`, one for each size.
        level: Of the interval.

    Raises:
        ArgumentError: If there are not as many rates as sizes, fewer than two different sizes, or one is not above 0.

    Example:
        >>> fits = [variance_rate([s, s], [2.0, 2.0]) for s in (1.0, 0.5, 0.25)]  # s² = 1, 1/4, 1/16
        >>> law = variance_rate_law([100, 400, 1600], fits)
        >>> round(law.exponent, 12), round(law.rate(100), 12)
        (1.0, 1.0)
    """
    d = _numbers("sizes", sizes, 2)
    if len(d) != len(rates):
        raise ArgumentError(f"rates: expected as many as sizes, {len(d)}, got {len(rates)}.")
    if not (d > 0).all() or len(np.unique(d)) < 2:
        raise ArgumentError("sizes: expected at least two different numbers above 0.")
    if not isinstance(rates, Sequence) or not all(isinstance(fit, VarianceRate) for fit in rates):
        raise ArgumentError(f"rates: expected what variance_rate returns, one for each size, got {rates!r}.")
    _require_level(level)
    y = np.log([fit.rate for fit in rates])
    weight = 1 / special.polygamma(1, [fit.count for fit in rates])
    x = np.log(d)
    centre = float((weight * x).sum() / weight.sum())
    spread = float((weight * (x - centre) ** 2).sum())
    slope = float((weight * (x - centre) * y).sum() / spread)
    height = float((weight * y).sum() / weight.sum())
    dof = len(d) - 2
    chi2 = float((weight * (y - height - slope * (x - centre)) ** 2).sum())
    scatter = chi2 / dof if dof else None
    wider = scatter is not None and scatter > 1
    error = math.sqrt((scatter if scatter is not None and wider else 1.0) / spread)
    quantile = float(stats.t.ppf(0.5 + level / 2, dof) if wider else stats.norm.ppf(0.5 + level / 2))
    return VarianceRateLaw(
        exponent=-slope,
        exponent_error=error,
        exponent_low=-slope - quantile * error,
        exponent_high=-slope + quantile * error,
        prefactor=math.exp(height - slope * centre),
        sizes=torch.from_numpy(d),
        rates=torch.tensor([fit.rate for fit in rates], dtype=torch.float64),
        level=level,
        scatter=scatter,
    )


def reliability(
    predicted: Float[Tensor, " n"] | Sequence[float],
    happened: Shaped[Tensor, " n"] | Sequence[bool],
    *,
    bins: int = 10,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Reliability:
    r"""Hold predicted probabilities against outcomes: a calibration table and the Brier score.

    .. math:: \text{Brier} = \frac1n \sum_i (p_i - o_i)^2, \qquad
              \chi^2 = \sum_{\text{bins}} \frac{\bigl(\sum_{i} (o_i - p_i)\bigr)^2}{\sum_{i} p_i (1 - p_i)}

    The law of χ² where the predictions are right comes from 2,000 draws of outcomes with these probabilities, so that
    bins with few of them do no harm.

    For connectivity, predict with :func:`thalweg.connection_probability` at a rate that was fitted on *other* pairs,
    and count a pair as connected at c where the highest loss of its path is at most c.

    Cost: none. Valid for: independent outcomes. Of n(n−1)/2 pairs of n minima they are not, and intervals and p-value
    then claim too much. A small Brier score alone says little where nearly all outcomes are the same: read ``skill``.

    Args:
        predicted: Probabilities, shape (n,).
        happened: Whether it came true, shape (n,), of ``bool`` or 0 and 1.
        bins: Of equal width from 0 to 1; empty ones are left out.
        level: Of the binomial intervals.
        generator: Of the draws; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If the lengths differ, a probability lies outside of [0, 1], an outcome is neither true nor
            false, or ``bins`` is below 1.

    Example:
        >>> found = reliability([0.1, 0.1, 0.9, 0.9], [False, False, True, True])
        >>> round(found.brier, 12), found.observed.tolist()
        (0.01, [0.0, 1.0])
    """
    p, o = _numbers("predicted", predicted, 1), _numbers("happened", happened, 1)
    if p.shape != o.shape:
        raise ArgumentError(f"happened: expected as many as predicted, {len(p)}, got {len(o)}.")
    if not ((p >= 0) & (p <= 1)).all():
        raise ArgumentError("predicted: expected probabilities from 0 to 1.")
    if not ((o == 0) | (o == 1)).all():
        raise ArgumentError("happened: expected true or false, or 0 and 1.")
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ArgumentError(f"bins: expected a whole number of at least 1, got {bins!r}.")
    _require_level(level)
    which = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    held = counts > 0
    counts, total = counts[held], counts.sum()
    means = np.bincount(which, p, bins)[held] / counts
    true = np.bincount(which, o, bins)[held]
    tail = (1 - level) / 2
    low = np.where(true > 0, stats.beta.ppf(tail, np.maximum(true, 1), counts - true + 1), 0.0)
    high = np.where(true < counts, stats.beta.ppf(1 - tail, true + 1, np.maximum(counts - true, 1)), 1.0)
    brier, base = float(((p - o) ** 2).mean()), float(o.mean())
    chi2, p_value = _chi_squared(p, o, which, generator)
    return Reliability(
        predicted=torch.from_numpy(means),
        observed=torch.from_numpy(true / counts),
        low=torch.from_numpy(low),
        high=torch.from_numpy(high),
        counts=torch.from_numpy(counts),
        level=level,
        brier=brier,
        base_rate=base,
        skill=1 - brier / (base * (1 - base)) if 0 < base < 1 else None,
        calibration_error=float((counts * np.abs(means - true / counts)).sum() / total),
        chi_squared=chi2,
        p_value=p_value,
    )


def _chi_squared(
    p: NDArray[np.float64], o: NDArray[np.float64], which: NDArray[np.int64], generator: torch.Generator | None
) -> tuple[float | None, float | None]:
    """Return the statistic over the bins, and the share of drawn outcomes in which it is as large."""
    source = np.random.default_rng(draw_seeds(generator, 1)[0])
    order = np.argsort(which, kind="stable")
    p, o = p[order], o[order]
    starts = np.unique(which[order], return_index=True)[1]
    variance = np.add.reduceat(p * (1 - p), starts)
    if (((p == 0) & (o == 1)) | ((p == 1) & (o == 0))).any():
        # What cannot happen did: no draw comes near it.
        return None, 1 / (1 + _SIMULATIONS)
    if not (variance > 0).any():
        return None, None

    def statistic(outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
        gaps = np.add.reduceat(outcomes - p, starts, axis=1)
        return np.asarray((gaps**2 / np.where(variance > 0, variance, np.inf)).sum(axis=1))

    found, as_large = float(statistic(o[None])[0]), 0
    rows = max(1, _DRAWN // len(p))
    for done in range(0, _SIMULATIONS, rows):
        size = (min(rows, _SIMULATIONS - done), len(p))
        as_large += int((statistic((source.uniform(size=size) < p).astype(float)) >= found * (1 - 1e-12)).sum())
    return found, (1 + as_large) / (1 + _SIMULATIONS)


def _from_exponential(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kolmogorov's distance of each row from the exponential law with its own mean."""
    count = samples.shape[1]
    law = np.sort(-np.expm1(-samples / samples.mean(axis=1, keepdims=True)), axis=1)
    ranks = np.arange(count) / count
    return np.asarray(np.maximum(law - ranks, ranks + 1 / count - law).max(axis=1))


def _numbers(name: str, given: Tensor | Sequence[float], least: int) -> NDArray[np.float64]:
    try:
        values = torch.as_tensor(given, dtype=torch.float64).detach().cpu().numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name}: expected a sequence of numbers, got {given!r}.") from error
    if values.ndim != 1 or len(values) < least:
        raise ArgumentError(f"{name}: expected at least {least} numbers in a row, got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ArgumentError(f"{name}: expected finite numbers, got {int((~np.isfinite(values)).sum())} that are not.")
    return values


def _require_level(level: float) -> None:
    if not 0 < require_real("level", level, "a number strictly between 0 and 1") < 1:
        raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")

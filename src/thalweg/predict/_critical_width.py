"""The width from which on barriers are below a threshold."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.measures._require import require_real
from thalweg.predict._critical_width_results import CriticalWidth
from thalweg.predict._logistic import Logistic, logistic
from thalweg.vectors import draw_seeds

_Numbers = NDArray[np.float64]


def critical_width(
    widths: Shaped[Tensor, " m"] | Sequence[float],
    barriers: Float[Tensor, "m pairs"] | Sequence[Sequence[float]],
    threshold: float,
    *,
    depths: Shaped[Tensor, " m"] | Sequence[float] | None = None,
    depth: float | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    generator: torch.Generator | None = None,
) -> CriticalWidth:
    r"""Fit how barriers fall with the width of networks, and where they fall below a threshold.

    .. math:: b = A\, n^{-\alpha} L^{\beta}, \qquad n_c(\varepsilon) = \bigl(A L^{\beta} / \varepsilon\bigr)^{1/\alpha}

    by least squares in logarithms over all pairs, so that the law is that of the typical (median) pair. The interval is
    a bootstrap over the pairs within each width, its percentiles widened for small samples (Hesterberg, 2015). Where
    resampled barriers do not fall, n_c is infinite, and the interval is unbounded above if there are too many of those.

    Beside it a logistic fit of P(b < ε) on ln n (with Firth's penalty) assumes no power law and takes barriers of 0;
    its interval is Fieller's.

    For two-layer networks up to permutation theory has α ≈ ½ (Entezari et al., 2022, Theorem 3.1).

    Cost: none; the barriers are measured already.

    Valid for: the widths measured, if pairs are independent; pairs with a network in common are not, and the interval
    is then too narrow. Outside of the widths ``extrapolated`` is set: nothing there was seen, and a power law is an
    assumption. Barriers of 0 or less have no logarithm; they are left out and counted in ``dropped``, which makes
    n_c too large where the widest networks have them: with many of them read the logistic fit.

    Args:
        widths: n, shape (m,), at least two different ones.
        barriers: Excess barriers, one row a width, one column a pair of seeds, shape (m, pairs); NaN where missing.
        threshold: ε, above 0.
        depths: L of each row, for a sweep over depths, too.
        depth: L that n_c is wanted for; needed with more than one in ``depths``.
        level: Of the intervals.
        resamples: Of the bootstrap.
        generator: Of the bootstrap; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If the shapes do not fit, an argument has a wrong value, or fewer rows than the law needs have
            two positive barriers.

    Example:
        >>> widths = [16, 64, 256]
        >>> found = critical_width(widths, [[4 / n**0.5] * 3 for n in widths], threshold=0.4)
        >>> round(found.exponent, 9), round(found.width, 6), found.extrapolated
        (0.5, 100.0, False)
        >>> critical_width(widths, [[4 / n**0.5] * 3 for n in widths], threshold=0.1).extrapolated
        True
    """
    n, table, deep = _checked(widths, barriers, threshold, depths, level, resamples)
    asked = _asked_depth(deep, depth)
    positive = table > 0
    rows = np.nonzero(positive.sum(axis=1) >= 2)[0]
    design = _design(n, deep)
    if len(rows) < design.shape[1] or np.linalg.matrix_rank(design[rows]) < design.shape[1]:
        raise ArgumentError(
            f"barriers: expected at least two positive ones in {design.shape[1]} different rows or more, got "
            f"{len(rows)} such rows. Where barriers vanish there is no power law to fit."
        )
    samples = [np.log(table[i, positive[i]]) for i in rows]
    found = _least_squares(design[rows], samples)
    draws = _bootstrap(design[rows], samples, resamples, generator)
    tail = _tail(level, samples, design.shape[1])
    log_width, drawn = (_log_width(c, threshold, asked) for c in (found[None], draws))
    exponents = np.quantile(-draws[:, 1], [tail, 1 - tail])
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    width = _plain(float(log_width[0]))
    fit, share = _logistic_fit(n, table, threshold, deep)
    interval = None if fit is None else fit.interval(level)
    middle = None if fit is None or fit.slope <= 0 else _plain(fit.middle)
    return CriticalWidth(
        width=width,
        low=None if width is None else _plain(float(low)),
        high=None if width is None else _plain(float(high)),
        extrapolated=_outside(width, n),
        exponent=float(-found[1]),
        exponent_low=float(exponents[0]),
        exponent_high=float(exponents[1]),
        amplitude=math.exp(found[0]),
        depth_exponent=float(found[2]) if len(found) > 2 else None,
        depth=asked,
        lack_of_fit=_lack_of_fit(design[rows], samples, found),
        logistic_width=middle,
        logistic_low=None if middle is None or interval is None else _plain(interval[0]),
        logistic_high=None if middle is None or interval is None else _plain(interval[1]),
        logistic_extrapolated=_outside(middle, n),
        threshold=threshold,
        widths=torch.from_numpy(n),
        depths=None if deep is None else torch.from_numpy(deep),
        barriers=torch.from_numpy(table),
        share=torch.from_numpy(share),
        dropped=int((table <= 0).sum()),
        level=level,
        resamples=resamples,
    )


def _design(n: _Numbers, deep: _Numbers | None) -> _Numbers:
    columns = [np.ones_like(n), np.log(n)]
    if deep is not None and len(np.unique(deep)) > 1:
        columns.append(np.log(deep))
    return np.stack(columns, axis=1)


def _least_squares(design: _Numbers, samples: list[_Numbers]) -> _Numbers:
    # All samples of a row share its design: their mean with their number as weight gives the same coefficients.
    root = np.sqrt([len(row) for row in samples])
    means = np.array([row.mean() for row in samples])
    return np.asarray(np.linalg.lstsq(design * root[:, None], means * root, rcond=None)[0])


def _bootstrap(
    design: _Numbers, samples: list[_Numbers], resamples: int, generator: torch.Generator | None
) -> _Numbers:
    """Return coefficients of resampled pairs, shape (resamples, k)."""
    source = np.random.default_rng(draw_seeds(generator, 1)[0])
    means = np.stack([row[source.integers(len(row), size=(resamples, len(row)))].mean(axis=1) for row in samples])
    root = np.sqrt([len(row) for row in samples])[:, None]
    return np.asarray(np.linalg.lstsq(design * root, means * root, rcond=None)[0].T)


def _tail(level: float, samples: list[_Numbers], unknowns: int) -> float:
    """The share to cut at each end: resampled means of k numbers scatter by √((k − 1)/k) too little."""
    count = sum(len(row) for row in samples)
    dof = count - max(len(samples), unknowns)
    wider = math.sqrt(count / dof) * float(stats.t.ppf(0.5 + level / 2, dof))
    return float(stats.norm.sf(wider))


def _log_width(coefficients: _Numbers, threshold: float, depth: float | None) -> _Numbers:
    """Return ln n_c of each row of coefficients; infinite where the barrier does not fall."""
    height, slope = coefficients[:, 0], coefficients[:, 1]
    if coefficients.shape[1] > 2 and depth is not None:
        height = height + coefficients[:, 2] * math.log(depth)
    # A slope of mere rounding is none.
    falls = slope < -1e-12
    return np.where(falls, (math.log(threshold) - height) / np.where(falls, slope, -1.0), np.inf)


def _lack_of_fit(design: _Numbers, samples: list[_Numbers], found: _Numbers) -> float | None:
    free = len(samples) - design.shape[1]
    pure = sum(len(row) for row in samples) - len(samples)
    within = sum(float(((row - row.mean()) ** 2).sum()) for row in samples)
    if free < 1 or pure < 1 or within <= 1e-20:
        return None
    means, counts = np.array([row.mean() for row in samples]), np.array([len(row) for row in samples])
    between = float((counts * (means - design @ found) ** 2).sum())
    return float(stats.f.sf(between / free / (within / pure), free, pure))


def _logistic_fit(
    n: _Numbers, table: _Numbers, threshold: float, deep: _Numbers | None
) -> tuple[Logistic | None, _Numbers]:
    total = np.isfinite(table).sum(axis=1).astype(float)
    yes = (table < threshold).sum(axis=1).astype(float)
    share = yes / total
    # One variable; and where all or none are below, there is nothing to place the middle by.
    if (deep is not None and len(np.unique(deep)) > 1) or yes.sum() in (0, total.sum()):
        return None, share
    return logistic(np.log(n), yes, total), share


def _plain(log_width: float) -> float | None:
    # Beyond e³⁰⁰ it is no width, and no number that means anything.
    return math.exp(log_width) if abs(log_width) < 300 else None


def _outside(width: float | None, n: _Numbers) -> bool | None:
    return None if width is None else not float(n.min()) <= width <= float(n.max())


def _asked_depth(deep: _Numbers | None, depth: float | None) -> float | None:
    if deep is None:
        if depth is not None:
            raise ArgumentError("depth: expected none without depths, got one. Give the depth of each row as depths.")
        return None
    if depth is None:
        if len(np.unique(deep)) > 1:
            raise ArgumentError("depth: expected the depth that the critical width is wanted for, since depths differ.")
        return float(deep[0])
    if not depth > 0:
        raise ArgumentError(f"depth: expected a number above 0, got {depth}.")
    if len(np.unique(deep)) == 1 and depth != deep[0]:
        raise ArgumentError(f"depth: expected {deep[0]:g}, the only one measured, got {depth}.")
    return float(depth)


def _checked(
    widths: Tensor | Sequence[float],
    barriers: Tensor | Sequence[Sequence[float]],
    threshold: float,
    depths: Tensor | Sequence[float] | None,
    level: float,
    resamples: int,
) -> tuple[_Numbers, _Numbers, _Numbers | None]:
    n, table = _array("widths", widths), _array("barriers", barriers)
    if n.ndim != 1 or len(np.unique(n)) < 2 or not (np.isfinite(n) & (n > 0)).all():
        raise ArgumentError("widths: expected at least two different numbers above 0.")
    if table.ndim != 2 or len(table) != len(n):
        raise ArgumentError(f"barriers: expected shape ({len(n)}, pairs), one row a width, got {table.shape}.")
    if np.isinf(table).any() or not np.isfinite(table).any(axis=1).all():
        raise ArgumentError("barriers: expected finite numbers or NaN, with at least one number in each row.")
    deep = None if depths is None else _array("depths", depths)
    if deep is not None and (deep.shape != n.shape or not (np.isfinite(deep) & (deep > 0)).all()):
        raise ArgumentError(f"depths: expected {len(n)} numbers above 0, one a row.")
    if not 0 < require_real("threshold", threshold, "a number above 0") < math.inf:
        raise ArgumentError(f"threshold: expected a number above 0, got {threshold}.")
    if not 0 < require_real("level", level, "a number strictly between 0 and 1") < 1:
        raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 100:
        raise ArgumentError(f"resamples: expected a whole number of at least 100, got {resamples!r}.")
    return n, table, deep


def _array(name: str, given: object) -> _Numbers:
    try:
        return torch.as_tensor(given, dtype=torch.float64).detach().cpu().numpy().copy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name}: expected numbers, got {given!r}.") from error

"""When two minima lie in one connected part of {L ≤ c}: the Brownian bridge between them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from thalweg.errors import ArgumentError

_Numbers = NDArray[np.float64]


def connection_probability(
    level: ArrayLike, first: ArrayLike, second: ArrayLike, distance: ArrayLike, rate: ArrayLike, *, tries: int = 1
) -> float | _Numbers:
    r"""Return the probability that the path between two minima stays at or below a level of the loss.

    .. math:: P = 1 - (1 - f)^K, \qquad
              f = 1 - \exp\Bigl(-\frac{2 (c - L_1)_+ (c - L_2)_+}{s^2 r}\Bigr)

    The model takes the loss along a path of length r as the line between the losses of its ends plus a Brownian bridge
    with variance s² per unit length; f is the chance that its maximum is at most c (reflection principle; Karatzas &
    Shreve, 1991, section 4.3). K independent tries connect where one of them does. Without a random landscape there is
    no such probability: hold it against what is measured (:func:`thalweg.predict.reliability`).

    Limits: 0 at or below the higher end; 1 as r → 0 or s → 0 above it. Where r or s² is 0 the path is the line, and P
    is 1 at the higher end, too.

    Cost: none. Valid for: what the model describes. The losses along real paths are smooth and their rises correlated,
    so that s² has to be fitted (:func:`thalweg.predict.variance_rate`), and it differs between kinds of path.

    Args:
        level: c.
        first: L₁.
        second: L₂.
        distance: r, the length of the path; at least 0.
        rate: s², the variance of the loss per unit length; at least 0.
        tries: K, the number of independent paths.

    Returns:
        A number, or an array where the arguments are arrays, broadcast against one another.

    Raises:
        ArgumentError: If ``distance`` or ``rate`` is below 0, a number is not finite, the arrays cannot be broadcast
            against one another, or ``tries`` is below 1.

    Example:
        >>> round(connection_probability(1.0, 0.2, 0.4, 2.0, 0.5), 12)
        0.617107114025
        >>> round(connection_probability(1.0, 0.2, 0.4, 2.0, 0.5, tries=3), 6)
        0.943865
    """
    c, low, high = (_finite(name, x) for name, x in (("level", level), ("first", first), ("second", second)))
    _require_tries(tries)
    c, low, high, r, s2 = _together(c, low, high, *_scales(distance, rate, zero=True))
    product = np.maximum(c - low, 0) * np.maximum(c - high, 0)
    # Where nothing varies the path is the chord, whose maximum is the higher end.
    still = (c >= np.maximum(low, high)) * np.ones_like(product)
    with np.errstate(over="ignore"):
        moving = -np.expm1(-2 * tries * product / np.where(s2 * r > 0, s2 * r, 1.0))
    return _plain(np.where(s2 * r > 0, moving, still))


def connection_level(
    probability: ArrayLike, first: ArrayLike, second: ArrayLike, distance: ArrayLike, rate: ArrayLike, *, tries: int = 1
) -> float | _Numbers:
    r"""Return the level at which two minima are connected with a given probability.

    .. math:: c = \frac{L_1 + L_2}{2} + \sqrt{\frac{(L_1 - L_2)^2}{4} - \frac{s^2 r}{2 K} \ln(1 - P)}

    Cost: none. It is the inverse of :func:`connection_probability` in the level, and valid where that is.

    Args:
        probability: P, from 0 to below 1.
        first: L₁.
        second: L₂.
        distance: r, at least 0.
        rate: s², at least 0.
        tries: K.

    Raises:
        ArgumentError: As :func:`connection_probability`, or if ``probability`` lies outside of [0, 1).

    Example:
        >>> level = connection_level(0.9, 0.2, 0.4, 2.0, 0.5)
        >>> round(connection_probability(level, 0.2, 0.4, 2.0, 0.5), 12)
        0.9
    """
    p, low, high = (_finite(n, x) for n, x in (("probability", probability), ("first", first), ("second", second)))
    if not np.all((p >= 0) & (p < 1)):
        raise ArgumentError(f"probability: expected numbers from 0 to below 1, got {probability!r}.")
    _require_tries(tries)
    p, low, high, r, s2 = _together(p, low, high, *_scales(distance, rate, zero=True))
    half = (low - high) / 2
    return _plain((low + high) / 2 + np.sqrt(half**2 - s2 * r / (2 * tries) * np.log1p(-p)))


def rise_survival(rise: ArrayLike, distance: ArrayLike, rate: ArrayLike) -> float | _Numbers:
    r"""Return the probability that a Brownian bridge rises above its chord by more than x.

    .. math:: P(M > x) = \exp\Bigl(-\frac{2 x^2}{s^2 r}\Bigr)

    The law of Rayleigh with scale √(s²r)/2, whatever the losses of the ends: x is the barrier against the chord.

    Cost: none. Valid for: the continuous bridge. Its maximum over n points is lower, by about 0.58 √(s²r/n).

    Args:
        rise: x; at or below 0 the probability is 1.
        distance: r, above 0.
        rate: s², above 0.

    Raises:
        ArgumentError: If ``distance`` or ``rate`` is not above 0, or a number is not finite.

    Example:
        >>> round(rise_survival(0.5, 2.0, 0.5), 12)  # exp(−½)
        0.606530659713
    """
    x, r, s2 = _together(np.asarray(np.maximum(_finite("rise", rise), 0)), *_scales(distance, rate))
    # A product that underflows is no variance of 0; a quotient that overflows is a rise that never comes.
    with np.errstate(over="ignore"):
        return _plain(np.exp(-2 * (x / np.sqrt(r) / np.sqrt(s2)) ** 2))


def rise_moment(order: float, distance: ArrayLike, rate: ArrayLike) -> float | _Numbers:
    r"""Return a moment of the rise of a Brownian bridge above its chord.

    .. math:: \mathbb{E}\, M^k = \Bigl(\frac{s^2 r}{2}\Bigr)^{k/2}\, \Gamma\Bigl(1 + \frac{k}{2}\Bigr)

    So the mean is √(π s² r / 8), and the second moment s²r/2, from which s² is fitted.

    Cost: none. Valid for: the continuous bridge, as :func:`rise_survival`.

    Args:
        order: k, above −2.
        distance: r, above 0.
        rate: s², above 0.

    Raises:
        ArgumentError: If ``order`` is no number above −2, or ``distance`` or ``rate`` not above 0.

    Example:
        >>> round(rise_moment(2, 2.0, 0.5), 12)
        0.5
    """
    k = _finite("order", order)
    if k.ndim != 0 or k <= -2:
        raise ArgumentError(f"order: expected a number above -2, got {order}.")
    r, s2 = _together(*_scales(distance, rate))
    return _plain((np.sqrt(r / 2) * np.sqrt(s2)) ** float(k) * special.gamma(1 + float(k) / 2))


def _scales(distance: ArrayLike, rate: ArrayLike, *, zero: bool = False) -> tuple[_Numbers, _Numbers]:
    r, s2 = _finite("distance", distance), _finite("rate", rate)
    for name, values, given in (("distance", r, distance), ("rate", s2, rate)):
        if not np.all(values >= 0 if zero else values > 0):
            raise ArgumentError(f"{name}: expected numbers {'of at least' if zero else 'above'} 0, got {given!r}.")
    return r, s2


def _together(*arrays: _Numbers) -> tuple[_Numbers, ...]:
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ArgumentError(
            f"arguments: expected shapes that can be broadcast against one another, got {shapes}."
        ) from error


def _finite(name: str, given: ArrayLike) -> _Numbers:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name}: expected a number or an array of numbers, got {given!r}.") from error
    if not np.all(np.isfinite(values)):
        raise ArgumentError(f"{name}: expected finite numbers, got {given!r}.")
    return values


def _require_tries(tries: int) -> None:
    if isinstance(tries, bool) or not isinstance(tries, (int, np.integer)) or tries < 1:
        raise ArgumentError(f"tries: expected a whole number of at least 1, got {tries!r}.")


def _plain(values: _Numbers | np.float64) -> float | _Numbers:
    # A zero has a sign that nobody asked for.
    return float(values) + 0.0 if np.ndim(values) == 0 else np.asarray(values) + 0.0

"""Where ticks stand and what they say, on logarithmic axes and on axes that pass through zero."""

import math

import numpy as np

from thalweg.figures._numbers import number, power

# Up to so many ticks, steps within a decade are shown.
_FEW = 7


def decades(lowest: float, highest: float, most: int = 7) -> list[float]:
    """Return whole powers of ten within [lowest, highest], or 1-2-5 steps where there are fewer than two.

    Example:
        >>> decades(0.5, 2000.0)
        [1.0, 10.0, 100.0, 1000.0]
        >>> decades(0.3, 3.0)
        [0.5, 1.0, 2.0]
    """
    exponents = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    inside = [10.0**k for k in exponents if lowest <= 10.0**k <= highest]
    if len(inside) >= 2:
        return inside[:: -(-len(inside) // most)]
    return [m * 10.0**k for k in exponents for m in (1, 2, 5) if lowest <= m * 10.0**k <= highest]


def tick_text(value: float) -> str:
    """Write a tick: plain where that is short, else as a power of ten.

    Example:
        >>> print(tick_text(0.01), tick_text(1e-5), tick_text(-1e6))
        0.01 10⁻⁵ −10⁶
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}".replace("-", "−")
    exponent = round(math.log10(abs(value)))
    if math.isclose(abs(value), 10.0**exponent, rel_tol=1e-9):
        return ("−" if value < 0 else "") + power(exponent)
    return number(value, 1)


def symlog_threshold(values: np.ndarray) -> float:
    """Return a power of ten near the smallest magnitude, but not below 10⁻⁵ of the largest one."""
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0)])
    if magnitudes.size == 0:
        return 1.0
    smallest = max(float(magnitudes.min()), 1e-5 * float(magnitudes.max()))
    return float(10.0 ** math.floor(math.log10(smallest)))


def symlog(values: np.ndarray, threshold: float) -> np.ndarray:
    """Return sign(v)·log₁₀(1 + |v|/threshold): linear near zero, logarithmic far from it, smooth between.

    Example:
        >>> symlog(np.array([-9.0, 0.0, 99.0]), 1.0).tolist()
        [-1.0, 0.0, 2.0]
    """
    return np.asarray(np.sign(values) * np.log10(1 + np.abs(values) / threshold))


def symlog_inverse(values: np.ndarray, threshold: float) -> np.ndarray:
    """Undo :func:`symlog`."""
    return np.asarray(np.sign(values) * threshold * (10 ** np.abs(values) - 1))


def symlog_ticks(lowest: float, highest: float, threshold: float, most: int = 9) -> list[float]:
    """Return zero and signed powers of ten within [lowest, highest], or 1-2-5 steps where these are few.

    They begin at ten times the threshold (1-2-5 steps at half of that), as the threshold itself would stand too close
    to zero; it is a tick only where there are no others.

    Example:
        >>> symlog_ticks(-20.0, 5000.0, 1.0)
        [-10.0, 0.0, 10.0, 100.0, 1000.0]
        >>> symlog_ticks(-2.0, 50.0, 1.0)
        [0.0, 5.0, 10.0, 20.0, 50.0]
    """
    far = max(abs(lowest), abs(highest)) >= 10 * threshold
    first = round(math.log10(threshold)) + far
    last = math.ceil(math.log10(max(abs(lowest), abs(highest), threshold)))

    def signed(sizes: list[float]) -> list[float]:
        return [-p for p in reversed(sizes) if -p >= lowest] + [0.0] + [p for p in sizes if p <= highest]

    steps = [m * 10.0**k for k in range(first - far, last + 1) for m in (1, 2, 5)][2 * far :]
    if len(signed(steps)) <= _FEW:
        return signed(steps)
    powers = [10.0**k for k in range(first, last + 1)]
    step = 1
    while len(signed(powers[::step])) > most:
        step += 1
    return signed(powers[::step])

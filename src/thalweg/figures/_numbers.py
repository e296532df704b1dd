"""Numbers as a person would write them."""

import math

from thalweg.estimate import format_with_error

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, a real minus sign and no letter e.

    Example:
        >>> print(number(-0.30561), number(1234567.0), number(0.0000321), number(52330))
        −0.306 1.23×10⁶ 3.21×10⁻⁵ 52330
    """
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 < exponent < 6:
        decimals = max(digits - 1 - exponent, 0)
        text = f"{value:.{decimals}f}"
        # Rounding up may have made a further digit: 0.9999 becomes 1.000, which is one too many.
        if decimals and exponent != math.floor(math.log10(abs(float(text)))):
            text = f"{value:.{decimals - 1}f}"
        return text.replace("-", "−")
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}"
    if abs(float(mantissa)) >= 10:
        mantissa, exponent = f"{value / 10.0 ** (exponent + 1):.{digits - 1}f}", exponent + 1
    return f"{mantissa}×{power(exponent)}".replace("-", "−")


def power(exponent: int) -> str:
    """Write a power of ten.

    Example:
        >>> print(power(-4))
        10⁻⁴
    """
    return "10" + str(exponent).translate(_RAISED)


def with_error(value: float, error: float | None, digits: int = 3) -> str:
    """Write ``value ± error``, with a common power of ten where the numbers are very small or large.

    Example:
        >>> print(with_error(41.7312, 0.0213), with_error(-3.21e-5, 2e-7), with_error(2.0, None))
        41.731 ± 0.021 (−3.210 ± 0.020)×10⁻⁵ 2.00
        >>> print(with_error(-0.0126034, 4.7e-06, digits=2))
        −0.0126 ± 5×10⁻⁶
    """
    if error is None or error == 0 or not math.isfinite(error) or not math.isfinite(value):
        return number(value, digits)
    size = max(abs(value), error)
    exponent = math.floor(math.log10(size))
    # An error below the digits that are wanted would bring more of them.
    if error < 10.0 ** -(digits + 1) * size:
        return f"{number(value, digits + 1)} ± {number(error, 1)}"
    if -4 < exponent < 6:
        return format_with_error(value, error).replace("-", "−")
    scale = 10.0**exponent
    return f"({format_with_error(value / scale, error / scale)})×{power(exponent)}".replace("-", "−")


def thousands(count: int) -> str:
    """Write a count with its digits in groups of three.

    Example:
        >>> print(thousands(269322))
        269,322
    """
    return f"{count:,}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share as a percentage.

    Example:
        >>> print(percent(0.98333), percent(0.00004))
        98.3 % < 0.1 %
    """
    smallest = 10.0**-digits
    if 0 < share * 100 < smallest:
        return f"< {smallest:g} %"
    return f"{share * 100:.{digits}f} %".replace("-", "−")


def duration(seconds: float) -> str:
    """Write a time.

    Example:
        >>> print(duration(0.0312), duration(12.34), duration(187.0), duration(7260.0))
        0.031 s 12.3 s 3 min 7 s 2 h 1 min
    """
    if seconds < 1:
        return f"{number(seconds, 2)} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

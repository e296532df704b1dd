"""Points and spans of scans, as callers give them: one for all axes, or one for each."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape._sampling import grid, require_points

Span = tuple[float, float]


def axes_of(points: int | Sequence[int], span: Span | Sequence[Span], count: int) -> list[Float[Tensor, " n"]]:
    """Return the coefficients along each of so many directions, in their order.

    Raises:
        ArgumentError: If there is not one of each for all directions or for every one, or one is out of range.
    """
    numbers, spans = points_of(points, count), spans_of(span, count)
    return [grid(one, number) for one, number in zip(spans, numbers, strict=True)]


def plane_axes(
    points: int | tuple[int, int], span: Span | tuple[Span, Span]
) -> tuple[Float[Tensor, " columns"], Float[Tensor, " rows"]]:
    """Return the coefficients x and y of a plane; points are (rows, columns), and spans those of x and of y.

    Raises:
        ArgumentError: As :func:`axes_of`.
    """
    rows, columns = points_of(points, 2)
    across, up = spans_of(span, 2)
    return grid(across, columns), grid(up, rows)


def points_of(points: Any, count: int) -> list[int]:
    """Return how many points each of the axes has.

    Raises:
        ArgumentError: If they are not whole numbers of at least two, one or as many as axes.
    """
    if not isinstance(points, Sequence) or isinstance(points, str):
        return [require_points(points)] * count
    if len(points) != count:
        raise ArgumentError(f"points: expected a number, or one for each of {count} directions, got {points!r}.")
    return [require_points(number) for number in points]


def spans_of(span: Any, count: int) -> list[Span]:
    """Return the first and the last coefficient along each of the axes.

    Raises:
        ArgumentError: If they are neither one pair of numbers nor as many pairs as axes.
    """
    pairs = list(span) if _paired(span) else []
    if len(pairs) == 2 and not any(_paired(end) for end in pairs):
        return [(pairs[0], pairs[1])] * count
    if len(pairs) != count or not all(_paired(one) and len(one) == 2 for one in pairs):
        raise ArgumentError(
            f"span: expected (first, last), or such a pair for each of {count} directions, got {span!r}."
        )
    return [(one[0], one[1]) for one in pairs]


def _paired(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)

"""The loop: look at the slope, move by the rule."""

import math
from collections.abc import Callable
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import NonFiniteError
from thalweg.progress import Progress

Slope = Callable[[Float[Tensor, " p"]], tuple[float, Float[Tensor, " p"]]]
Schedule = Callable[[int], float]
Watch = Callable[[int, float, Float[Tensor, " p"]], bool | None]


class Rule(Protocol):
    """Where to go from a point: an optimizer or a sampler, with its own state."""

    def __call__(self, point: Float[Tensor, " p"], gradient: Float[Tensor, " p"], share: float) -> Float[Tensor, " p"]:
        """Return the next point; ``share`` scales the step, as a schedule does. Its arguments stay what they are."""
        ...


def follow(
    slope: Slope,
    start: Float[Tensor, " p"],
    rule: Rule,
    steps: int,
    *,
    schedule: Schedule | None = None,
    watch: Watch | None = None,
    bar: Progress | None = None,
) -> Float[Tensor, " p"]:
    """Take steps from a point, and return where they lead.

    Args:
        slope: Value and gradient at a point; it may draw.
        start: The first point.
        rule: Where to go.
        steps: How many.
        schedule: The share of the rule's step by its number from 0; constant 1 by default.
        watch: Told of the number of each step, and the value and the point before it; where it returns ``True``, the
            walk ends at that point.
        bar: Told of every step.

    Raises:
        NonFiniteError: If a value is not finite; the message says at which step.
    """
    point = start.detach().clone()
    for step in range(steps):
        try:
            value, gradient = slope(point)
        except NonFiniteError as error:
            raise _diverged(step, str(error)) from error
        if not math.isfinite(value):
            raise _diverged(step, f"the value is {value}.")
        if watch is not None and watch(step, value, point):
            break
        point = rule(point, gradient, 1.0 if schedule is None else schedule(step))
        if bar is not None:
            bar.advance()
    return point


def cosine(steps: int) -> Schedule:
    """Return a schedule that falls from 1 to almost 0 in half a wave.

    Args:
        steps: Over how many steps.
    """
    return lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))


def _diverged(step: int, what: str) -> NonFiniteError:
    return NonFiniteError(f"step {step + 1} (counted from 1): {what} Take smaller steps.")

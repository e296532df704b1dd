"""Loss and metrics at many points: the one loop behind paths, lines and planes."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.estimate import Cost
from thalweg.landscape._landscape import Landscape
from thalweg.progress import Progress, track


@dataclass(frozen=True)
class Samples:
    """Loss and metrics at n points.

    Attributes:
        loss: Shape (n,), float64 on the processor; NaN where the loss of a batch is not finite.
        metrics: Each of shape (n,), NaN at the same points.
        cost: What they took.
    """

    loss: Float[Tensor, " n"]
    metrics: dict[str, Float[Tensor, " n"]]
    cost: Cost


def sample(points: Iterable[Landscape], count: int, description: str, progress: bool | Progress = False) -> Samples:
    """Evaluate landscapes one after the other, in the order in which they come.

    A loss that is not finite becomes NaN at its place and the walk goes on; nothing is filled in for it.

    Args:
        points: The landscapes, each at its own point; made one at a time if this is a generator.
        count: Their number n.
        description: For the progress bar.
        progress: See :mod:`thalweg.progress`.
    """
    started = time.perf_counter()
    loss = torch.full((count,), math.nan, dtype=torch.float64)
    metrics: dict[str, Tensor] = {}
    with track(count, description, progress) as bar:
        for index, point in enumerate(points):
            try:
                found = point.evaluate()
            except NonFiniteError:
                bar.advance(note="not finite")
                continue
            loss[index] = found.loss.value
            for name, estimate in found.metrics.items():
                metrics.setdefault(name, torch.full_like(loss, math.nan))[index] = estimate.value
            bar.advance(note=f"loss {found.loss.value:.4g}")
    return Samples(loss, metrics, Cost(losses=count, seconds=time.perf_counter() - started))


def grid(span: tuple[float, float], points: int) -> Float[Tensor, " n"]:
    """Return equally spaced numbers in double precision.

    Both ends are met exactly, and so is 0 wherever it lies on the grid: entry i is
    (first·(n−1−i) + last·i) / (n−1), one rounding of a sum that vanishes, and no sum of steps.

    Raises:
        ArgumentError: If there are fewer than two points, or the span is not finite and increasing.

    Example:
        >>> grid((-0.5, 1.5), 61)[[0, 15, 45, 60]]
        tensor([-0.5000,  0.0000,  1.0000,  1.5000], dtype=torch.float64)
    """
    first, last = float(span[0]), float(span[1])
    if isinstance(points, bool) or points < 2:
        raise ArgumentError(f"points: expected at least 2, got {points}.")
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise ArgumentError(f"span: expected two finite numbers, the first below the second, got ({first}, {last}).")
    steps = torch.arange(points, dtype=torch.float64)
    values = (first * (points - 1 - steps) + last * steps) / (points - 1)
    values[0], values[-1] = first, last
    return values

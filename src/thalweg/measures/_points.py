"""Data points as rows of numbers, whatever they come as."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, DataError, MemoryBudgetError
from thalweg.landscape import Landscape
from thalweg.memory import free_bytes

Points = Tensor | Landscape | Iterable[Any]


class Rows:
    """The points of a tensor, or of batches, as rows in double precision, batch by batch.

    Args:
        points: A tensor with a point along its first axis, batches of such, or batches whose first part is one.
        least: How many there must be.

    Attributes:
        count: Points N.
        features: Numbers a point.

    Raises:
        ArgumentError: If it is none of these.
        DataError: If they are too few, of several lengths, not finite, or can be read only once.
    """

    def __init__(self, points: Points, least: int) -> None:
        self._source: Iterable[Any] = [points] if isinstance(points, Tensor) else _batches(points)
        self.count, self.features = 0, 0
        for batch in self:
            self.count += len(batch)
            self.features = batch.shape[1]
        if self.count < least:
            raise DataError(f"points: expected at least {least}, got {self.count}.")

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._source:
            inputs = batch[0] if isinstance(batch, (tuple, list)) and len(batch) else batch
            if not isinstance(inputs, Tensor) or inputs.ndim == 0 or inputs.is_complex():
                got = "complex numbers" if isinstance(inputs, Tensor) and inputs.ndim else type(inputs).__name__
                raise ArgumentError(
                    f"points: expected tensors with a point along their first axis, or pairs that begin with one, got "
                    f"{got}."
                )
            if len(inputs) == 0:
                continue
            rows = inputs.detach().reshape(len(inputs), -1).to(torch.float64)
            if rows.shape[1] == 0:
                raise DataError("points: expected at least one number each, got none.")
            if self.features not in (0, rows.shape[1]):
                raise DataError(f"points: expected {self.features} numbers each, got {rows.shape[1]}.")
            if not bool(rows.isfinite().all()):
                raise DataError("points: expected finite numbers, got one that is infinite or not a number.")
            yield rows

    def joined(self) -> Tensor:
        """Return all points as one matrix (N, features).

        Raises:
            MemoryBudgetError: If it would not fit.
        """
        first = next(iter(self))
        require_memory(self.count * self.features, first.device, "points")
        return torch.cat(list(self))


def require_memory(entries: int, device: torch.device, name: str) -> None:
    """Refuse to hold more numbers in double precision than are free.

    Raises:
        MemoryBudgetError: If there are more.
    """
    free = free_bytes(device)
    if 8 * entries > free:
        raise MemoryBudgetError(
            f"{name}: expected to need at most the {free / 1e9:.3g} GB that are free, but {8 * entries / 1e9:.3g} GB "
            "would be held. Take fewer points."
        )


def _batches(points: Any) -> Iterable[Any]:
    if isinstance(points, Landscape):
        return points.data
    if not isinstance(points, Iterable):
        raise ArgumentError(f"points: expected a tensor, batches or a landscape, got {type(points).__name__}.")
    if iter(points) is points:
        raise DataError("points: expected batches that can be read more than once, got an iterator. Pass list(points).")
    return points

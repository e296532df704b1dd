"""Where the batches of a training run come from."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape._batches import Batch

_EVALUATION_BATCH = 1000  # items a pass; in eval mode the numbers do not depend on it


@runtime_checkable
class Items(Protocol):
    """What training needs of a data set; :class:`thalweg.data.Dataset` has it."""

    def split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of a split, each with one row an item."""

    def batches(self, split: Literal["train", "test"], batch_size: int) -> Sequence[tuple[Tensor, Tensor]]:
        """Cut a split into batches, in order."""


@dataclass(frozen=True)
class Source:
    """Batches in a new order each epoch, and the same data in a fixed order to measure on.

    Attributes:
        steps: Batches an epoch.
        shuffled: Yields the batches of one epoch in an order drawn from a generator.
        train: The training data, in order.
        test: The test data, or ``None``.
    """

    steps: int
    shuffled: Callable[[torch.Generator], Iterator[Batch]]
    train: Sequence[Batch]
    test: Sequence[Batch] | None


def source_of(data: Items | Sequence[Batch], batch_size: int | None, test: Sequence[Batch] | None) -> Source:
    """Cut a data set into batches of shuffled items, or shuffle ready-made batches.

    Raises:
        ArgumentError: If ``batch_size`` does not fit the kind of data, or these are neither.
    """
    if isinstance(data, Items):
        return _from_items(data, batch_size, test)
    if not isinstance(data, Sequence):
        raise ArgumentError(
            f"data: expected a Dataset or a sequence of batches, got {type(data).__name__}. "
            "Turn an iterable into a list of its batches: list(data)."
        )
    if batch_size is not None:
        raise ArgumentError(f"batch_size: expected None with ready-made batches, got {batch_size}.")

    def batches(generator: torch.Generator) -> Iterator[Batch]:
        for index in _order(len(data), generator).tolist():
            yield data[index]

    return Source(len(data), batches, data, test)


def _from_items(data: Items, batch_size: int | None, test: Sequence[Batch] | None) -> Source:
    if batch_size is None or batch_size < 1:
        raise ArgumentError(f"batch_size: expected at least 1 with a data set, got {batch_size}.")
    inputs, targets = data.split("train")

    def items(generator: torch.Generator) -> Iterator[Batch]:
        for chosen in torch.split(_order(len(inputs), generator), batch_size):
            yield inputs[chosen], targets[chosen]

    held_out = data.batches("test", _EVALUATION_BATCH) or None
    return Source(
        steps=math.ceil(len(inputs) / batch_size),
        shuffled=items,
        train=data.batches("train", _EVALUATION_BATCH),
        test=held_out if test is None else test,
    )


def _order(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randperm(count, generator=generator, device=generator.device).cpu()

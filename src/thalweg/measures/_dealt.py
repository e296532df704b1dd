"""The data of a landscape, dealt at random into parts that are landscapes of their own."""

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, DataError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, joined, rows_of, taken
from thalweg.landscape._cuttable import rows_are_items
from thalweg.vectors import draw_seeds


def dealt(landscape: Landscape, parts: int, generator: torch.Generator) -> list[Landscape]:
    """Deal the data items into parts whose sizes differ by at most one, whatever the batches and their order.

    The parts hold copies of the data, joined to large batches where their shapes allow it.

    Raises:
        ArgumentError: If the landscape is in train mode, or has fewer items than there are parts.
        DataError: If batches cannot be cut between their items, or a part has no weight.
    """
    return [landscape.on(part) for part in hands(landscape, parts, generator)]


def hands(landscape: Landscape, parts: int, generator: torch.Generator) -> list[list[Batch]]:
    """Deal the data items as :func:`dealt` does, and return the parts' batches, with weight or without.

    Raises:
        ArgumentError: If the landscape is in train mode, or has fewer items than there are parts.
        DataError: If batches cannot be cut between their items.
    """
    if landscape.mode == "train":
        raise ArgumentError(
            "landscape: expected one with mode='eval', got mode='train', where the batch is the unit: batch statistics "
            "of a part of a batch are others than those of the whole."
        )
    if not landscape.objective.splits:
        raise DataError(
            f"landscape: expected an objective whose batches can be cut, and {landscape.objective.name} sees a batch "
            "as a whole."
        )
    if landscape.count < parts:
        raise ArgumentError(f"parts: expected at most the {landscape.count} data items, got {parts}.")
    seed = draw_seeds(generator, 1)[0]
    order = torch.randperm(landscape.count, generator=torch.Generator().manual_seed(seed))
    return _hands(landscape, order % parts, parts)


def _hands(landscape: Landscape, part_of: Tensor, parts: int) -> list[list[Batch]]:
    hands: list[list[Batch]] = [[] for _ in range(parts)]
    start = 0
    for batch in landscape.data:
        rows = rows_of(batch, "landscape")
        if not rows_are_items(batch, landscape.objective):
            raise DataError(
                f"landscape: expected one row a data item, since sample_of of {landscape.objective.name} puts several "
                "rows of a batch into one item, which a cut would tear apart."
            )
        here = part_of[start : start + rows]
        start += rows
        for part, hand in enumerate(hands):
            index = (here == part).nonzero().squeeze(1)
            if len(index):
                hand.append(taken(batch, index))
    return [joined(hand) for hand in hands]


def weightless(landscape: Landscape, part: list[Batch]) -> bool:
    """Whether all terms of these batches are masked."""
    weights = landscape.objective.weights
    return weights is not None and not any(bool((weights(batch) > 0).any()) for batch in part)

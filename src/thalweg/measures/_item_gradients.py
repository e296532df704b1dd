"""How far the gradients of single data items lie from their mean, without holding them all."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError, NonFiniteError
from thalweg.krylov._widened import held
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, split, taken, tensors_of
from thalweg.landscape._gradients import gradients_of
from thalweg.measures._linear_layers import Factored, ItemGradients, factored, item_gradients
from thalweg.memory import free_bytes
from thalweg.operators.engines import cuttable
from thalweg.operators.engines._memory import held_bytes
from thalweg.progress import Progress

Memory = int | Literal["auto"]
Way = Literal["auto", "together", "one by one"]

# Items that go together at the most: longer vectorised passes were no faster.
_MOST = 256
# Items that both ways are tried on.
_TRIED = 2


@dataclass(frozen=True)
class Distances:
    """The items' gradients g_i against their mean.

    Attributes:
        squares: ‖g_i − ḡ‖², shape (N,).
        along: (g_i − ḡ)ᵀḡ, shape (N,).
        way: How they were computed.
    """

    squares: Tensor
    along: Tensor
    way: str


def distances(landscape: Landscape, mean: Tensor, memory: Memory, bar: Progress, way: Way = "auto") -> Distances:
    """Pass once over the data, item by item or many together, whichever is faster and fits.

    Cost: about one to three gradients, and N of one item where items cannot go together.

    Args:
        landscape: In eval mode, its items visible.
        mean: ḡ, shape (P,), of single precision at least.
        memory: Bytes for the gradients and graphs of some items, or "auto" for half of what is free.
        bar: Told of every item.
        way: "together" where that is right, however fast it is; "one by one"; or "auto".

    Raises:
        ArgumentError: If ``memory`` is neither "auto" nor a number of bytes, or ``way`` is none of these.
        MemoryBudgetError: If ``memory`` does not hold the gradient of one item.
        NonFiniteError: If the gradient of an item is not finite.
    """
    if memory != "auto" and (isinstance(memory, bool) or not isinstance(memory, int) or memory < 0):
        raise ArgumentError(f"memory: expected 'auto' or a number of bytes, got {memory!r}.")
    each = landscape.space.local_size * torch.finfo(landscape.space.dtype).bits // 8
    budget = free_bytes(landscape.space.device) // 2 if memory == "auto" else memory
    if budget < each:
        raise MemoryBudgetError(
            f"memory: expected room for the gradient of one item, {each:,} bytes, got {budget:,}. Raise it, or select "
            "fewer parameters."
        )
    if way not in ("auto", "together", "one by one"):
        raise ArgumentError(f"way: expected 'auto', 'together' or 'one by one', got {way!r}.")
    walk = _Walk(landscape, mean, budget, way)
    found = list[Tensor]()
    with landscape.reading():
        for _, batch in landscape.batches():
            for pairs in walk.batch(batch):
                found.append(pairs)
                bar.advance(len(pairs))
    pairs = torch.cat(found)
    broken = (~pairs.isfinite()).any(dim=1)
    if bool(broken.any()):
        raise NonFiniteError(
            f"gradient: expected finite entries, got a non-finite one for data item {int(broken.nonzero()[0])} "
            "(counted from 0)."
        )
    return Distances(pairs[:, 0].clamp_min(0).cpu(), pairs[:, 1].cpu(), walk.way or "item by item")


class _Walk:
    """One pass over the items, in the way that the first items were fastest in.

    Args:
        landscape: Where.
        mean: ḡ.
        budget: Bytes.
        way: What was asked for.
    """

    def __init__(self, landscape: Landscape, mean: Tensor, budget: int, way: Way) -> None:
        self._landscape, self._mean, self._budget = landscape, mean, budget
        self._scale = landscape.count / landscape.weight
        self._means = landscape.layout.views(mean)
        self._shapes = dict[object, tuple[Factored, int]]()
        self._wanted = way
        self.way: str | None = "item by item" if way == "one by one" else None

    def batch(self, batch: Batch) -> Iterator[Tensor]:
        """Yield pairs (‖g_i − ḡ‖², (g_i − ḡ)ᵀḡ), shape (n, 2)."""
        if not cuttable(self._landscape, batch):
            yield self._one_graph(batch)
            return
        few = len(next(tensors_of(batch))) <= 2 * _TRIED
        if self.way is None and not few:
            batch, done = self._tried(batch)
            yield from done
        if self.way == "items together":
            for piece in split(batch, self._shape(batch)[1]):
                yield self._group(piece)
            return
        for item in split(batch, 1):
            yield self._one_graph(item)

    def _group(self, piece: Batch) -> Tensor:
        """The items of one piece together, and one by one from the first that cannot be."""
        if self.way == "items together":
            try:
                return self._together(piece)
            except RuntimeError:
                # Vectorised derivatives have holes of many kinds; what went wrong for other reasons will do so again.
                self.way = "item by item"
        return torch.cat([self._one_graph(item) for item in split(piece, 1)])

    def _one_graph(self, batch: Batch) -> Tensor:
        """The items of one batch, one gradient after the other."""
        leaves = self._landscape.leaves()
        items = self._landscape.terms(leaves, batch).item_sums()
        rows = [self._pair(gradients_of(item, leaves, retain_graph=len(items) > 1)) for item in items]
        return torch.stack(rows)

    def _pair(self, parts: tuple[Tensor | None, ...]) -> Tensor:
        gap = self._landscape.layout.flatten(parts, self._mean).mul_(self._scale).sub_(self._mean)
        space = held(self._landscape.space)
        return torch.tensor([space.norm(gap) ** 2, space.dot(gap, self._mean)], dtype=torch.float64)

    def _together(self, piece: Batch) -> Tensor:
        """The items of one piece, by vectorised derivatives."""
        found = self._shape(piece)[0]
        with warnings.catch_warnings():
            # An operation without a rule of its own is looped over; the trial has seen whether that is fast enough.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            gradients = item_gradients(self._landscape, found, piece, list(tensors_of(piece)))
        return self._pairs(gradients)

    def _pairs(self, gradients: ItemGradients) -> Tensor:
        total: Tensor | float = 0.0
        for place, rows in gradients.formed.items():
            mean = self._means[place]
            gap = (self._scale * rows.to(mean.dtype) - mean).flatten(start_dim=1)
            total = total + torch.stack([_squares(gap), (gap @ mean.flatten()).double()], dim=1)
        for place, (slopes, inputs) in gradients.factors.items():
            total = total + _of_weight(slopes, inputs, self._means[place], self._scale)
        assert isinstance(total, Tensor)  # noqa: S101 - a landscape has at least one parameter
        return total.cpu()

    def _shape(self, batch: Batch) -> tuple[Factored, int]:
        """What linear layers do to items of this shape, and how many items fit."""
        kind = tuple((tensor.shape[1:], tensor.dtype) for tensor in tensors_of(batch))
        if kind not in self._shapes:
            # A copy: a view would be counted as all of the batch.
            item = taken(batch, torch.zeros(1, dtype=torch.long))
            with held_bytes(self._landscape) as saved:
                graph = self._landscape.terms(self._landscape.leaves(), item).weighted_sum()
            del graph
            found = factored(self._landscape, item)
            sizes = self._landscape.layout.sizes
            width = torch.finfo(self._landscape.space.dtype).bits // 8
            # Gradients, what lies between them and their mean, and a copy; factors are as large as what is saved.
            formed = 3 * width * sum(sizes[place] for place in found.others)
            largest = 3 * width * max((sizes[place] for place in found.weights), default=0)
            each = formed + (largest if _longest(found) > 1 else 0) + 4 * saved.total
            self._shapes[kind] = found, max(1, min(_MOST, self._budget // max(each, 1)))
        return self._shapes[kind]

    def _tried(self, batch: Batch) -> tuple[Batch, list[Tensor]]:
        """Try both ways on the first items; they go together from then on if that is right and faster.

        Returns:
            The items that are left, and what was found for those before them.
        """
        count = len(next(tensors_of(batch)))
        few = list(split(batch, 1))[: _TRIED + 1]
        self.way = "item by item"
        self._one_graph(few[0])  # warms up
        started = time.perf_counter()
        trusted = torch.cat([self._one_graph(item) for item in few[1:]])
        alone = (time.perf_counter() - started) / _TRIED
        try:
            size = min(self._shape(batch)[1], count)
            self._together(taken(batch, torch.arange(min(_TRIED, size))))
            started = time.perf_counter()
            quick = self._together(taken(batch, torch.arange(size)))
        except RuntimeError:
            return batch, []
        elapsed = (time.perf_counter() - started) / size
        if size <= _TRIED or not self._agree(quick[1 : _TRIED + 1], trusted):
            return batch, []
        if self._wanted == "together" or elapsed <= 0.95 * alone:
            self.way = "items together"
        return taken(batch, torch.arange(size, count)), [quick]

    def _agree(self, quick: Tensor, trusted: Tensor) -> bool:
        tolerance = 10 * self._landscape.precision**0.5
        return bool(((quick - trusted).abs() <= tolerance * trusted.abs().max(dim=0).values).all())


def _longest(found: Factored) -> int:
    """Rows of the longest factor."""
    rows = dict[int, int]()
    for use in found.uses:
        rows[use.weight] = rows.get(use.weight, 0) + use.shape[:-1].numel()
    return max(rows.values(), default=0)


def _squares(rows: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return norms.square()


def _of_weight(slopes: Tensor, inputs: Tensor, mean: Tensor, scale: float) -> Tensor:
    """The same pairs for G_i = s Σ_t δ_t a_tᵀ, formed only where that is less work than inner products of factors.

    For one row, ‖δaᵀ‖² = ‖δ‖²‖a‖² (Goodfellow, 2015).
    """
    rows, out, into = slopes.shape[1], slopes.shape[2], inputs.shape[2]
    if rows > 1 and rows * (out + into) > out * into:
        gap = scale * (slopes.mT @ inputs).to(mean.dtype) - mean
        return torch.stack([_squares(gap.flatten(start_dim=1)), (gap * mean).sum(dim=(1, 2)).double()], dim=1)
    if rows == 1:
        size = _squares(slopes[:, 0]) * _squares(inputs[:, 0])
    else:
        size = ((slopes @ slopes.mT).double() * (inputs @ inputs.mT).double()).sum(dim=(1, 2))
    along = scale * ((slopes.to(mean.dtype) @ mean).double() * inputs.double()).sum(dim=(1, 2))
    own = mean.double().square().sum()
    return torch.stack([scale**2 * size - 2 * along + own, along - own], dim=1)

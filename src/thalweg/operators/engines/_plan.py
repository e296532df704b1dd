"""How large may a micro-batch be, and how many graphs may stay? An estimate before the memory is taken."""

import math
from dataclasses import dataclass

import torch

from thalweg.errors import MemoryBudgetError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, split, tensors_of
from thalweg.landscape._cuttable import rows_are_items
from thalweg.memory import ran_out
from thalweg.operators._form import Form
from thalweg.operators.engines._explained import require_connected, require_second_derivatives
from thalweg.operators.engines._graphs import differentiable, linearise
from thalweg.operators.engines._memory import held_bytes
from thalweg.record import Record

# What goes through a graph for one vector, in units of what the graph holds: cotangents, or tangents and cotangents.
# Measured peaks of blocks, with what the allocator cannot use again: 3.5 graphs for vectors in turn, 10 + 2k for k that
# go backward together, 1 + 3k for k tangents.
_PASSING = {"double-backward": 3.5, "forward-over-reverse": 3.5}


@dataclass(frozen=True)
class MemoryPlan(Record):
    """What products will take, estimated before it is taken.

    Attributes:
        microbatch: Samples a pass; ``None`` for the landscape's own batches.
        room: Bytes for kept graphs.
        graph: Bytes of the graph of one pass.
        graphs: Bytes of the graphs of all passes.
        passing: Bytes of one graph, of what goes through it for one vector, and of the vectors.
    """

    microbatch: int | None
    room: int
    graph: int
    graphs: int
    passing: int

    @property
    def peak(self) -> int:
        """Bytes at the most for a single vector, beyond the landscape, graphs kept."""
        return self.passing + min(self.room, max(self.graphs - self.graph, 0))

    @property
    def mostly_kept(self) -> bool:
        """Whether at least half of the graphs fit into the room."""
        return self.graphs <= 2 * self.room

    def __str__(self) -> str:
        size = "whole batches" if self.microbatch is None else f"passes of {self.microbatch} samples"
        kept = f"{_megabytes(min(self.room, self.graphs))} of {_megabytes(self.graphs)} of graphs kept"
        return f"{size}, {kept}, about {_megabytes(self.peak)} at the most"

    def left(self, *, keep: bool) -> int:
        """Return the bytes that kept graphs leave of the room."""
        return max(self.room - self.graphs, 0) if keep else self.room

    def spare(self, *, keep: bool) -> bool:
        """Whether other engines may be tried, with a graph of their own."""
        return self.left(keep=keep) >= 8 * self.graph

    def together(self, engine: str, *, keep: bool) -> int:
        """Return how many vectors may go through a graph together."""
        graphs = self.left(keep=keep) / max(self.graph, 1)
        if engine == "double-backward":
            return max(1, int((graphs - 8) / 2.5))
        return 1 + int(graphs / _PASSING[engine])


def plan(
    landscape: Landscape, form: Form, budget: int, engine: str = "double-backward", *, most: int | None = None
) -> MemoryPlan:
    """Measure the graphs of one and of two samples, and choose what fits; where batches cannot be cut, of the first.

    Cost: two linearisations of so many samples, each about a gradient's.

    Args:
        landscape: Where to differentiate.
        form: What will be multiplied with.
        budget: Bytes that products may hold beyond the landscape.
        engine: By which they are made.
        most: Samples a pass that memory has not run out of yet; ``None`` while it has not at all.

    Raises:
        MemoryBudgetError: If the budget does not hold one sample, or a batch that cannot be cut.
    """
    space = landscape.space
    room_for_all = _usable(budget)
    vectors = 2 * space.local_size * torch.finfo(space.dtype).bits // 8
    with landscape.reading():
        batch = next(iter(landscape.batches()))[1]
        longest = length(batch)
        largest = longest if most is None else min(longest, most)
        pair = _one_and_two(landscape, form, batch, largest) if cuttable(landscape, batch) else None
        if pair is not None:
            one, two = pair
            each, unit, what = float(max(two - one, 1)), 1, "one sample"
        else:
            one = _held(landscape, form, batch)
            each, unit, what = one / longest, longest, f"the batch, whose {longest} samples are one"
    # What has the size of the parameters is there once, however many samples.
    fixed = max(one - each * unit, 0)

    share = 1 + _PASSING[engine]

    def passing(samples: int) -> int:
        return math.ceil(share * (fixed + each * samples)) + vectors

    if passing(unit) > room_for_all:
        needed = passing(unit)
        while _usable(needed) < passing(unit):
            needed += 1
        raise MemoryBudgetError(
            f"memory: expected room for the graph of {what} and what passes through it, about {needed:,} bytes, "
            f"got {budget:,}. Raise it, or select fewer parameters."
        )
    if passing(longest) > room_for_all:
        size = max(1, min(longest - 1, int(((room_for_all - vectors) / share - fixed) / each)))
        room, microbatch = 0, size
    else:
        size, room, microbatch = longest, room_for_all - passing(longest), None
    graphs = fixed * math.ceil(landscape.count / size) + each * landscape.count
    return MemoryPlan(microbatch, room, math.ceil(fixed + each * size), math.ceil(graphs), passing(size))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.3g} MB"


def cuttable(landscape: Landscape, batch: Batch) -> bool:
    """Whether a batch may be cut into micro-batches without changing the landscape.

    Args:
        landscape: Whose mode and objective may forbid it.
        batch: Whose tensors must share their first axis.
    """
    lengths = {len(tensor) if tensor.ndim else 0 for tensor in tensors_of(batch)}
    if landscape.mode != "eval" or not landscape.objective.splits or len(lengths) != 1:
        return False
    return rows_are_items(batch, landscape.objective)


def length(batch: Batch) -> int:
    """Return the length of the first axis of a batch."""
    return next((len(tensor) for tensor in tensors_of(batch) if tensor.ndim), 1)


def halved(landscape: Landscape) -> int | None:
    """Return half of the samples in the first micro-batch, ``None`` if it cannot be cut.

    Args:
        landscape: Any.
    """
    with landscape.reading():
        batch = next(iter(landscape.batches()))[1]
    size = length(batch)
    return size // 2 if size > 1 and cuttable(landscape, batch) else None


def first_batch(landscape: Landscape) -> Landscape:
    """Return the landscape on its first micro-batch alone, with the weight of all.

    Args:
        landscape: Any.
    """
    with landscape.reading():
        return landscape.seen_as(landscape.objective, [next(iter(landscape.batches()))[1]])


def _usable(budget: int) -> int:
    """Return what the allocator leaves: up to a fifth of what it held lay idle between the blocks in use."""
    return budget - budget // 5


def _one_and_two(landscape: Landscape, form: Form, batch: Batch, largest: int) -> tuple[int, int] | None:
    """Return what the graphs of one and of two samples hold; ``None`` where the model cannot run one alone."""
    try:
        one = _held(landscape, form, next(split(batch, 1)))
    except (RuntimeError, ValueError, IndexError) as error:
        if ran_out(error) or length(batch) == 1:
            raise
        return None
    return one, 2 * one if largest == 1 else _held(landscape, form, next(split(batch, 2)))


def _held(landscape: Landscape, form: Form, batch: Batch) -> int:
    with differentiable(form):
        with held_bytes(landscape) as held:
            graph = linearise(form, landscape, batch)
        require_second_derivatives(graph.values)
        require_connected(graph.values)
    return held.total

"""Hessian products by differentiating the gradient, through graphs that are kept while memory lasts."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape, Layout
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import gradients_of
from thalweg.memory import free_bytes
from thalweg.operators.engines._memory import saved_bytes


@dataclass(frozen=True)
class Graph:
    """The gradient of Σ wℓ over one micro-batch, with the graph that it came from.

    Only parameters that the gradient depends on are held: ``active`` are their places among the leaves.
    """

    leaves: list[Tensor]
    gradients: list[Tensor]
    active: list[int]


class DoubleBackward:
    r"""Products :math:`Hv = \nabla_\theta (v^\top \nabla L)` (Pearlmutter, 1994), by reverse mode twice.

    The graph of a micro-batch's gradient is built once and kept for later products while the memory budget
    lasts; the graphs beyond it are rebuilt for every block of vectors, once a block.

    Args:
        landscape: Where to differentiate.
        memory: Bytes for kept graphs, or "auto" for half of what is free at the first product.

    Raises:
        ArgumentError: If ``memory`` is neither "auto" nor a number of bytes.
    """

    name = "double-backward"

    def __init__(self, landscape: Landscape, memory: int | str = "auto") -> None:
        if memory != "auto" and (isinstance(memory, (bool, str)) or memory < 0):
            raise ArgumentError(f"memory: expected 'auto' or a number of bytes, got {memory!r}.")
        self._landscape = landscape
        self._memory = memory
        self._kept: list[Graph] | None = None
        self._all_kept = False

    @property
    def kept(self) -> int:
        """Graphs that are held in memory."""
        return len(self._kept or ())

    def product(self, block: Tensor) -> Tensor:
        """Multiply the Hessian with a block (P, k)."""
        landscape = self._landscape
        rows = block.mT
        with landscape.reading(), sdpa_kernel(SDPBackend.MATH):
            total = torch.zeros(rows.shape, dtype=block.dtype, device=block.device)
            for graph in self._graphs():
                for row, vector in zip(total, rows, strict=True):
                    _accumulate(row, graph, landscape.layout.views(vector.contiguous()), landscape.layout)
        return total.div_(landscape.weight).mT

    def _graphs(self) -> Iterator[Graph]:
        if self._kept is None:
            yield from self._first()
            return
        yield from self._kept
        if not self._all_kept:
            for place, (_, batch) in enumerate(self._landscape.batches()):
                if place >= len(self._kept):
                    yield self._build(batch)

    def _first(self) -> Iterator[Graph]:
        """Build every graph once, and keep as many from the start as fit."""
        device = self._landscape.space.device
        budget = free_bytes(device) // 2 if self._memory == "auto" else int(self._memory)
        kept, keeping = list[Graph](), True
        for _, batch in self._landscape.batches():
            if keeping:
                with saved_bytes() as saved:
                    graph = self._build(batch)
                budget -= saved.total
                keeping = budget >= 0
            else:
                graph = self._build(batch)
            if keeping:
                kept.append(graph)
            yield graph
        self._kept, self._all_kept = kept, keeping

    def _build(self, batch: Batch) -> Graph:
        landscape = self._landscape
        leaves = landscape.leaves()
        value = landscape.terms(leaves, batch).weighted_sum()
        parts = gradients_of(value, leaves, create_graph=True)
        # A gradient without a graph of its own (a linear loss) does not move: its curvature is zero.
        pairs = [(i, part) for i, part in enumerate(parts) if part is not None and part.requires_grad]
        return Graph(leaves, [part for _, part in pairs], [i for i, _ in pairs])


def _accumulate(row: Tensor, graph: Graph, vector: list[Tensor], layout: Layout) -> None:
    if not graph.gradients:
        return
    weights = [vector[i].to(part.dtype) for i, part in zip(graph.active, graph.gradients, strict=True)]
    parts = torch.autograd.grad(graph.gradients, graph.leaves, weights, retain_graph=True, allow_unused=True)
    row += layout.flatten(parts, row)

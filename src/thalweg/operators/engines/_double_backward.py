"""Products by going backward twice, through graphs that are kept while memory lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.landscape._differentiating import differentiating
from thalweg.operators._form import Form
from thalweg.operators.engines._graphs import Graph, differentiable, linearise
from thalweg.operators.engines._memory import held_bytes


class DoubleBackward:
    r"""Products :math:`Hv = \nabla_\theta (v^\top \nabla L)` (Pearlmutter, 1994), and :math:`J^\top M J v` likewise.

    The graph of a micro-batch is built once and kept for later products while the room for it lasts; graphs
    beyond that are rebuilt for every block of vectors, once a block.

    Args:
        landscape: Where to differentiate.
        form: What to multiply with.
        room: Bytes for kept graphs.
        together: Vectors of a block that go backward together, by vectorised derivatives; 1 for one after the other.
    """

    name = "double-backward"

    def __init__(self, landscape: Landscape, form: Form, *, room: int, together: int = 1) -> None:
        self._landscape = landscape
        self._form = form
        self._room = room
        self.together = together
        self._kept: list[Graph] | None = None
        self._all_kept = False

    @property
    def kept(self) -> int:
        """Graphs that are held in memory."""
        return len(self._kept or ())

    def product(self, block: Tensor) -> Tensor:
        """Multiply the matrix with a block (P, k)."""
        landscape = self._landscape
        rows = block.mT
        with self._surroundings():
            total: Tensor | None = None
            for graph in self._graphs():
                part = self._rows(graph, rows)
                total = part if total is None else total.add_(part)
            assert total is not None  # noqa: S101 - a landscape has at least one batch
        return total.div_(landscape.weight).mT

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """What parts of the model need that run again on the way back, and graphs that are built."""
        if self._all_kept and all(graph.silent for graph in self._kept or ()):
            with differentiating(self._landscape.space.device):
                yield
        else:
            with self._landscape.reading(), differentiable(self._form):
                yield

    def _rows(self, graph: Graph, rows: Tensor) -> Tensor:
        layout = self._landscape.layout
        if self.together > 1 and len(rows) > 1:
            chunks = torch.split(rows, self.together)
            stacked = [graph.apply(layout.stacked_views(chunk), batched=True) for chunk in chunks]
            return torch.cat(
                [layout.flatten_stacked(parts, chunk) for parts, chunk in zip(stacked, chunks, strict=True)]
            )
        flat = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
        for target, row in zip(flat, rows, strict=True):
            layout.flatten(graph.apply(layout.views(row.contiguous())), target, out=target)
        return flat

    def _graphs(self) -> Iterator[Graph]:
        if self._kept is None:
            yield from self._first()
            return
        yield from self._kept
        if not self._all_kept:
            for place, (_, batch) in enumerate(self._landscape.batches()):
                if place >= len(self._kept):
                    yield linearise(self._form, self._landscape, batch)

    def _first(self) -> Iterator[Graph]:
        """Build every graph once, and keep as many from the start as fit."""
        room, kept, keeping = self._room, list[Graph](), True
        for _, batch in self._landscape.batches():
            if keeping:
                with held_bytes(self._landscape) as held:
                    graph = linearise(self._form, self._landscape, batch)
                room -= held.total
                keeping = room >= 0
            else:
                graph = linearise(self._form, self._landscape, batch)
            if keeping:
                kept.append(graph)
            yield graph
            del graph
        self._kept, self._all_kept = kept, keeping

"""The cells of a grid over directions: the one walk behind lines, planes, grids and adaptive scans."""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, Interrupted
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import Functions, Table, Walker, fill, values_at, walking
from thalweg.progress import Progress, track
from thalweg.surfaces._first_layer import FirstLayer
from thalweg.surfaces._results import Directions
from thalweg.surfaces._store import Store, opened

Checkpoint = str | os.PathLike[str] | None
# Bytes of the first layer's products.
MEMORY = 1 << 28
Result = TypeVar("Result")


class Cells:
    """The cells of a grid, the last axis the fastest.

    Args:
        landscape: Its θ is where all coefficients are 0.
        vectors: Directions as columns, (P, k), in the order of the axes.
        axes: Coefficients along each.
        functions: Further quantities, see :func:`~thalweg.landscape._sampling.values_at`.
        share: Whether cells may share the product of the first layer with the data.
        memory: Bytes that this may take.
        checkpoint: A file to keep cells in.

    Attributes:
        table: Values of all cells, flat.
        evaluated: How many of them were evaluated here, and not read from a checkpoint.
    """

    def __init__(
        self,
        landscape: Landscape,
        vectors: Tensor,
        axes: Sequence[Tensor],
        *,
        functions: Functions | None = None,
        share: bool = True,
        memory: int = MEMORY,
        checkpoint: Checkpoint = None,
    ) -> None:
        _require_functions(functions)
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
            raise ArgumentError(f"memory: expected a number of bytes, 0 or more, got {memory!r}.")
        self._started = time.perf_counter()
        self._landscape, self._functions = landscape, functions
        # Rows that lie together in memory; of (P, k) columns every k-th number would be read.
        self._vectors, self._axes = vectors.mT.contiguous(), [axis.tolist() for axis in axes]
        self.shape = tuple(len(axis) for axis in axes)
        self.table, self.evaluated, self._extra = Table(math.prod(self.shape)), 0, 0
        self._shared = FirstLayer(landscape, self._vectors, len(self.table.loss), memory) if share else None
        self._store = None
        if checkpoint is not None:
            centre, self._extra = values_at(landscape, functions), 1
            shared = 0 if self._shared is None else self._shared.parts
            self._store = opened(checkpoint, landscape, self._vectors, axes, shared, centre)
            if self._store.path.exists():
                self._store.read(self.table)
                if centre is None:
                    self._look_again(self._store)

    @property
    def precision(self) -> float:
        """The unit roundoff of the losses."""
        return self._landscape.precision

    @property
    def cost(self) -> Cost:
        """What has been spent here."""
        return Cost(losses=self.evaluated + self._extra, seconds=time.perf_counter() - self._started)

    @property
    def measured(self) -> Tensor | None:
        """Which cells have been evaluated, ``None`` if all."""
        return None if bool(self.table.done.all()) else self.table.done.view(self.shape)

    def values(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and all metrics in the shape of the grid."""
        metrics = {name: column.view(self.shape) for name, column in self.table.metrics.items()}
        return self.table.loss.view(self.shape), metrics

    def measure(self, places: Iterable[int], bar: Progress) -> None:
        """Evaluate cells by their flat places, in this order, those that are done already left out.

        Raises:
            ObjectiveError: If a function returns what cannot be averaged.
        """
        done, todo = self.table.done, list(places)
        kept = [place for place in todo if done[place]]
        bar.advance(len(kept))
        try:
            with walking(self._landscape) as walker:
                fill(self.table, self._values(walker, [place for place in todo if not done[place]]), bar)
        finally:
            if self._store is not None and self.evaluated:
                self._store.write(self.table)

    def _look_again(self, store: Store) -> None:
        """Evaluate a cell that is kept once more, where θ has no value that data and objective would be known by."""
        done, finite = self.table.done, self.table.done & self.table.loss.isfinite()
        kept = (finite if bool(finite.any()) else done).nonzero().flatten().tolist()
        if not kept:
            return
        columns = {"loss": self.table.loss, **self.table.metrics}
        before = {name: float(column[kept[0]]) for name, column in columns.items()}
        with walking(self._landscape) as walker:
            _, now = next(self._values(walker, kept[:1]))
        self.evaluated, self._extra = 0, self._extra + 1
        store.compare(before if bool(finite.any()) else None, now, "a cell that is kept", level=6)

    def _values(self, walker: Walker, places: Iterable[int]) -> Iterator[tuple[int, dict[str, float] | None]]:
        row, base, start = None, walker.theta.clone(), walker.theta.clone()
        around = None if self._shared is None or not self._shared.parts else self._shared.around
        for place in places:
            *leading, last = self._coefficients(place)
            if row != leading:
                row = leading
                base.copy_(start)
                for coefficient, vector in zip(leading, self._vectors[:-1], strict=True):
                    base.add_(vector, alpha=coefficient)
            torch.add(base, self._vectors[-1], alpha=last, out=walker.theta)
            if self._shared is not None:
                self._shared.coefficients = (*leading, last)
            found = walker.values(self._functions, around)
            self.evaluated += 1
            yield place, found
            # Here the cell is in the table.
            if self._store is not None:
                self._store.write_if_due(self.table)

    def _coefficients(self, place: int) -> list[float]:
        found = []
        for axis in reversed(self._axes):
            place, index = divmod(place, len(axis))
            found.append(axis[index])
        return found[::-1]

    def interruption(self) -> str:
        """Say where an interrupted scan stands, and how to go on."""
        done, count = int(self.table.done.sum()), len(self.table.loss)
        again = ""
        if self._store is not None and done:
            again = f" The same call goes on from those in {self._store.path}."
        return f"interrupted: {done} of {count} cells are measured, and are in the exception's `result`.{again}"


def walked(cells: Cells, result: Callable[[], Result], description: str, progress: bool | Progress) -> Result:
    """Evaluate all cells and return the result.

    Raises:
        Interrupted: If the user does, with the result as far as it goes.
    """
    count = len(cells.table.loss)
    try:
        with track(count, description, progress) as bar:
            cells.measure(range(count), bar)
    except KeyboardInterrupt:
        raise Interrupted(cells.interruption(), result()) from None
    return result()


def require_orthogonal(directions: Directions) -> float:
    """Return the largest cosine between directions, with its sign.

    Raises:
        ArgumentError: If two of them are not orthogonal, since distances on the grid would be wrong; or even parallel,
            which are named.
    """
    largest, rounding = 0.0, torch.finfo(directions.vectors.dtype).eps ** 0.5
    for i, j in itertools.combinations(range(directions.vectors.shape[1]), 2):
        first, second = directions.vectors[:, i].double(), directions.vectors[:, j].double()
        cosine = float(first @ second) / (directions.norms[i] * directions.norms[j])
        if abs(cosine) > 1 - rounding:
            raise ArgumentError(
                f"directions: expected directions that span a plane, got {directions.labels[i]} and "
                f"{directions.labels[j]}, which are parallel (cosine {cosine:.3g})."
            )
        # Directions that were made orthogonal in a type of their own are so to its rounding.
        if abs(cosine) > rounding:
            which = "two that are" if directions.vectors.shape[1] == 2 else "all of them"
            raise ArgumentError(
                f"directions: expected {which} orthogonal, got cosine {cosine:.3g}. Take from the second its part "
                "along the first: d2 - (d1 @ d2) / (d1 @ d1) * d1, as thalweg.surfaces.orthogonal_directions does."
            )
        largest = cosine if abs(cosine) > abs(largest) else largest
    return largest


def _require_functions(functions: Any) -> None:
    if functions is None:
        return
    if not isinstance(functions, dict) or not all(isinstance(n, str) and callable(f) for n, f in functions.items()):
        raise ArgumentError(
            f"functions: expected a dictionary of names and functions (model, batch) -> number or tensor, got "
            f"{functions!r}."
        )

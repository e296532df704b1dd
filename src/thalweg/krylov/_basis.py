"""An orthonormal basis that grows vector by vector, each vector contiguous."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.krylov._storage import Place, allocate, bytes_per_vector, require_room
from thalweg.vectors import VectorSpace

_ROWS = 64
# Vectors that are small enough are swept in groups of this many bytes, which are still in the cache when their
# combination is subtracted: measured, a fifth of a sweep's time.
_CACHED = 5 << 20
# Rows that come to the device at once, where the basis is held elsewhere.
_FETCHED = 8


class Basis:
    """Orthonormal vectors in blocks of rows, so that growing copies nothing.

    Args:
        space: Where the vectors live.
        capacity: The most vectors that will be asked for.
        place: Where they are held: "device", "host", or "disk" (a file that is mapped to memory).

    Raises:
        MemoryBudgetError: If that many vectors would take more than half of what is free there.
    """

    def __init__(self, space: VectorSpace, capacity: int, place: Place = "device") -> None:
        require_room(space, capacity, place)
        self._space = space
        self._capacity = capacity
        self._place: Place = place
        self._away = place != "device" and space.device.type != "cpu"
        self._blocks: list[Tensor] = []
        self._count = 0
        rows = _CACHED // bytes_per_vector(space)
        self._group = min(rows, _ROWS) if rows >= 4 else _ROWS
        if self._away:
            self._group = _FETCHED

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Float[Tensor, " p"]:
        row = self._blocks[index // _ROWS][index % _ROWS]
        return row.to(self._space.device) if self._away else row

    def append(self, vector: Float[Tensor, " p"], size: float = 1.0) -> Float[Tensor, " p"]:
        """Add a vector of this size that is orthogonal to all others, and return it normalised, as it is held."""
        if self._count == _ROWS * len(self._blocks):
            self._blocks.append(allocate(self._space, self._place, min(_ROWS, self._capacity - self._count)))
        row = self._blocks[self._count // _ROWS][self._count % _ROWS]
        self._count += 1
        if self._away:
            held = vector / size
            row.copy_(held)
            return held
        return torch.div(vector, size, out=row)

    def remove(self, vector: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Take the span of the basis out of a vector, in place, and return the coefficients that it had."""
        parts = []
        for rows in self._groups():
            parts.append(self._space.dots(rows.mT, vector))
            vector.addmv_(rows.mT, parts[-1], alpha=-1)
        return torch.cat(parts)

    def subtract(self, vector: Float[Tensor, " p"], weights: Float[Tensor, " n"]) -> None:
        """Take a combination of the first n basis vectors away from a vector, in place."""
        start = 0
        for rows in self._groups():
            part = weights[start : start + len(rows)].to(vector)
            if len(part):
                vector.addmv_(rows[: len(part)].mT, part, alpha=-1)
            start += len(rows)

    def combine(self, weights: Float[Tensor, "m k"]) -> Float[Tensor, "p k"]:
        """Return k combinations of the basis, each contiguous."""
        rows = self._space.empty(weights.shape[1]).mT
        start = 0
        for block in self._groups() if self._away else self._filled():
            part = weights[start : start + len(block)].to(rows)
            rows.addmm_(part.mT, block, beta=0 if start == 0 else 1)
            start += len(block)
        return rows.mT

    def turn(self, weights: Float[Tensor, "m l"], first: int = 0) -> None:
        """Put l combinations of the vectors from ``first`` on in their place; some thousand entries at a time."""
        kept = first + weights.shape[1]
        by_entries = weights.mT.to(self._blocks[0].device, self._space.dtype)
        width = max(1, (_CACHED // 2) // (weights.shape[0] * self._space.dtype.itemsize))
        for start in range(0, self._space.local_size, width):
            part = torch.cat([block[:, start : start + width] for block in self._filled()])[first:]
            fresh = torch.zeros(weights.shape[1], part.shape[1], dtype=part.dtype, device=part.device)
            fresh.addmm_(by_entries, part)
            for i in range(0, kept, _ROWS):
                block = self._blocks[i // _ROWS]
                low, high = max(first - i, 0), min(kept - i, _ROWS)
                if high > low:
                    block[low:high, start : start + width] = fresh[i + low - first : i + high - first]
        self._count = kept

    def _filled(self) -> Iterator[Tensor]:
        left = self._count
        for block in self._blocks:
            if left <= 0:
                return
            yield block[:left]
            left -= len(block)

    def _groups(self) -> Iterator[Tensor]:
        for block in self._filled():
            for start in range(0, len(block), self._group):
                rows = block[start : start + self._group]
                yield rows.to(self._space.device) if self._away else rows

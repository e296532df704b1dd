"""An orthonormal basis that grows vector by vector, each vector contiguous."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import MemoryBudgetError
from thalweg.memory import free_bytes
from thalweg.vectors import VectorSpace

_ROWS = 64
# Vectors that are small enough are swept in groups of this many bytes, which are still in the cache when their
# combination is subtracted: measured, a fifth of a sweep's time.
_CACHED = 5 << 20


class Basis:
    """Orthonormal vectors in blocks of rows, so that growing copies nothing.

    Args:
        space: Where the vectors live.
        capacity: The most vectors that will be asked for.

    Raises:
        MemoryBudgetError: If that many vectors would take more than half of the memory that is free.
    """

    def __init__(self, space: VectorSpace, capacity: int) -> None:
        require_room(space, capacity)
        self._space = space
        self._capacity = capacity
        self._blocks: list[Tensor] = []
        self._count = 0
        rows = _CACHED // bytes_per_vector(space)
        self._group = min(rows, _ROWS) if rows >= 4 else _ROWS

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Float[Tensor, " p"]:
        return self._blocks[index // _ROWS][index % _ROWS]

    def append(self, vector: Float[Tensor, " p"], size: float = 1.0) -> Float[Tensor, " p"]:
        """Add a vector of this size that is orthogonal to all others, and return it normalised, as it is held."""
        if self._count % _ROWS == 0:
            self._blocks.append(self._space.empty(min(_ROWS, self._capacity - self._count)).mT)
        row = self._blocks[-1][self._count % _ROWS]
        self._count += 1
        return torch.div(vector, size, out=row)

    def remove(self, vector: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Take the span of the basis out of a vector, in place, and return the coefficients that it had."""
        parts = []
        for block in self._filled():
            for start in range(0, len(block), self._group):
                rows = block[start : start + self._group]
                parts.append(self._space.dots(rows.mT, vector))
                vector.addmv_(rows.mT, parts[-1], alpha=-1)
        return torch.cat(parts)

    def combine(self, weights: Float[Tensor, "m k"]) -> Float[Tensor, "p k"]:
        """Return k combinations of the basis, each contiguous."""
        rows = self._space.empty(weights.shape[1]).mT
        start = 0
        for block in self._filled():
            part = weights[start : start + len(block)].to(rows)
            rows.addmm_(part.mT, block, beta=0 if start == 0 else 1)
            start += len(block)
        return rows.mT

    def _filled(self) -> Iterator[Tensor]:
        left = self._count
        for block in self._blocks:
            yield block[:left]
            left -= len(block)


def require_room(space: VectorSpace, vectors: int) -> None:
    """Refuse a basis that would not fit.

    Raises:
        MemoryBudgetError: If it would take more than half of the memory that is free.
    """
    each = bytes_per_vector(space)
    free = free_bytes(space.device)
    if vectors * each > free // 2:
        raise MemoryBudgetError(
            f"memory: {vectors} basis vectors of {space.size} entries take {vectors * each / 1e9:.3g} GB, and half of "
            f"the free memory is {free / 2e9:.3g} GB, enough for {free // 2 // each}. Ask for fewer products or "
            "eigenvalues, or select fewer parameters."
        )


def bytes_per_vector(space: VectorSpace) -> int:
    """Return the memory that one vector takes here."""
    return space.local_size * torch.finfo(space.dtype).bits // 8

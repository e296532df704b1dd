"""What operators of a space have in common: their shape, their checks, and the count of their products."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.estimate import Provenance
from thalweg.operators._operator import checked_product, dense
from thalweg.vectors import VectorSpace


class Counted(ABC):
    """A matrix that can multiply a block; what can be asked of it beyond that follows from its space.

    Args:
        space: Where the vectors live.
    """

    def __init__(self, space: VectorSpace) -> None:
        self._space = space
        self._matvecs = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._space.size, self._space.size

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors."""
        return self._space.dtype

    @property
    def device(self) -> torch.device:
        """Where the vectors live."""
        return self._space.device

    @property
    def space(self) -> VectorSpace:
        """The space that it acts on."""
        return self._space

    @property
    def matvecs(self) -> int:
        """Products so far, a block of k vectors counting k."""
        return self._matvecs

    @property
    @abstractmethod
    def provenance(self) -> Provenance | None:
        """How products are computed; ``None`` where nothing is known."""

    def settled(self) -> dict[str, Any]:
        """Return the ways of computing products that were chosen on the way, in JSON's types."""
        return {}

    def settle(self, settled: Mapping[str, Any]) -> None:
        """Take the ways that another operator has settled on, so that products have the same bits."""
        del settled

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k), columns being vectors."""
        product = checked_product(self, vectors, self._block)
        self._matvecs += 1 if vectors.ndim == 1 else vectors.shape[1]
        return product

    def dense(self, *, limit: int = 20_000) -> Float[Tensor, "p p"]:
        """Return the whole matrix, see :func:`thalweg.dense`."""
        return dense(self, limit=limit)

    @abstractmethod
    def _block(self, block: Tensor) -> Tensor:
        """Multiply a block (P, k) that has passed the checks."""

"""Wrap a callable as an operator."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Provenance
from thalweg.operators._operator import checked_product, dense
from thalweg.vectors import VectorSpace


class FunctionOperator:
    """A symmetric matrix given by a function that multiplies it with a vector.

    Args:
        f: Takes one vector (P,) and returns its product (P,).
        size: P.
        dtype: Of the vectors; torch's default type if ``None``.
        device: Where they live; the processor if ``None``.

    Raises:
        ArgumentError: From a product, if ``f`` returns no tensor or one of another shape, dtype or device.

    Example:
        >>> op = FunctionOperator(lambda v: torch.tensor([1.0, 3.0]) * v, 2)
        >>> op @ torch.ones(2), op.matvecs
        (tensor([1., 3.]), 1)
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        size: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self._f = f
        self._space = VectorSpace(
            size, dtype if dtype is not None else torch.get_default_dtype(), torch.device(device or "cpu")
        )
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
        """Products so far."""
        return self._matvecs

    @property
    def provenance(self) -> Provenance | None:
        """Nothing is known about the function."""
        return None

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k), one column at a time."""
        return checked_product(self, vectors, self._block)

    def dense(self, *, limit: int = 20_000) -> Float[Tensor, "p p"]:
        """Return the whole matrix, see :func:`thalweg.dense`."""
        return dense(self, limit=limit)

    def _block(self, block: Tensor) -> Tensor:
        rows = torch.empty(block.shape[1], block.shape[0], dtype=block.dtype, device=block.device)
        for row, vector in zip(rows, block.mT, strict=True):
            # f may write into what it is given; what it returns may have a graph.
            product = self._f(vector.clone())
            if not isinstance(product, Tensor):
                raise ArgumentError(f"f: expected a tensor, got {type(product).__name__}.")
            if product.shape != vector.shape or product.dtype != vector.dtype or product.device != vector.device:
                raise ArgumentError(
                    f"f: expected a product of shape {tuple(vector.shape)} and {vector.dtype} on {vector.device}, "
                    f"got {tuple(product.shape)} and {product.dtype} on {product.device}."
                )
            row.copy_(product.detach())
            self._matvecs += 1
        return rows.mT

"""Wrap a callable as an operator."""

from collections.abc import Callable

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Provenance
from thalweg.operators._counted import Counted
from thalweg.vectors import VectorSpace


class FunctionOperator(Counted):
    """A symmetric matrix given by a function that multiplies it with a vector.

    Args:
        f: Takes one vector (P,) and returns its product (P,).
        size: P.
        dtype: Of the vectors; torch's default type if ``None``.
        device: Where they live; the processor if ``None``.

    Raises:
        ArgumentError: If ``f`` cannot be called, or ``size`` is no whole number of at least 1; from a product, if
            ``f`` returns no tensor or one of another shape, dtype or device.

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
        if not callable(f):
            raise ArgumentError(f"f: expected a function that multiplies a vector, got {type(f).__name__}.")
        kind = dtype if dtype is not None else torch.get_default_dtype()
        super().__init__(VectorSpace(size, kind, torch.device(device or "cpu")))
        self._f = f

    @property
    def provenance(self) -> Provenance | None:
        """Nothing is known about the function."""
        return None

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
        return rows.mT

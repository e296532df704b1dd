"""Products of less precision than the vectors: recognised, and counted into what can be known."""

from typing import Any

import torch
from torch import Tensor

from thalweg.estimate import Provenance
from thalweg.krylov._operator import SymmetricOperator, remembered
from thalweg.vectors import VectorSpace

_LOW = (torch.bfloat16, torch.float16)
# So many nonzero entries that fit into fewer bits are no accident.
_ENOUGH = 8


class Widened:
    """A matrix of half precision on vectors of single precision, which a basis needs to be orthonormal at all.

    Args:
        operator: Of half precision.
    """

    def __init__(self, operator: SymmetricOperator) -> None:
        self._operator = operator
        self.space = held(operator.space)

    @property
    def shares_passes(self) -> bool:
        """Whether the vectors of a block share work."""
        return bool(getattr(self._operator, "shares_passes", True))

    def remember(self, name: str, choice: Any) -> Any:
        """Ask the operator what was chosen."""
        return remembered(self._operator, name, choice)

    @property
    def provenance(self) -> Provenance | None:
        """That of the operator."""
        return self._operator.provenance

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Round the vectors, multiply, and widen the product."""
        return (self._operator @ vectors.to(self._operator.space.dtype)).to(self.space.dtype)


def held(space: VectorSpace) -> VectorSpace:
    """Return the space of the vectors that are held: of single precision at least."""
    return VectorSpace(space.size, torch.float32, space.device) if space.dtype in _LOW else space


def widened(operator: SymmetricOperator) -> SymmetricOperator:
    """Return an operator on vectors of single precision at least."""
    return Widened(operator) if operator.space.dtype in _LOW else operator


def product_unit(product: Tensor) -> float:
    """Return the spacing of the numbers that a product consists of: that of a smaller type if all of them have it."""
    unit = torch.finfo(product.dtype).eps
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        if torch.finfo(dtype).eps > unit and _fits(product[:4096], dtype) and _fits(product, dtype):
            return torch.finfo(dtype).eps
    return unit


def _fits(product: Tensor, dtype: torch.dtype) -> bool:
    parts = product[product != 0]
    return len(parts) >= _ENOUGH and bool((parts.to(dtype).to(parts.dtype) == parts).all())

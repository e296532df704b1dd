"""What the Krylov algorithms need of an operator, and nothing more."""

from typing import Protocol

from torch import Tensor

from thalweg.estimate import Provenance
from thalweg.vectors import VectorSpace


class SymmetricOperator(Protocol):
    """A real symmetric matrix known by its products."""

    @property
    def space(self) -> VectorSpace:
        """The space that it acts on."""
        ...

    @property
    def provenance(self) -> Provenance | None:
        """How products are computed."""
        ...

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k)."""
        ...

"""What the Krylov algorithms need of an operator, and nothing more."""

from typing import Any, Protocol

from torch import Tensor

from thalweg.errors import ArgumentError
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


def require_symmetric(operator: Any) -> None:
    """Refuse what has no products.

    Raises:
        ArgumentError: If it is no operator.
    """
    if not (isinstance(getattr(operator, "space", None), VectorSpace) and hasattr(operator, "__matmul__")):
        raise ArgumentError(
            f"operator: expected an operator, got {type(operator).__name__}. Make one: hessian(landscape), or "
            "FunctionOperator(f, size)."
        )


def require_whole(name: str, value: Any) -> None:
    """Refuse a count that is no whole number.

    Raises:
        ArgumentError: If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentError(f"{name}: expected a whole number, got {value!r}.")

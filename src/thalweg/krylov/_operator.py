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


def remembered(operator: Any, name: str, choice: Any) -> Any:
    """Return what was chosen when the operator's products were first made, where these are kept; else the choice."""
    remember = getattr(operator, "remember", None)
    return choice if remember is None else remember(name, choice)


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


def require_no_asymmetry(mismatch: float, scale: float, eps: float, product: int) -> None:
    """Refuse a matrix whose products contradict symmetry by more than noise, which the pairs' residuals tell of.

    Args:
        mismatch: A difference of numbers that symmetry makes equal.
        scale: Their size.
        eps: Unit roundoff of the vectors.
        product: The last product that they come from.

    Raises:
        ArgumentError: If the mismatch is noticeable.
    """
    if mismatch > max(1e-3, 20 * eps) * scale:
        raise ArgumentError(
            f"operator: expected a symmetric matrix, but up to product {product} what symmetry makes equal differs by "
            f"{mismatch / scale:.1e} of its size. Check it with verify(operator)."
        )


def require_whole(name: str, value: Any) -> None:
    """Refuse a count that is no whole number.

    Raises:
        ArgumentError: If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentError(f"{name}: expected a whole number, got {value!r}.")

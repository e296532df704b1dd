"""What every operator offers, and the checks that all products share."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError, NonFiniteError
from thalweg.estimate import Provenance
from thalweg.vectors import VectorSpace


@runtime_checkable
class Operator(Protocol):
    """A real symmetric matrix known by its products.

    Attributes:
        shape: (P, P), over all devices.
        dtype: Of the vectors.
        device: Where they live.
        space: The space that it acts on.
        matvecs: Products so far, a block of k vectors counting k.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def space(self) -> VectorSpace: ...

    @property
    def matvecs(self) -> int: ...

    @property
    def provenance(self) -> Provenance | None:
        """How products are computed; ``None`` where nothing is known."""
        ...

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k), columns being vectors."""
        ...


def checked_product(operator: Operator, vectors: Tensor, product: Callable[[Tensor], Tensor]) -> Tensor:
    """Check a vector (P,) or a block (P, k), multiply it as a block, and check what came out.

    Raises:
        ArgumentError: If the vectors do not fit the operator.
        NonFiniteError: If a product has an entry that is not finite.
    """
    space = operator.space
    if not isinstance(vectors, Tensor):
        raise ArgumentError(
            f"vectors: expected a tensor of shape ({space.size},) or ({space.size}, k), got {type(vectors).__name__}."
        )
    if vectors.ndim not in (1, 2) or vectors.shape[0] != space.local_size or vectors.numel() == 0:
        raise ArgumentError(
            f"vectors: expected shape ({space.size},) or ({space.size}, k), got {tuple(vectors.shape)}."
        )
    if vectors.dtype != space.dtype or vectors.device != space.device:
        raise ArgumentError(
            f"vectors: expected {space.dtype} on {space.device}, got {vectors.dtype} on {vectors.device}. "
            f"Convert them with .to({space.dtype})."
        )
    block = vectors.detach().unsqueeze(1) if vectors.ndim == 1 else vectors.detach()
    result = product(block)
    if not bool(result.isfinite().all()):
        raise NonFiniteError(
            "product: expected finite entries, got a non-finite one in product "
            f"{operator.matvecs + 1} of this operator."
        )
    return result.squeeze(1) if vectors.ndim == 1 else result


def dense(operator: Operator, *, limit: int = 20_000, block: int = 32) -> Float[Tensor, "p p"]:
    """Return the whole matrix, by P products.

    The result is what the products say: it is not symmetrised.

    Args:
        operator: Any operator.
        limit: The largest P that is accepted.
        block: Vectors a product.

    Raises:
        MemoryBudgetError: If P is above ``limit``.

    Example:
        >>> import thalweg as tw
        >>> dense(tw.FunctionOperator(lambda v: 2 * v, 2))
        tensor([[2., 0.],
                [0., 2.]])
    """
    space, size = operator.space, operator.shape[0]
    if size > limit:
        gigabytes = size**2 * torch.finfo(operator.dtype).bits / 8e9
        raise MemoryBudgetError(
            f"limit: expected at most {limit} parameters for a dense matrix, got {size}, which would take {size} "
            f"products and {gigabytes:.3g} GB. Use eigenpairs, trace or density, or raise the limit."
        )
    matrix = torch.empty(size, size, dtype=space.dtype, device=space.device).mT
    for start in range(0, size, block):
        stop = min(start + block, size)
        columns = space.zeros(stop - start)
        columns[torch.arange(start, stop), torch.arange(stop - start)] = 1
        matrix[:, start:stop] = operator @ columns
    return matrix.contiguous()

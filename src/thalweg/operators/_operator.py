"""What every operator offers, and the checks that all products share."""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError, NonFiniteError
from thalweg.estimate import Provenance
from thalweg.landscape._require import require_columns
from thalweg.precision import uncast
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
        ArgumentError: If the vectors do not fit the operator, or are not finite.
        NonFiniteError: If a product has an entry that is not finite.
    """
    block = require_columns(operator.space, vectors, "vectors", finite=False)
    with uncast(operator.space.device):
        result = product(block)
    # The sum is cheap and finite for all but broken products; only then is every entry looked at.
    if not math.isfinite(float(result.sum())) and not bool(result.isfinite().all()):
        if not bool(block.isfinite().all()):
            raise ArgumentError("vectors: expected finite entries, got one that is infinite or not a number.")
        broken = int((~result.isfinite()).any(dim=0).nonzero()[0])
        raise NonFiniteError(
            "product: expected finite entries, got a non-finite one in product "
            f"{operator.matvecs + broken + 1} of this operator."
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

"""How many recurrences go in step, so that their products share passes over the data."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.krylov._operator import SymmetricOperator, remembered
from thalweg.krylov._storage import bytes_per_vector
from thalweg.memory import free_bytes

# Beyond so many vectors a block gains little more.
_TOGETHER = 8


def together(operator: SymmetricOperator) -> int:
    """Return how many vectors are worth a block: one where an operator says that they share nothing."""
    return _TOGETHER if getattr(operator, "shares_passes", True) else 1


def groups(operator: SymmetricOperator, count: int, vectors: int) -> list[int]:
    """Cut ``count`` recurrences into groups that go in step, as large as half of the free memory holds.

    Args:
        operator: What multiplies their vectors.
        count: How many.
        vectors: What each of them holds.
    """
    space = operator.space
    room = free_bytes(space.device) // 2 // (vectors * bytes_per_vector(space))
    # A single one that does not fit is refused where its basis is made.
    width = remembered(operator, f"{vectors} vectors each", max(1, min(together(operator), room)))
    return [min(width, count - start) for start in range(0, count, width)]


def products(operator: SymmetricOperator, vectors: Sequence[Float[Tensor, " p"]]) -> Sequence[Float[Tensor, " p"]]:
    """Multiply some vectors as one block; a single one goes alone, as blocks may go another way."""
    if len(vectors) == 1:
        return [operator @ vectors[0]]
    return (operator @ torch.stack(tuple(vectors)).mT).mT.unbind()

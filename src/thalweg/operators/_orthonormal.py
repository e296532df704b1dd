"""What a basis must be to deflate or project with it."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape._require import require_columns
from thalweg.vectors import VectorSpace


def require_orthonormal(space: VectorSpace, vectors: Any, name: str) -> Float[Tensor, "p m"]:
    """Return one unit vector (P,) or orthonormal ones (P, m) as columns (P, m), each contiguous.

    They count as orthonormal if the inner products are right to ten times the root of the unit roundoff, which
    computed eigenvectors are.

    Raises:
        ArgumentError: If they do not fit the space, or are not orthonormal.
    """
    columns = require_columns(space, vectors, name).mT.contiguous().mT
    gram = space.gram(columns)
    gap = (gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs()
    accepted = 10 * torch.finfo(space.dtype).eps ** 0.5
    # The negated comparison catches an inner product that overflowed, too.
    if not float(gap.max()) <= accepted:
        i, j = divmod(int(gap.argmax()), len(gram))
        raise ArgumentError(
            f"{name}: expected orthonormal columns, but the inner product of column {i} with column {j} is "
            f"{float(gap[i, j]):.2g} away from {int(i == j)} (at most {accepted:.2g} is accepted). "
            f"Orthonormalise them, for example by torch.linalg.qr({name}).Q."
        )
    return columns

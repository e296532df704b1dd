"""An orthonormal basis of the columns of a block."""

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.vectors import VectorSpace


def orthonormalised(
    space: VectorSpace, block: Float[Tensor, "p k"], generator: torch.Generator
) -> tuple[Float[Tensor, "p k"], Float[Tensor, "k k"]]:
    r"""Return Q with orthonormal columns and R, upper triangular in double precision, with block = Q R.

    Gram–Schmidt, twice for every column (Giraud, Langou & Rozložník, 2005). Where a column lies in the span of those
    before it, its place is taken by a random direction, and R has a diagonal entry of the size of rounding there.
    Cost: about 4k²P operations, k columns of memory.
    """
    count = block.shape[1]
    rows = torch.empty(block.mT.shape, dtype=space.dtype, device=space.device)
    triangle = torch.zeros(count, count, dtype=torch.float64)
    eps = torch.finfo(space.dtype).eps
    for j in range(count):
        w = block[:, j].clone()
        size = space.norm(w)
        for _ in range(2):
            if j:
                inner = space.dots(rows[:j].mT, w)
                w.addmv_(rows[:j].mT, inner, alpha=-1)
                triangle[:j, j] += inner.double().cpu()
        left = space.norm(w)
        triangle[j, j] = max(left, eps * size, torch.finfo(space.dtype).tiny)
        while left <= 10 * eps * size or left == 0:
            w, size = space.randn(generator), 0.0
            for _ in range(2):
                w.addmv_(rows[:j].mT, space.dots(rows[:j].mT, w), alpha=-1)
            left = space.norm(w)
        torch.div(w, left, out=rows[j])
    return rows.mT, triangle

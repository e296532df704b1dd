"""A random subspace by very sparse columns."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.precision import uncast
from thalweg.vectors import VectorSpace, draw_seeds


class Sparse:
    """Columns with about √P entries of equal size and random sign, of norm 1 (Li, Hastie & Church, 2006).

    An entry is there with probability 1/√P, independently of all others; a column without any is given one.

    Args:
        space: Of the parameter vectors.
        dimension: d.
        generator: Of the draw.
    """

    def __init__(self, space: VectorSpace, dimension: int, generator: torch.Generator | None) -> None:
        self.size, self.dimension = space.size, dimension
        seed = draw_seeds(generator, 1)[0]
        rows, columns, signs = _drawn(space.size, dimension, torch.Generator().manual_seed(seed))
        counts = torch.bincount(columns, minlength=dimension)
        values = (signs / counts[columns].double().sqrt()).to(space.dtype)
        index, shape = torch.stack([rows, columns]), (space.size, dimension)
        self._matrix, self._adjoint = (
            torch.sparse_coo_tensor(i, values, s, check_invariants=False).coalesce().to(space.device)
            for i, s in ((index, shape), (index.flip(0), shape[::-1]))
        )

    def forward(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return P z."""
        with uncast(z.device):
            return _product(self._matrix, z)

    def adjoint(self, g: Float[Tensor, " p"]) -> Float[Tensor, " d"]:
        """Return Pᵀg."""
        with uncast(g.device):
            return _product(self._adjoint, g)


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    product: Tensor = torch.sparse.mm(matrix, vector[:, None])
    return product[:, 0]


def expected_entries(size: int, dimension: int) -> float:
    """How many entries there are in the mean."""
    return dimension * math.sqrt(size)


def _drawn(size: int, dimension: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows, columns and signs of the entries."""
    total, share = size * dimension, 1 / math.sqrt(size)
    # Gaps between the entries of a Bernoulli sequence are geometric: none of the zeros is drawn.
    count = int(total * share + 8 * math.sqrt(total * share) + 16)
    if share < 1:
        uniform = torch.rand(count, dtype=torch.float64, generator=generator)
        gaps = ((-uniform).log1p() / math.log1p(-share)).floor_().add_(1)
        places = gaps.cumsum(0).sub_(1)
        places = places[places < total].long()
    else:
        places = torch.arange(total)
    columns, rows = places // size, places % size
    empty = (torch.bincount(columns, minlength=dimension) == 0).nonzero()[:, 0]
    columns = torch.cat([columns, empty])
    rows = torch.cat([rows, torch.randint(size, (len(empty),), generator=generator)])
    signs = 2 * torch.randint(2, (len(rows),), generator=generator) - 1
    return rows, columns, signs

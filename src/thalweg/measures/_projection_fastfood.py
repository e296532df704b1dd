"""A random subspace by Hadamard matrices and diagonals, which is never held as a matrix."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from thalweg.measures._walsh_hadamard import WalshHadamard
from thalweg.memory import keep_what_is_freed
from thalweg.precision import uncast
from thalweg.vectors import VectorSpace, draw_seeds


class Fastfood:
    r"""Stacked blocks S H G_i Π H B (Le, Sarlós & Smola, 2013) with orthonormal columns.

    With the orthogonal M = Π H B / √n and :math:`\sum_i G_i^2 = I`,
    :math:`P^\top P = M^\top \bigl(\sum_i G_i H^\top H G_i / n\bigr) M = I`, if nothing is cut off at the end.

    Args:
        space: Of the parameter vectors.
        dimension: d.
        generator: Of the draw.
    """

    def __init__(self, space: VectorSpace, dimension: int, generator: torch.Generator | None) -> None:
        self.size, self.dimension = space.size, dimension
        rows = 1 << (dimension - 1).bit_length()
        blocks = -(-space.size // rows)
        keep_what_is_freed(space.device)
        signs, diagonals, order = (torch.Generator().manual_seed(seed) for seed in draw_seeds(generator, 3))
        self._signs = replace(space, size=rows).rademacher(signs)[:dimension] / math.sqrt(rows)
        self._order = torch.randperm(rows, generator=order).to(space.device)
        self._inverse = self._order.argsort()
        # Row k holds the k-th entries of all blocks' diagonals: blocks lie side by side, so that H acts on whole rows.
        drawn = replace(space, size=rows * blocks, dtype=torch.float64).randn(diagonals).view(rows, blocks)
        # 1/√n of the second H, and the share of the entries that are cut off.
        drawn *= math.sqrt(blocks / space.size) / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
        self._diagonals = drawn.to(space.dtype)
        self._one = WalshHadamard(rows, 1, space.dtype, space.device)
        self._all = WalshHadamard(rows, blocks, space.dtype, space.device)

    @property
    def padded(self) -> int:
        """Entries of a vector of whole blocks."""
        return self._diagonals.numel()

    def forward(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return P z."""
        with uncast(z.device):
            return self._all(self._spread(z)).view(-1)[: self.size]

    def forward_onto(
        self, z: Float[Tensor, " d"], onto: Float[Tensor, " padded"], out: Float[Tensor, " padded"]
    ) -> None:
        """Write the sum of P z and another vector into a third one, all of whole blocks."""
        shape = self._diagonals.shape
        with uncast(z.device):
            self._all(self._spread(z), onto=onto.view(shape), out=out.view(shape))

    def adjoint(self, g: Float[Tensor, " p"]) -> Float[Tensor, " d"]:
        """Return Pᵀg."""
        return self.adjoint_of_padded(functional.pad(g, (0, self.padded - self.size)))

    def adjoint_of_padded(self, g: Float[Tensor, " padded"]) -> Float[Tensor, " d"]:
        """Return Pᵀg for g of whole blocks, zero beyond P."""
        with uncast(g.device):
            weighted = self._all(g.view(self._diagonals.shape)).mul_(self._diagonals)
            mixed = weighted.sum(dim=1, keepdim=True)[self._inverse]
            return self._one(mixed)[: self.dimension, 0] * self._signs

    def _spread(self, z: Tensor) -> Tensor:
        """Return the diagonals times Π H B z, a column for each block."""
        padded = functional.pad(self._signs * z, (0, len(self._order) - self.dimension))
        return self._diagonals * self._one(padded[:, None])[self._order]

"""A random subspace by Hadamard matrices and diagonals, which is never held as a matrix."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from thalweg.measures._walsh_hadamard import WalshHadamard, sylvester
from thalweg.memory import keep_what_is_freed
from thalweg.precision import uncast
from thalweg.vectors import VectorSpace, draw_seeds

# Rows of the inner factor of H.
_INNER = 16


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
        drawn = replace(space, size=rows * blocks, dtype=torch.float64).randn(diagonals).view(rows, blocks)
        # 1/√n of the second H, and the share of the entries that are cut off.
        drawn *= math.sqrt(blocks / space.size) / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
        # H of n rows is H of n/r rows ⊗ H of r rows, and the smaller one goes together with the diagonals. Blocks lie
        # side by side: the larger one acts on rows of r entries of every block.
        inner = min(rows, _INNER)
        self._inner = sylvester(inner.bit_length() - 1, space.dtype, space.device)
        self._diagonals = drawn.to(space.dtype).view(rows // inner, inner, blocks)
        self._outer = WalshHadamard(rows // inner, inner * blocks, space.dtype, space.device)
        self._one = WalshHadamard(rows, 1, space.dtype, space.device)

    def forward(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return P z."""
        rows, inner = len(self._order), len(self._inner)
        with uncast(z.device):
            mixed = self._one(functional.pad(self._signs * z, (0, rows - self.dimension))[:, None])[self._order]
            factors = self._inner * mixed.view(-1, 1, inner)
            return self._outer(torch.bmm(factors, self._diagonals).view(rows // inner, -1)).view(-1)[: self.size]

    def adjoint(self, g: Float[Tensor, " p"]) -> Float[Tensor, " d"]:
        """Return Pᵀg."""
        rows, inner = len(self._order), len(self._inner)
        with uncast(g.device):
            padded = functional.pad(g, (0, self._diagonals.numel() - self.size))
            spread = self._outer(padded.view(rows // inner, -1)).view(self._diagonals.shape)
            mixed = (torch.bmm(self._diagonals, spread.mT) * self._inner).sum(dim=2).view(rows, 1)[self._inverse]
            return self._one(mixed)[: self.dimension, 0] * self._signs

"""What a run of a Krylov method leaves outside of the basis, and how the basis is coupled to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.krylov._basis import Basis
from thalweg.vectors import VectorSpace

Array = NDArray[np.float64]


@dataclass
class Left:
    """A vector r outside of the basis Q: A Q contains r cᵀ.

    Attributes:
        remainder: r.
        coupling: c, of the length that Q may have.
        given: What r has given to the basis vectors that came after it.
    """

    remainder: Tensor
    coupling: Array
    given: Array

    @classmethod
    def by(cls, remainder: Tensor, step: int, capacity: int) -> "Left":
        """Take what the product of one basis vector has left."""
        coupling = np.zeros(capacity)
        coupling[step] = 1
        return cls(remainder, coupling, np.zeros(capacity))

    def size(self, space: VectorSpace) -> Array:
        """Return ‖r‖ |c|."""
        return np.abs(self.coupling) * space.norm(self.remainder)

    def turn(self, whole: Array) -> None:
        """Say that the basis was combined by orthonormal columns (m, l)."""
        count, kept = whole.shape
        for row in (self.coupling, self.given):
            row[:kept] = row[:count] @ whole
            row[kept:] = 0


@dataclass
class Run:
    """The steps from one start.

    Attributes:
        start: Index of its first vector.
        left: What its last step has left: one vector, or those of a block.
        roots: Ritz values of the run that were given up when the basis was cut down.
        growth: Sum of log β over its steps.
    """

    start: int
    left: list[Left] = field(default_factory=list)
    roots: list[float] = field(default_factory=list)
    growth: float = 0.0

    def share(self, vectors: Array, space: VectorSpace) -> Array:
        """Return what the remainders contribute to the residuals of columns (m, k): (k,)."""
        parts = [(each.coupling[: len(vectors)] @ vectors) * space.norm(each.remainder) for each in self.left]
        return np.sqrt(np.sum(np.square(parts), axis=0)) if parts else np.zeros(vectors.shape[1])

    def take_back(self, basis: Basis, turn: Array, first: int) -> None:
        """Return to the remainders what they have along vectors that leave the basis: from ``first`` on, but turn."""
        for left in self.left:
            lost = np.zeros(len(basis))
            own = left.given[first : len(basis)]
            lost[first:] = own - turn @ (turn.T @ own)
            basis.subtract(left.remainder, torch.from_numpy(-lost))


def combined(left: Sequence[Left], vectors: Array, space: VectorSpace) -> Array:
    """Return the norms of Σ r (cᵀy) for columns y of ``vectors`` (m, k): (k,)."""
    remainders = [each.remainder for each in left]
    gram = np.array([[space.dot(r, s) for s in remainders] for r in remainders])
    ends = np.array([each.coupling[: len(vectors)] for each in left]) @ vectors
    result: Array = np.sqrt(np.maximum(np.einsum("ik,ij,jk->k", ends, gram, ends), 0))
    return result

"""Orthogonalisation against a basis, where it is due."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.krylov._basis import Basis
from thalweg.krylov._orthogonality import Orthogonality
from thalweg.vectors import VectorSpace

# The steps that are measured before any is estimated.
_MEASURED = 4


class Sweeping:
    """Takes out of each product what lies along the basis: all of it where that is due, else along its neighbours.

    Args:
        space: Where the vectors live.
        basis: Q.
        loss: The largest inner product of two basis vectors that is let pass; 0 sweeps at each step.
        capacity: The most basis vectors.

    Attributes:
        sweeps: Times that the whole basis was orthogonalised against.
    """

    def __init__(self, space: VectorSpace, basis: Basis, loss: float, capacity: int) -> None:
        eps = torch.finfo(space.dtype).eps
        self._space, self._basis = space, basis
        # In single precision a tenth of the root: the estimates may be too low by as much before they have learnt.
        self._loss = min(loss, eps**0.5, 3e-5)
        self._orthogonality = Orthogonality(eps, capacity)
        self._again = False
        self.sweeps = 0

    def begin(self, j: int) -> None:
        """Say that vector j is a new start."""
        self._orthogonality.begin(j)
        self._again = False

    def turn(self, whole: NDArray[np.float64]) -> None:
        """Say that the basis was combined by orthonormal columns (m, l)."""
        self._orthogonality.turn(whole)

    def step(
        self, w: Tensor, matrix: NDArray[np.float64], start: int, scale: float, rounding: float
    ) -> tuple[float, float, bool]:
        """Orthogonalise the product of the last basis vector, in place.

        Args:
            w: The product, without the parts that are known.
            matrix: M with that vector's column, (j + 1, j + 1); its diagonal entry is filled in.
            start: Index of the first vector of the run.
            scale: ‖A‖.
            rounding: Below this a remainder is rounding.

        Returns:
            The norm of what is left, the noise of the product, and whether this has grown from an earlier loss, so that
            it says nothing of the operator.
        """
        j = len(matrix) - 1
        matrix[j, j] = self.remove(w, j)
        beta = self._space.norm(w)
        expected = np.inf
        if self._loss > 0 and beta > rounding:
            expected = self._orthogonality.advance(matrix, beta, scale)
        if expected <= self._loss and j >= _MEASURED and not self._again:
            # The neighbours are where most of a product lies, and no sweep comes to finish the work.
            matrix[j, j] += self.remove(w, j)
            if j > start:
                self.remove(w, j - 1)
            return self._space.norm(w), self._orthogonality.noise * scale * float(np.sqrt(j)), True
        grown = j >= _MEASURED and expected < np.inf and not self._again
        found = self.sweep(w, j)
        matrix[j, j] += float(found[j])
        if j and expected < np.inf:
            self._learn(j, float(found[:j].abs().max()), beta, expected, scale)
        return self._space.norm(w), float(torch.linalg.vector_norm(found[:j])), grown

    def remove(self, w: Tensor, i: int) -> float:
        """Take out what lies along basis vector i, and return it."""
        part = self._space.dot(self._basis[i], w)
        w.sub_(self._basis[i], alpha=part)
        return part

    def sweep(self, w: Tensor, j: int) -> Tensor:
        """Orthogonalise against the whole basis of j + 1 vectors, and return what was taken away."""
        self.sweeps += 1
        found = torch.zeros(j + 1, dtype=w.dtype, device=w.device)
        for _ in range(3):
            more = self._basis.remove(w)
            found += more
            if float(torch.linalg.vector_norm(more)) <= 0.1 * self._space.norm(w):
                break
        return found

    def _learn(self, j: int, found: float, size: float, expected: float, scale: float) -> None:
        """Tell the estimates the truth; a sweep that was due is followed by another one."""
        if j < _MEASURED:
            size = found / scale if j == _MEASURED - 1 else 0
            self._orthogonality.measured(size, self._orthogonality.noise)
            return
        # The second sweep of two finds less than expected of the first: nothing to learn.
        self._orthogonality.measured(0 if self._again else found / size, expected)
        self._again = not self._again

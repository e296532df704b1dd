"""Lanczos by its three terms alone: no basis, no reorthogonalisation, and ghosts that have to be told from values."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._projected import eigh
from thalweg.krylov._widened import product_unit

# Less than a random start has of a vector with this probability is nothing.
_NOTHING = 1e-4
# Roundings of the recurrence that one value may spread over.
_WIDTH = 20


class ThreeTerm:
    """The recurrence A q_j = β_{j−1} q_{j−1} + α_j q_j + β_j q_{j+1}, in the memory of three vectors.

    Args:
        operator: The matrix A.
        start: Any vector but zero.

    Attributes:
        diagonal: α so far.
        couplings: β so far.
        scale: The largest ‖A q_j‖.
        invariant: Whether the last remainder was rounding.
    """

    def __init__(self, operator: SymmetricOperator, start: Float[Tensor, " p"]) -> None:
        self._operator, self._space = operator, operator.space
        self._unit = torch.finfo(self._space.dtype).eps
        self._current = start / self._space.norm(start)
        self._previous: Tensor | None = None
        self.diagonal: list[float] = []
        self.couplings: list[float] = []
        self.scale = 0.0
        self.invariant = False

    def step(self) -> Float[Tensor, " p"]:
        """Multiply q_j, and return it.

        Raises:
            ArgumentError: If the operator turns out not to be symmetric.
        """
        q, space = self._current, self._space
        product = self._operator @ q
        if not self.diagonal:
            self._unit = product_unit(product)
        self.scale = max(self.scale, space.norm(product))
        if self._previous is None:
            w = product.clone()
        else:
            found, known = space.dot(self._previous, product), self.couplings[-1]
            # What was left of the step before is off by its rounding, which normalising has multiplied.
            limit = max(1e-3 * self.scale, 100 * self._unit * self.scale**2 / known)
            if abs(found - known) > limit:
                raise ArgumentError(
                    f"operator: expected a symmetric matrix, but product {len(self.diagonal) + 1} is off by a relative "
                    f"{abs(found - known) / self.scale:.1e} where symmetry fixes it. Check it with verify(operator)."
                )
            w = torch.sub(product, self._previous, alpha=known)
        alpha = space.dot(q, w)
        w.sub_(q, alpha=alpha)
        beta = space.norm(w)
        self.diagonal.append(alpha)
        self.couplings.append(beta)
        self.invariant = beta <= 50 * self._unit * self.scale
        self._previous, self._current = q, w if self.invariant else w.div_(beta)
        return q

    def values(self, tol: float) -> "Told":
        """Return the eigenvalues that the recurrence stands for."""
        count = len(self.diagonal)
        matrix = np.diag(self.diagonal) + np.diag(self.couplings[:-1], 1) + np.diag(self.couplings[:-1], -1)
        rounding = self._unit * self.scale * count**0.5
        return told(matrix, self.couplings[-1], rounding, self._space.size, tol)


@dataclass(frozen=True)
class Told:
    """Eigenvalues, each once, ascending.

    Attributes:
        values: Shape (n,).
        residuals: Bounds, shape (n,).
        weights: Columns (m, n) that combine the vectors of the recurrence to approximate eigenvectors.
        scale: The largest magnitude.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    weights: NDArray[np.float64]
    scale: float


def told(matrix: NDArray[np.float64], beta: float, rounding: float, size: int, tol: float) -> Told:
    r"""Tell the eigenvalues of a tridiagonal matrix T from ghosts and copies.

    Cullum & Willoughby (1981): without reorthogonalisation every eigenvalue that has converged comes up again and
    again. One that is on its way is an eigenvalue of T without its first row and column as well, that is, its vector s
    has no first component: the start has nothing of it. One that has arrived lies beside the others. So what lies
    together, to rounding, or within bounds that are below the tolerance, is one eigenvalue, and has the weight
    :math:`\sum s_1^2`. It is a ghost if that is nothing, or no more than rounding ε mixes into a vector from one at
    distance d, (ε/d)² of its weight.

    The bound is that of the combination y ∝ Σ s_1 s over all that lies together, which is what the start has of the
    eigenvector: :math:`\beta |y_m|`, with the width of the cluster and the rounding of the recurrence.

    Args:
        matrix: T, (m, m).
        beta: β_m.
        rounding: Of the recurrence.
        size: P.
        tol: Relative to the largest magnitude.
    """
    theta, vectors = eigh(matrix)
    scale = float(np.abs(theta).max())
    starts = [0, *(np.flatnonzero(np.diff(theta) > _WIDTH * rounding) + 1).tolist()]
    groups = np.repeat(np.arange(len(starts)), np.diff([*starts, len(theta)]))
    first = vectors[0]
    seen = np.add.reduceat(first**2, starts)
    values = np.add.reduceat(first**2 * theta, starts) / np.maximum(seen, np.finfo(float).tiny)
    columns = np.add.reduceat(vectors * first, starts, axis=1) / np.sqrt(np.maximum(seen, np.finfo(float).tiny))
    spreads = np.maximum.reduceat(np.abs(theta - values[groups]), starts)
    bounds = beta * np.abs(columns[-1]) + spreads + 2 * rounding
    real = np.flatnonzero(~_ghosts(values, seen, _WIDTH * rounding, _NOTHING**2 * np.pi / (2 * size)))
    kept: list[int] = []
    for i in real.tolist():
        both = max(bounds[i], bounds[kept[-1]]) if kept else np.inf
        if both <= tol * scale and values[i] - values[kept[-1]] <= bounds[i] + bounds[kept[-1]]:
            # One that has not quite arrived: the better of the two stays.
            kept[-1] = min(i, kept[-1], key=lambda j: float(bounds[j]))
            continue
        kept.append(i)
    return Told(values[kept], bounds[kept], columns[:, kept], scale)


def _ghosts(values: NDArray[np.float64], seen: NDArray[np.float64], mixing: float, nothing: float) -> NDArray[np.bool_]:
    distance = np.abs(values[:, None] - values)
    np.fill_diagonal(distance, np.inf)
    borrowed = (mixing / np.maximum(distance, mixing)) ** 2 * seen
    return (seen < nothing) | (seen[:, None] < borrowed).any(axis=1)

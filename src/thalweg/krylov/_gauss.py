"""Gauss quadrature of the spectral measure of one vector."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.krylov._basis import Basis
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._lockstep import products
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._projected import eigh
from thalweg.krylov._widened import widened
from thalweg.progress import Progress

# Fewer steps say nothing of a spread.
_LEAST = 2


@dataclass(frozen=True)
class Gauss:
    r"""Nodes θ_j and weights τ_j² with :math:`v^\top f(A) v \approx \lVert v\rVert^2 \sum_j \tau_j^2 f(\theta_j)`.

    Exact for polynomials of degree 2m − 1 (Golub & Welsch, 1969), and for all f where an invariant subspace has ended
    the recurrence.

    Attributes:
        matrix: The tridiagonal matrix T, (m, m).
        ended: Whether the subspace was invariant.
        basis: Of the Krylov space, (P, m).
    """

    matrix: NDArray[np.float64]
    ended: bool
    basis: Basis

    def rule(self, steps: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return nodes and weights, of the first ``steps`` steps alone if that is given."""
        values, vectors = eigh(self.matrix[:steps, :steps])
        return values, vectors[0] ** 2

    def applied(self, f: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Float[Tensor, "p 1"]:
        """Return f(A) v / ‖v‖ as far as the Krylov space holds it. Cost: one combination of its basis."""
        values, vectors = eigh(self.matrix)
        return self.basis.combine(torch.from_numpy(vectors @ (f(values) * vectors[0]))[:, None])


def gauss(
    operator: SymmetricOperator, starts: Float[Tensor, "p k"], steps: int, bar: Progress, until: float = math.inf
) -> list[Gauss]:
    """Run Lanczos from each of some vectors, none zero, for two steps at least and then not beyond a point in time.

    The recurrences know nothing of each other, and go in step so that their products share passes over the data.

    Cost: ``steps`` products a vector or fewer, and as many vectors of memory for each.
    """
    operator = widened(operator)
    loss = torch.finfo(operator.space.dtype).eps ** 0.5
    runs = [Lanczos(operator, steps, loss=loss) for _ in range(starts.shape[1])]
    for run, start in zip(runs, starts.mT, strict=True):
        run.start(start)
    while going := [run for run in runs if not (run.ended or run.full)]:
        for run, product in zip(going, products(operator, [run.offer() for run in going]), strict=True):
            run.take(product)
        bar.advance(len(going))
        if going[0].steps >= _LEAST and time.perf_counter() >= until:
            break
    return [Gauss(run.matrix.copy(), run.invariant or run.steps >= operator.space.size, run.basis) for run in runs]

"""Gauss quadrature of the spectral measure of one vector."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._projected import eigh
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
    """

    matrix: NDArray[np.float64]
    ended: bool

    def rule(self, steps: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return nodes and weights, of the first ``steps`` steps alone if that is given."""
        values, vectors = eigh(self.matrix[:steps, :steps])
        return values, vectors[0] ** 2


def gauss(
    operator: SymmetricOperator, start: Float[Tensor, " p"], steps: int, bar: Progress, until: float = math.inf
) -> Gauss:
    """Run Lanczos from a vector that is not zero, for two steps at least and then not beyond a point in time.

    Cost: ``steps`` products or fewer, and as many vectors of memory.
    """
    lanczos = Lanczos(operator, steps, loss=torch.finfo(operator.space.dtype).eps ** 0.5)
    lanczos.start(start)
    while not (lanczos.ended or lanczos.full):
        lanczos.step()
        bar.advance()
        if lanczos.steps >= _LEAST and time.perf_counter() >= until:
            break
    return Gauss(lanczos.matrix.copy(), lanczos.invariant or lanczos.steps >= operator.space.size)

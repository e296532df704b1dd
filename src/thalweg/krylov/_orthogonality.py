"""How far has a Lanczos recurrence lost its orthogonality? An estimate that reads no vectors."""

import numpy as np
from numpy.typing import NDArray


class Orthogonality:
    r"""Estimates of :math:`\omega_{jk} = q_j^\top q_k` by their own recurrence (Simon, 1984).

    Column j of the projected matrix M holds all that is taken out of A q_j but its remainder, so that

    .. math:: \beta_j\,\omega_{\cdot,j+1} = M\,\omega_{\cdot,j} - \Omega\,M_{\cdot,j} + \text{rounding}

    which for one run, where M is tridiagonal, is Simon's recurrence, and holds for several. So a loss grows as the
    Ritz values converge, at O(j²) operations a step, and can be met when it is due. What a product adds, its rounding,
    is learnt: from the first steps, and wherever the truth turns out larger.

    Args:
        unit: The rounding of the vectors' own type.
        capacity: The most basis vectors.

    Attributes:
        noise: Of a product along one basis vector, relative to ‖A‖.
    """

    def __init__(self, unit: float, capacity: int) -> None:
        self._unit = 2 * unit
        self.noise = unit / 4
        # Ω; the last vector has a successor that never joins. Zeros take no memory until something is written there.
        self._inner = np.zeros((capacity + 1, capacity + 1))
        self._next = 0
        # Growing errors alternate along the basis: equal signs would nearly miss them.
        self._random = np.random.default_rng(0)

    def begin(self, j: int) -> None:
        """Say that vector j is a new start, orthogonalised against all before it."""
        self._next = j
        self._clean()

    def advance(self, matrix: NDArray[np.float64], beta: float, scale: float) -> float:
        """Go on from vector j to the next one, given M (j + 1, j + 1), β_j and ‖A‖; return its largest estimate."""
        j = len(matrix) - 1
        inner = self._inner[: j + 1, : j + 1]
        inner[j, j] = 1
        following = matrix @ inner[:, j] - inner @ matrix[:, j]
        following += np.copysign(self.noise * scale, following)
        following /= beta
        following[j] = self._unit
        self._next = j + 1
        self._write(following)
        return float(np.abs(following).max())

    def measured(self, truth: float, estimate: float) -> None:
        """Learn from inner products that were taken, and forget what they removed."""
        self.noise *= max(1.0, truth / estimate)
        self._clean()

    def turn(self, whole: NDArray[np.float64]) -> None:
        """Say that the basis was combined by orthonormal columns (m, l); what follows it stays what it was."""
        count, kept = whole.shape
        following = whole.T @ self._inner[:count, self._next] if self._next == count else np.zeros(kept)
        inner = whole.T @ self._inner[:count, :count] @ whole
        self._inner[: count + 1, : count + 1] = 0
        self._inner[:kept, :kept] = inner
        self._next = kept
        self._write(following + np.copysign(self._unit, following))

    def _clean(self) -> None:
        self._write(self._unit * self._random.choice([-1.0, 1.0], self._next))

    def _write(self, column: NDArray[np.float64]) -> None:
        self._inner[: self._next, self._next] = self._inner[self._next, : self._next] = column

"""How far has a Lanczos recurrence lost its orthogonality? An estimate that reads no vectors."""

import numpy as np
from numpy.typing import NDArray


class Orthogonality:
    r"""Estimates of :math:`\omega_{jk} = q_j^\top q_k` by their own recurrence (Simon, 1984).

    Multiplying the three-term recurrence of q_j by q_k, that of q_k by q_j, and subtracting gives

    .. math:: \beta_j\,\omega_{j+1,k} = \beta_k\,\omega_{j,k+1} + (\alpha_k - \alpha_j)\,\omega_{jk}
              + \beta_{k-1}\,\omega_{j,k-1} - \beta_{j-1}\,\omega_{j-1,k} + \text{rounding}

    so that a loss grows as the Ritz values converge, at O(j) operations a step, and can be met when it is due. What a
    product adds, its rounding, is learnt: from the first steps, and wherever the truth turns out larger.

    Args:
        unit: The rounding of the vectors' own type.

    Attributes:
        noise: Of a product along one basis vector, relative to ‖A‖.
    """

    def __init__(self, unit: float) -> None:
        self._unit = 2 * unit
        self.noise = unit / 4
        self._earlier: NDArray[np.float64] = np.zeros(0)
        self._latest: NDArray[np.float64] = np.ones(1)
        # Growing errors alternate along the basis: equal signs would nearly miss them.
        self._random = np.random.default_rng(0)

    def advance(self, alphas: NDArray[np.float64], betas: NDArray[np.float64], scale: float) -> float:
        """Go on to the next vector, given α_0 … α_j, β_0 … β_j and ‖A‖; return its largest estimate."""
        j = len(alphas) - 1
        following = np.zeros(j + 2)
        following[j + 1], following[j] = 1.0, self._unit
        if j:
            now, before = self._latest, self._earlier
            grown = betas[:j] * now[1:] + (alphas[:j] - alphas[j]) * now[:j] - betas[j - 1] * before
            grown[1:] += betas[: j - 1] * now[: j - 1]
            grown += np.copysign(self.noise * scale, grown)
            following[:j] = grown / betas[j]
        self._earlier, self._latest = self._latest, following
        return float(np.abs(following[: j + 1]).max())

    def measured(self, truth: float, estimate: float) -> None:
        """Learn from inner products that were taken, and forget what they removed."""
        self.noise *= max(1.0, truth / estimate)
        self._latest[:-1] = self._unit * self._signs(len(self._latest) - 1)

    def _signs(self, count: int) -> NDArray[np.float64]:
        return self._random.choice([-1.0, 1.0], count)

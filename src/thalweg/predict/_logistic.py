"""Logistic regression on one variable that has an answer for separated data, too."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    """P(yes | x) = 1 / (1 + exp(−a − bx)).

    Attributes:
        intercept: a.
        slope: b.
        covariance: Of both, shape (2, 2).
    """

    intercept: float
    slope: float
    covariance: _Numbers

    @property
    def middle(self) -> float:
        """The x at which P = ½."""
        return -self.intercept / self.slope

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return Fieller's interval of the middle, or ``None`` where it is unbounded: b may well be 0."""
        q2 = float(stats.norm.ppf(0.5 + level / 2)) ** 2
        (aa, ab), (_, bb) = self.covariance
        # All m with (a + bm)² ≤ q² Var(a + bm): a parabola in m.
        square, linear, constant = (
            self.slope**2 - q2 * bb,
            2 * (self.intercept * self.slope - q2 * ab),
            self.intercept**2 - q2 * aa,
        )
        root = linear**2 - 4 * square * constant
        if square <= 0 or root < 0:
            return None
        half = math.sqrt(root)
        return float((-linear - half) / (2 * square)), float((-linear + half) / (2 * square))


def logistic(x: _Numbers, yes: _Numbers, total: _Numbers) -> Logistic | None:
    """Fit with Firth's (1993) penalty ½ ln det I: less biased, and finite where all below some x are no and above yes.

    Args:
        x: Shape (m,).
        yes: How many of ``total`` at each x.
        total: Shape (m,).

    Returns:
        The fit, or ``None`` where it has not converged.
    """
    centre, scale = float(x.mean()), float(x.std())
    if scale == 0:
        return None
    design = np.stack([np.ones_like(x), (x - centre) / scale], axis=1)
    found: _Numbers = np.zeros(2)
    inverse: _Numbers = np.eye(2)
    for _ in range(200):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -500, 500)))
        weight = total * p * (1 - p)
        information = design.T @ (weight[:, None] * design)
        if np.linalg.cond(information) > 1e12:
            return None
        inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
        # The weight of one observation in the hat matrix times those at this x.
        leverage = weight * np.einsum("ij,jk,ik->i", design, inverse, design)
        step = inverse @ (design.T @ (yes - total * p + leverage * (0.5 - p)))
        found += step / max(1.0, float(np.abs(step).max()) / 2)
        if float(np.abs(step).max()) < 1e-10:
            break
    else:
        return None
    back = np.array([[1.0, -centre / scale], [0.0, 1 / scale]])
    a, b = back @ found
    return Logistic(float(a), float(b), np.asarray(back @ inverse @ back.T))

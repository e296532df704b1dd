"""The largest value of a quadratic in a ball, where the matrix is small enough to be decomposed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Maximiser:
    """Where gᵀy + ½yᵀMy is largest on ‖y‖ ≤ ρ.

    Attributes:
        point: y.
        mirrored: y on the other side of the leading eigenspace, in the hard case; ``None`` where there is one y only.
        multiplier: μ ≥ max(0, λ_max) with (μ − M) y = g and μ(ρ − ‖y‖) = 0.
        hard: Whether the leading eigenspace makes up for a length that is missing, on either side to ``tol``.
    """

    point: Array
    mirrored: Array | None
    multiplier: float
    hard: bool


def maximiser(matrix: Array, slope: Array, rho: float, width: float, tol: float) -> Maximiser:
    r"""Solve the trust-region problem by the eigendecomposition (Moré & Sorensen, 1983).

    With :math:`M = U \Lambda U^\top` and c = Uᵀg the length of :math:`(\mu - M)^{-1} g` is
    :math:`\|c_i / (\mu - \lambda_i)\|`, which falls in μ beyond λ_max. The root is sought in σ = μ − max(0, λ_max),
    so that it keeps its digits where it is far smaller than λ_max, as it is near the hard case.

    Args:
        matrix: M, symmetric, (m, m).
        slope: g, (m,).
        rho: ρ.
        width: Eigenvalues within this distance of λ_max count as the leading ones.
        tol: What the other side of the hard case may be worth less, relative to the maximum.
    """
    values, vectors = np.linalg.eigh(matrix)
    c = vectors.T @ slope
    top = float(values[-1])
    if top < 0:
        newton = -c / values
        if np.linalg.norm(newton) <= rho:
            return Maximiser(vectors @ newton, None, 0.0, hard=False)
    floor = max(0.0, top)
    gaps = floor - values
    leading = gaps <= width
    inside = np.zeros_like(c)
    inside[~leading] = c[~leading] / gaps[~leading]
    missing = rho**2 - float(inside @ inside)
    if not c[leading].any() and missing >= 0:
        # Nothing points along the leading eigenspace: any vector of it makes up for the length that is missing. Where
        # its eigenvalue is not positive that gains nothing, and the maximum is reached inside of the ball.
        if top > 0:
            inside[-1] = np.sqrt(missing)
    else:
        shift = _shift(c, gaps, rho)
        floor += shift
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.where(c == 0, 0.0, c / (shift + gaps))
    gain = float(c @ inside + 0.5 * values @ inside**2)
    hard = top > width and missing > 0 and 2 * float(c[leading] @ inside[leading]) <= tol * gain
    mirrored = vectors @ np.where(leading, -inside, inside) if hard else None
    return Maximiser(vectors @ inside, mirrored, floor, hard)


def _shift(c: Array, gaps: Array, rho: float) -> float:
    """The σ ≥ 0 with ‖c/(σ + gaps)‖ = ρ, by the secular equation 1/‖·‖ = 1/ρ, which is nearly linear."""
    c, gaps = c[c != 0], gaps[c != 0]

    def excess(shift: float) -> float:
        with np.errstate(divide="ignore"):
            length = float(np.linalg.norm(c / (shift + gaps)))
        return (0.0 if np.isinf(length) else 1 / length) - 1 / rho

    # Each term alone is at most ρ, and all of them are at most ‖c‖/σ.
    low = max(0.0, float(np.max(np.abs(c) / rho - gaps)))
    high = float(np.linalg.norm(c)) / rho
    if excess(low) >= 0:
        return low
    if excess(high) <= 0:
        return high
    return float(brentq(excess, low, high, xtol=np.finfo(float).tiny, rtol=4 * np.finfo(float).eps, maxiter=2000))

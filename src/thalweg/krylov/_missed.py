"""Could a multiple eigenvalue have been missed? A statement about random starting vectors."""

import math

import numpy as np
from numpy.typing import NDArray


def excluded(
    diagonal: NDArray[np.float64], off_diagonal: NDArray[np.float64], size: int, wanted: float, probability: float
) -> bool:
    r"""Whether a run of Lanczos from a random start rules out every eigenvalue at or above ``wanted``.

    After j steps the run knows the polynomials :math:`p_0, \dots, p_j` that are orthonormal for the spectral measure
    of its start v, by their recurrence

    .. math:: \beta_{i+1} p_{i+1}(\lambda) = (\lambda - \alpha_{i+1})\,p_i(\lambda) - \beta_i\,p_{i-1}(\lambda)

    Since :math:`\lVert p_j(A) v \rVert = 1`, a unit eigenvector u of λ has :math:`|u^\top v| \le 1 / |p_j(\lambda)|`,
    whatever the rest of the spectrum; and p_j grows with λ beyond its largest root, the largest Ritz value. A random
    start in n dimensions is that close to orthogonal to u with probability about
    :math:`\sqrt{2n/\pi} \,/\, |p_j(\lambda)|`.

    Args:
        diagonal: α_1 … α_j.
        off_diagonal: β_1 … β_j, the norms of what each step left.
        size: Dimension n of the space that the start was drawn in.
        wanted: The smallest eigenvalue that would matter.
        probability: With which no such eigenvalue may be overlooked.
    """
    logarithm, previous, current = 0.0, 0.0, 1.0
    coupling = 0.0
    for alpha, beta in zip(diagonal.tolist(), off_diagonal.tolist(), strict=True):
        following = (wanted - alpha) * current - coupling * previous
        if following <= 0:
            # Not beyond the largest root: something as large as this has been seen.
            return False
        if beta <= 0:
            return True
        previous, current, coupling = current, following / beta, beta
        # The values overflow: carried as a logarithm and a ratio.
        logarithm += math.log(current)
        previous, current = previous / current, 1.0
    return logarithm > math.log(math.sqrt(2 * size / math.pi) / (1 - probability))


def excluded_by_roots(roots: NDArray[np.float64], growth: float, size: int, wanted: float, probability: float) -> bool:
    r"""Say the same as :func:`excluded` of a run whose basis was cut down to some of its Ritz vectors.

    What it left is a unit vector p(A) v all the same, where p has the Ritz values as its roots, those that were given
    up on the way included (Sorensen, 1992):

    .. math:: p(\lambda) = \prod_i (\lambda - \theta_i) \Big/ \prod_i \beta_i

    Args:
        roots: Current Ritz values and those that were given up, as many as there were steps.
        growth: Sum of log β_i over all steps.
        size: Dimension n of the space that the start was drawn in.
        wanted: The smallest eigenvalue that would matter.
        probability: With which no such eigenvalue may be overlooked.
    """
    if wanted <= float(roots.max()):
        return False
    logarithm = float(np.log(wanted - roots).sum()) - growth
    return logarithm > math.log(math.sqrt(2 * size / math.pi) / (1 - probability))

"""Could a multiple eigenvalue have been missed? A statement about random starting vectors."""

import math


def excluded(steps: int, size: int, wanted: float, seen: float, far: float, probability: float) -> bool:
    r"""Whether a run of Lanczos from a random start would have shown an eigenvalue at ``wanted``, had there been one.

    The run, on the orthogonal complement of all earlier vectors, has seen nothing above ``seen``. If an eigenvalue
    λ ≥ ``wanted`` were left there, then after j steps the largest Ritz value would be at least

    .. math:: \lambda - (\lambda - \lambda_{\min}) \left(\frac{\tan\varphi}{T_{j-1}(1 + 2\gamma)}\right)^2,
              \qquad \gamma = \frac{\lambda - b}{b - \lambda_{\min}}

    (Kaniel, 1966; Paige, 1971; Saad, 1980), with b the rest of the spectrum there, taken as ``seen``, and φ the angle
    between start and eigenvector: :math:`\tan\varphi \le \sqrt{n} / (\delta\sqrt{\pi/2})` with probability about
    1 − δ. If that is above ``seen`` the eigenvalue is excluded at this probability.

    Args:
        steps: Steps of the run, j.
        size: Dimension n.
        wanted: The eigenvalue that would matter.
        seen: Largest Ritz value of the run.
        far: The other end of the spectrum, λ_min or a bound below it.
        probability: 1 − δ.
    """
    gap, spread = wanted - seen, seen - far
    if gap <= 0:
        return False
    if steps >= size or spread <= 0:
        return True
    tangent = math.sqrt(size) / ((1 - probability) * math.sqrt(math.pi / 2))
    # T_n(x) = cosh(n arcosh x), in logarithms since it overflows.
    growth = (steps - 1) * math.acosh(1 + 2 * gap / spread) - math.log(2)
    shortfall = math.log(wanted - far) + 2 * (math.log(tangent) - growth)
    return shortfall < math.log(gap)

"""The largest learning rate that is stable, from the sharpness."""

from thalweg.estimate import Estimate


def edge(optimizer: str, momentum: float) -> float:
    r"""Return c such that a quadratic of curvature λ is stable exactly for η λ < c.

    Gradient descent 2, heavy ball 2(1 + β), Nesterov 2(1 + β)/(1 + 2β), and Adam, with the sharpness preconditioned,
    (2 + 2β₁)/(1 − β₁) (Cohen et al., 2022): its average of gradients is a heavy ball of the rate η(1 − β₁).
    """
    if optimizer == "heavy ball":
        return 2 * (1 + momentum)
    if optimizer == "nesterov":
        return 2 * (1 + momentum) / (1 + 2 * momentum)
    if optimizer == "adam":
        return 2 * (1 + momentum) / (1 - momentum)
    return 2.0


def largest_rate(optimizer: str, momentum: float, sharpness: float) -> float | None:
    """Return the largest stable learning rate; ``None`` where no curvature limits it."""
    return edge(optimizer, momentum) / sharpness if sharpness > 0 else None


def small_batch_rate(sharpness: float, spread: Estimate, batch: int, count: int) -> Estimate:
    r"""Return η with :math:`(1 - \eta\lambda)^2 + \eta^2 \frac{N - B}{B(N - 1)} s^2 = 1` (Wu, Ma & E, 2018).

    s² = mean ‖H_i v‖² − ‖H v‖² for the leading eigenvector v. The left side is E ‖(I − ηH_B) v‖², and a lower bound of
    the largest eigenvalue of the matrix whose being at most 1 makes SGD stable in mean square.
    """
    share = (count - batch) / (batch * (count - 1))
    bottom = sharpness**2 + share * spread.value
    value = 2 * sharpness / bottom
    error = None if spread.standard_error is None else value * share * spread.standard_error / bottom
    return Estimate(value, error, spread.dof)


def noise_floor(
    lr: float, momentum: float, noise: float, known: list[tuple[float, float]], rest: float
) -> tuple[float, float]:
    r"""Return bounds on the stationary ½ Tr(HS) of SGD with a heavy ball on a quadratic with H ⪰ 0.

    In the eigenbasis of H each coordinate is a process of its own, whose variance is that of one dimension:
    :math:`\tfrac12 \lambda S = \frac{\eta c (1+\beta)}{2 (1-\beta)(2(1+\beta) - \eta\lambda)}` for noise of variance
    c = uᵀΣ_B u. So the sum over all needs only the noise along each, whether Σ commutes with H or not; it is
    ηTrΣ_B/(4(1 − β)) to first order in η (Mandt et al., 2017; Liu, Ziyin & Ueda, 2021).

    Args:
        lr: η, stable.
        momentum: β.
        noise: Tr Σ_B.
        known: Leading eigenvalues, and the noise along their vectors.
        rest: An upper bound on the other eigenvalues.
    """

    def excess(curvature: float) -> float:
        return lr * (1 + momentum) / (2 * (1 - momentum) * (2 * (1 + momentum) - lr * max(curvature, 0.0)))

    seen = sum(excess(value) * along for value, along in known)
    left = max(0.0, noise - sum(along for _, along in known))
    return seen + excess(0.0) * left, seen + excess(rest) * left

"""How many directions carry the curvature."""

import math

from thalweg.estimate import Estimate
from thalweg.krylov._results import Density


def effective_rank(density: Density, size: int) -> Estimate | None:
    r"""Return the participation ratio :math:`(\mathrm{tr} H)^2 / \mathrm{tr} H^2` from a spectral density.

    It is P for a multiple of the identity and k for k equal eigenvalues among zeros. Both traces come from the
    moments of the density, probe by probe; the standard error is that of their ratio to first order (the two
    are correlated, which this counts).

    Cost: none beyond the density's.

    Valid for: matrices whose trace is clearly positive; a ratio of noisy traces is biased by about the square of
    their relative error.

    Args:
        density: Of the matrix.
        size: P.

    Returns:
        The estimate, without a standard error for a single probe; ``None`` where tr H is not positive or
        tr H² vanishes.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> diagonal = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 4, dtype=torch.float64)
        >>> print(effective_rank(tw.density(op, steps=4), 4))  # 64/22
        2.909
    """
    first = (density.weights * density.nodes).sum(dim=1)
    second = (density.weights * density.nodes**2).sum(dim=1)
    mean, square = float(first.mean()), float(second.mean())
    if mean <= 0 or square <= 0:
        return None
    value, count = size * mean**2 / square, len(first)
    error = None
    if count > 1:
        influence = value * (2 * (first - mean) / mean - (second - square) / square)
        error = float((influence.square().sum() / (count - 1)).sqrt()) / math.sqrt(count)
        # Probes that agree to rounding are exact.
        error = error if error > 1e-12 * value else 0.0
    return Estimate(
        value, error, dof=count - 1 if count > 1 else None, cost=density.cost, provenance=density.provenance
    )

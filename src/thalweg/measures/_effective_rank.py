"""How many directions carry the curvature."""

from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.krylov._operator import require_whole
from thalweg.krylov._quadrature import spread_of
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

    Raises:
        ArgumentError: If ``density`` is none, or ``size`` no whole number from 1.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> diagonal = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 4, dtype=torch.float64)
        >>> print(effective_rank(tw.density(op, steps=4, distribution="rademacher"), 4))  # 64/22
        2.909
    """
    if not isinstance(density, Density):
        raise ArgumentError(f"density: expected what tw.density(operator) returns, got {type(density).__name__}.")
    require_whole("size", size)
    if size < 1:
        raise ArgumentError(f"size: expected at least 1, got {size}.")
    first, second = (float((density.weights * density.nodes**k).sum(dim=1).mean()) for k in (1, 2))
    if first <= 0 or second <= 0:
        return None
    value, count = size * first**2 / second, len(density.nodes)
    # To first order the ratio is a mean of this over the spectrum.
    influence = value * (2 * density.nodes / first - density.nodes**2 / second)
    spread, error = spread_of(density, influence), None
    if spread is not None:
        error = spread.of_mean(count)
        # Probes that agree to rounding are exact.
        error = error if error > 1e-12 * value else 0.0
    return Estimate(
        value, error, dof=None if spread is None else spread.dof, cost=density.cost, provenance=density.provenance
    )

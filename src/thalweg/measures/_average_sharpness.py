"""How far the loss rises on average under random changes of the parameters."""

import math
import time
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._require import require_radius
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

Distribution = Literal["gaussian", "sphere"]


def average_sharpness(
    landscape: Landscape,
    rho: float,
    *,
    samples: int = 16,
    distribution: Distribution = "gaussian",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Estimate :math:`\mathbb{E}_z\, L(\theta + \rho z) - L(\theta)`, the mean rise under noise on the parameters.

    "gaussian": z is standard normal, so that ρz is about :math:`\rho\sqrt P` long, and the quadratic law is
    :math:`\tfrac{\rho^2}{2} \operatorname{tr} H`. "sphere": z is uniform on the unit sphere, ρz is ρ long as in
    :func:`thalweg.sharpness`, and the law is :math:`\tfrac{\rho^2}{2P} \operatorname{tr} H`.

    Every z is taken both ways. All odd terms, the gradient's above all, cancel in
    :math:`\tfrac12 (L(\theta + \rho z) + L(\theta - \rho z)) - L(\theta)` exactly, where they would
    dominate the spread away from a minimum.

    Unbiased for what it estimates, which may be negative; it is no bound on the largest rise, though the mean over the
    sphere is at most S_ρ. Not invariant under rescaling of the parameters.

    Cost: 2 × ``samples`` + 1 passes without gradients.

    Args:
        landscape: Its point is the centre; it does not move.
        rho: Standard deviation of each parameter's noise, or radius of the sphere.
        samples: Draws of z, at least 2, each of them two passes.
        distribution: "gaussian" or "sphere".
        generator: Of the draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every pass to.

    Returns:
        The mean, with the standard error from the spread over the draws of z, and ``samples`` − 1 degrees of freedom.
        Where one eigenvalue dominates the trace, rises are skewed as χ² with one degree of freedom is: 95 % intervals
        then cover in 89 % of runs with 16 draws, and in 92 % with 64; in 93 to 95 % where five eigenvalues share it.

    Raises:
        ArgumentError: If an argument is out of range.
        NonFiniteError: If the loss is not finite at one of the points.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 2, bias=False).double()
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(x, 0 * x)])  # H = ½ I, of trace 2
        >>> found = average_sharpness(landscape, 0.2, distribution="sphere")
        >>> round(found.value, 6)  # 0.2²/(2·4) · 2, the same for all z
        0.01
    """
    require_landscape(landscape)
    rho = require_radius("rho", rho)
    require_whole("samples", samples)
    if samples < 2:
        raise ArgumentError(f"samples: expected at least 2, since one has no spread, got {samples}.")
    if distribution not in ("gaussian", "sphere"):
        raise ArgumentError(f"distribution: expected 'gaussian' or 'sphere', got {distribution!r}.")
    started, space = time.perf_counter(), landscape.space
    source = torch.Generator().manual_seed(0) if generator is None else generator
    rises = torch.zeros(samples, dtype=torch.float64)
    centre = landscape.theta
    with track(2 * samples + 1, "average sharpness", progress) as bar:
        base = landscape.loss()
        bar.advance()
        for index in range(samples):
            z = space.randn(source)
            z = z * (rho if distribution == "gaussian" else rho / space.norm(z))
            ways = [_loss(landscape, centre + z, rho), _loss(landscape, centre - z, rho)]
            rises[index] = ((ways[0] - base) + (ways[1] - base)) / 2
            bar.advance(2)
    error = float(rises.std()) / math.sqrt(samples)
    cost = Cost(losses=2 * samples + 1, seconds=time.perf_counter() - started)
    return Estimate(float(rises.mean()), error, samples - 1, cost=cost, provenance=landscape.provenance())


def _loss(landscape: Landscape, theta: Float[Tensor, " p"], rho: float) -> float:
    try:
        return landscape.loss(theta)
    except NonFiniteError as error:
        raise NonFiniteError(
            f"rho: expected noise under which the loss is finite, but at one point of rho = {rho:g}: {error} "
            "Choose a smaller rho."
        ) from error

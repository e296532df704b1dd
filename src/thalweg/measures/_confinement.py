"""How much of a trajectory stays in a subspace."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from thalweg.krylov._results import Eigenpairs
from thalweg.measures._bases import columns_of, length, points_of, require_like, share_spread
from thalweg.measures._trajectory_results import Confinement
from thalweg.vectors import VectorSpace


def confinement(
    checkpoints: Float[Tensor, "t p"] | Sequence[Float[Tensor, " p"]],
    basis: Eigenpairs | Float[Tensor, "p k"],
    *,
    gradients: Float[Tensor, "s p"] | Sequence[Float[Tensor, " p"]] | None = None,
) -> Confinement:
    r"""Return the shares of a trajectory's displacement and of its updates in the span V of k vectors.

    .. math:: \frac{\|V^\top (\theta_T - \theta_0)\|^2}{\|\theta_T - \theta_0\|^2}, \qquad
              \frac{\sum_t \|V^\top (\theta_{t+1} - \theta_t)\|^2}{\sum_t \|\theta_{t+1} - \theta_t\|^2}

    Against them stands the law of a direction drawn uniformly, Beta(k/2, (P−k)/2). It holds for a basis that knows
    nothing of the trajectory: principal components of the points themselves always hold much of it.

    Updates of gradient descent go mostly along leading eigenvectors of the Hessian, where they oscillate, while the
    displacement need not (Gur-Ari, Roberts & Dyer, 2018): look at both.

    Cost: kT inner products, twice that with gradients.

    Args:
        checkpoints: θ_0, …, θ_T, shape (T + 1, P), at least two.
        basis: Eigenpairs with vectors, or orthonormal columns, shape (P, k).
        gradients: g_0, …, g_T or fewer of them, whose energy in V is asked for too; see also
            :func:`thalweg.anisotropy`, for one gradient and every k.

    Raises:
        ArgumentError: If checkpoints or gradients differ in length, type or device, an entry is not finite, or the
            basis does not fit them or is not orthonormal.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
        >>> found = confinement(points, torch.eye(2)[:, :1])
        >>> found.displacement, found.path, found.updates
        (0.36, 0.36, (1.0, 0.0))
    """
    points = points_of(checkpoints, "checkpoints", 2)
    slopes = [] if gradients is None else points_of(gradients, "gradients", 1)
    if slopes:
        require_like(slopes[0], points[0], "gradients[0]", "checkpoints[0]")
    # Squares of single precision end at 1e-38 and 1e38.
    columns = columns_of(basis, "basis", len(points[0])).to(points[0].device, torch.float64)
    size, k = columns.shape
    steps = [_share(columns, after.double() - before.double()) for before, after in itertools.pairwise(points)]
    displacement, _ = _share(columns, points[-1].double() - points[0].double())
    longest = max(far for _, far in steps)
    weights = [0.0 if longest == 0 else (far / longest) ** 2 for _, far in steps]
    inside = math.fsum(weight * (share or 0.0) for weight, (share, _) in zip(weights, steps, strict=True))
    # All P directions hold everything, whatever the direction.
    tail = 1.0 if k == size else float(stats.beta.sf(displacement or 0.0, k / 2, (size - k) / 2))
    return Confinement(
        displacement=displacement,
        displacement_p=None if displacement is None else tail,
        path=None if longest == 0 else min(1.0, inside / math.fsum(weights)),
        updates=tuple(share for share, _ in steps),
        gradients=None if gradients is None else tuple(_share(columns, slope.double())[0] for slope in slopes),
        null_mean=k / size,
        null_sd=share_spread(k, size),
    )


def _share(columns: Tensor, step: Tensor) -> tuple[float | None, float]:
    """Return the share of ‖step‖² in the span, ``None`` for no step, and ‖step‖."""
    far = length(step)
    if far == 0:
        return None, 0.0
    space = VectorSpace(len(step), step.dtype, step.device)
    # Of the largest entry, not of the length, whose division rounds.
    unit = step / step.abs().max()
    inside = float(space.dots(columns, unit).square().sum())
    return min(1.0, inside / space.norm(unit) ** 2), far

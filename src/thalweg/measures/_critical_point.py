"""The critical point that a descent of the gradient's norm leads to, and what kind it is of."""

import math
import time

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Descended, newton_mr
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._critical_results import CriticalPoint
from thalweg.measures._critical_signs import Signs, all_signs, signs_of_ends, unsure
from thalweg.measures._require import require_real
from thalweg.operators import Operator, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track


def critical_point(
    landscape: Landscape,
    *,
    tol: float | None = None,
    steps: int = 200,
    inner: int | None = None,
    flat: float = 1e-4,
    degenerate: float | None = None,
    exact: int = 256,
    pairs: int = 10,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> CriticalPoint:
    r"""Descend :math:`\|\nabla L\|` to a critical point, a minimum, saddle or maximum, and say which it is.

    Newton–MR (Roosta, Liu, Xu & Mahoney, 2018): steps that minimise :math:`\|H p + g\|` by MINRES, with a line search
    on ‖g‖². Nothing in it prefers minima: the loss may rise. It is not a way to train.

    Where :math:`\nabla \tfrac12\|\nabla L\|^2 = H g = 0` but g ≠ 0, no step lowers ‖g‖. Such points, and regions that
    are nearly such, are what many searches in networks end at (Frye et al., 2021); taken for critical points they
    mislead about the landscape. They are reported as "gradient-flat", and what is neither as "not critical". Long
    valleys with eigenvalues near zero, as at the end of training, are the hard case: a search may stall there.

    ‖∇L‖ is small near a point where the loss is flat to higher order, as x³ or x⁴ at 0, too, and there the eigenvalues
    shrink with every further step: none of their signs says anything. So H is looked at once more, one Newton step
    on. Eigenvalues that change by a tenth of themselves or more along their eigenvector count as zero, with all that
    are smaller.

    With at most ``exact`` parameters the Hessian's eigenvalues are all computed: index and nullity are exact, up to
    eigenvalues near the threshold. Beyond that there are both ends. Then a minimum is one to a threshold of 1e-3 ‖H‖,
    and the index of a saddle is a lower bound if more than ``pairs`` eigenvalues are negative.

    Cost: a gradient or a few and some ten to some hundred products a step; P products at the end, or those of both
    ends, and one for each of these eigenvalues a step further.

    Valid for: losses with two derivatives. Where it has kinks, as with ReLU, the search may stall at one.

    Args:
        landscape: Its point is the start; it does not move.
        tol: ‖∇L‖ to reach; by default ε^{2/3} of the dtype, 4e-11 in double and 2e-5 in single precision, in which
            much lower values than 1e-6 are rounding.
        steps: Most steps.
        inner: Most products a step; by default P, or 5P for more than 1,000 parameters.
        flat: ‖H g‖ / (‖H‖‖g‖), or the share of g that a step can take away, below which a point that has not
            converged counts as gradient-flat.
        degenerate: What counts as a zero eigenvalue, relative to ‖H‖; by default √ε of the dtype where all eigenvalues
            are computed, 1.5e-8 in double precision, and 1e-3 elsewhere.
        exact: Most parameters for which all eigenvalues are computed.
        pairs: Eigenvalues of the lower end beyond that.
        generator: Of the random starts of eigenpairs; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If an argument has a wrong value.
        NonFiniteError: If the loss, the gradient or a product is not finite at the start.

    Warns:
        ConvergenceWarning: If an end of the spectrum has not converged.

    Example:
        >>> class Product(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.a, self.b = (torch.nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in (0.3, -0.1))
        ...
        ...     def forward(self, x):
        ...         return self.a * self.b * x
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(Product(), tw.objectives.squared_error(), [(one, one)])  # ½(ab − 1)²
        >>> print(critical_point(landscape))
        saddle: L = 0.5, ‖∇L‖ = ..., eigenvalues from -1 to 1, 1 negative
    """
    require_landscape(landscape)
    space = landscape.space
    eps = torch.finfo(space.dtype).eps
    reach = eps ** (2 / 3) if tol is None else tol
    _check_arguments(reach, steps, inner, flat, degenerate, exact, pairs)
    started = time.perf_counter()
    with track(steps, "critical point", progress) as bar:
        found = newton_mr(landscape, reach, steps, inner, flat, bar)
        operator = hessian(landscape.at(found.theta), engine="double-backward")
        if space.size <= exact:
            signs = all_signs(operator, found.gradient, math.sqrt(eps) if degenerate is None else degenerate)
        else:
            resolution = 1e-3 if degenerate is None else degenerate
            signs = signs_of_ends(operator, found.gradient, resolution, min(pairs, space.size), generator)
        flatness = _flatness(operator, found.gradient, max(signs.scale, found.scale))
        made = found.matvecs + operator.matvecs
        if found.ending == "converged":
            signs, checked = unsure(landscape, found.theta, signs)
            made += checked
    cost = Cost(made, found.gradients, seconds=time.perf_counter() - started)
    return CriticalPoint(
        theta=found.theta,
        loss=found.loss,
        gradient_norm=found.norms[-1],
        tol=reach,
        kind=_kind(found, signs, space.size, flatness, flat),
        index=signs.index,
        index_exact=signs.index_exact,
        nullity=signs.nullity,
        nullity_exact=signs.nullity_exact,
        smallest=signs.smallest,
        largest=signs.largest,
        residual=signs.residual,
        threshold=signs.threshold,
        distance=signs.distance,
        flatness=flatness,
        ending=found.ending,
        gradient_norms=torch.tensor(found.norms, dtype=torch.float64),
        cost=cost,
        provenance=landscape.provenance("double-backward"),
    )


def _flatness(operator: Operator, gradient: Float[Tensor, " p"], scale: float) -> float | None:
    length = operator.space.norm(gradient)
    if length == 0 or scale == 0:
        return None
    return operator.space.norm(operator @ (gradient / length)) / scale


def _kind(found: Descended, signs: Signs, size: int, flatness: float | None, flat: float) -> str:
    if found.ending != "converged":
        stationary = found.ending == "flat" or signs.scale == 0 or (flatness is not None and flatness <= flat)
        return "gradient-flat" if stationary else "not critical"
    if signs.largest <= signs.threshold and signs.smallest >= -signs.threshold:
        return "degenerate"
    if signs.smallest >= -signs.threshold:
        kind = "minimum"
    elif signs.largest <= signs.threshold:
        kind = "maximum"
    else:
        kind = "saddle"
    # The zeros of a maximum that were not looked for are those that the index leaves.
    zeros = signs.nullity > 0 or (kind == "maximum" and signs.index < size)
    return f"degenerate {kind}" if zeros else kind


def _check_arguments(
    tol: float,
    steps: int,
    inner: int | None,
    flat: float,
    degenerate: float | None,
    exact: int,
    pairs: int,
) -> None:
    if not (math.isfinite(require_real("tol", tol, "a finite number of at least 0")) and tol >= 0):
        raise ArgumentError(f"tol: expected a finite number of at least 0, got {tol}.")
    for name, share in (("flat", flat), ("degenerate", degenerate)):
        if share is not None and not 0 <= require_real(name, share, "a number from 0 to below 1") < 1:
            raise ArgumentError(f"{name}: expected a number from 0 to below 1, got {share}.")
    for name, count, least in (("steps", steps, 0), ("inner", inner, 1), ("exact", exact, 0), ("pairs", pairs, 1)):
        if count is None:
            continue
        require_whole(name, count)
        if count < least:
            raise ArgumentError(f"{name}: expected at least {least}, got {count}.")

"""Down the norm of the gradient, to a critical point of any index."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import NonFiniteError
from thalweg.krylov import minres
from thalweg.landscape import Landscape
from thalweg.operators import hessian
from thalweg.progress import Progress

Ending = Literal["converged", "flat", "stalled", "steps"]

# Armijo's share of the decrease that the slope predicts.
_SHARE = 1e-4
_HALVINGS = 40
# Where this many steps lower ‖g‖ by less than this share, more of them would not help either.
_PATIENCE, _GAIN = 20, 0.01
# By how much a step may be longer than the one before it. Tight radii keep steps out of the small eigenvalues that are
# left at the end: of four networks after training, one converged with 8 and none with 1.
_GROWTH = 8.0
# Below this number of parameters the basis of a solution is kept: it is small, and saves products.
_STORED = 1000


@dataclass(frozen=True)
class Descended:
    """Where the descent ended.

    Attributes:
        theta: The point.
        loss: L there.
        gradient: ∇L there.
        norms: ‖∇L‖ of every point on the way.
        ending: "converged"; "flat", where no step lowers ‖∇L‖ to first order though it is not zero; "stalled", where
            no length of the step lowers it, or twenty steps hardly did; or "steps", where these were used up.
        matvecs: Products taken.
        gradients: Gradients taken.
        scale: Largest ‖H p‖/‖p‖ on the way, a lower bound on the largest ‖H‖.
    """

    theta: Tensor
    loss: float
    gradient: Tensor
    norms: tuple[float, ...]
    ending: Ending
    matvecs: int
    gradients: int
    scale: float


def newton_mr(landscape: Landscape, tol: float, steps: int, inner: int | None, flat: float, bar: Progress) -> Descended:
    r"""Lower :math:`\|\nabla L\|` by Newton–MR (Roosta, Liu, Xu & Mahoney, 2018).

    Each step p minimises :math:`\|H p + g\|` over a Krylov space. Since :math:`\langle p, H g\rangle = -\|H p\|^2`
    for every iterate of MINRES, p lowers ‖g‖² whether H is definite or not, and a line search finds how far to go. An
    iterate longer than what the last line searches allowed is not refined: it would follow small eigenvalues, which
    change first on the way.

    Args:
        landscape: Its point is the start.
        tol: ‖∇L‖ to reach.
        steps: Most steps.
        inner: Most products a step; ``None`` leaves it to MINRES.
        flat: The share of g in the range of H below which no step can lower ‖g‖.
        bar: Told of every step.
    """
    space, theta = landscape.space, landscape.theta
    loss, gradient = landscape.loss_and_gradient(theta)
    norms, matvecs, gradients, scale = [space.norm(gradient)], 0, 1, 0.0
    radius: float | None = None
    ending: Ending = "steps"
    for _ in range(steps):
        size = norms[-1]
        if size <= tol:
            break
        operator = hessian(landscape.at(theta), engine="double-backward")
        solved = minres(
            operator,
            -gradient,
            # Less and less is forgiven, so that convergence is superlinear.
            rtol=min(0.1, math.sqrt(size / norms[0])),
            radius=radius,
            max_matvecs=inner,
            reorthogonalise=space.size <= _STORED,
        )
        matvecs += solved.cost.matvecs
        # ‖Hp‖, by Pythagoras: what the linear model takes away.
        taken = math.sqrt(max(0.0, (size - solved.residual) * (size + solved.residual)))
        length, share = space.norm(solved.x), 1.0
        if length > 0:
            scale = max(scale, taken / length)
        if taken <= flat * size:
            ending = "flat"
            break
        found = None
        for _ in range(_HALVINGS):
            gradients += 1
            found = _tried(landscape, theta + share * solved.x, size**2 - 2 * _SHARE * share * taken**2)
            if found is not None:
                break
            share /= 2
        if found is None:
            ending = "stalled"
            break
        radius = _radius(radius, share, length)
        theta = theta + share * solved.x
        loss, gradient = found
        norms.append(space.norm(gradient))
        bar.advance(note=f"‖∇L‖ = {norms[-1]:.3g}")
        if len(norms) > _PATIENCE and norms[-1] > (1 - _GAIN) * norms[-1 - _PATIENCE]:
            ending = "stalled"
            break
    if norms[-1] <= tol:
        ending = "converged"
    return Descended(theta, loss, gradient, tuple(norms), ending, matvecs, gradients, scale)


def _radius(radius: float | None, share: float, length: float) -> float | None:
    """How long the next step may be: not much longer than what the line search made of this one."""
    if share < 1:
        return _GROWTH * share * length
    return None if radius is None else max(radius, _GROWTH * length)


def _tried(landscape: Landscape, theta: Float[Tensor, " p"], most: float) -> tuple[float, Float[Tensor, " p"]] | None:
    """Return loss and gradient at a point if they are finite and ‖g‖² is low enough."""
    if not bool(torch.isfinite(theta).all()):
        return None
    try:
        loss, gradient = landscape.loss_and_gradient(theta)
    except NonFiniteError:
        return None
    square = landscape.space.norm(gradient) ** 2
    return (loss, gradient) if square <= most else None

"""The loop behind the string and the band: gradients at all images, a step, and the images put in order."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches, Rule, follow
from thalweg.errors import NonFiniteError
from thalweg.krylov import eigenpairs
from thalweg.landscape import Landscape
from thalweg.operators import hessian
from thalweg.progress import Progress

# Chains go downhill, and climb to a saddle: a rise by this many times the first losses is neither.
_RUNAWAY = 10.0


@dataclass(frozen=True)
class State:
    """A chain with what is known at its images.

    Attributes:
        images: Shape (n, P).
        loss: Shape (n,), on the processor.
        gradients: Shape (n, P).
    """

    images: Tensor
    loss: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Scheme:
    """What tells a string from a band.

    Attributes:
        force: What a step subtracts at each image, shape (n, P), given whether an image may climb.
        settle: The images after a step, put in order.
        residual: The norm of what still moves each image, shape (n,).
    """

    force: Callable[[State, bool], Tensor]
    settle: Callable[[Tensor], Tensor]
    residual: Callable[[State, bool], Tensor]


def relax(
    landscape: Landscape,
    images: Float[Tensor, "n p"],
    ends: tuple[float, float],
    scheme: Scheme,
    rule: Rule,
    steps: int,
    tol: float,
    batches: Minibatches | None,
    bar: Progress,
) -> tuple[Float[Tensor, "n p"], int]:
    """Take steps until the residual is at most ``tol``, and return the images and the number of gradients at each.

    On minibatches the residual is noise, so that all steps are taken. The band climbs once its residual has fallen to a
    twentieth of the first one, or half of the steps are taken: before that its highest image may be any.

    Args:
        landscape: Where.
        images: The first chain; its ends stay.
        ends: Their losses.
        scheme: String or band.
        rule: How to step.
        steps: Most steps.
        tol: See above.
        batches: Minibatches, or ``None`` for all data.
        bar: Told of every step.

    Raises:
        NonFiniteError: If a loss or gradient is not finite, or the losses run away.
    """
    shape = images.shape
    taken, climbing, first, residual, limit = 0, False, 0.0, 0.0, math.inf

    def slope(point: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " p"]]:
        nonlocal taken, climbing, first, residual, limit
        chain = point.view(shape)
        state = gradients_at(landscape, chain, ends, batches)
        worst = float(scheme.residual(state, climbing)[1:-1].max())
        first = worst if taken == 0 else first
        highest, lowest = float(state.loss.max()), float(state.loss.min())
        if taken == 0:
            limit = highest + _RUNAWAY * max(highest - lowest, abs(highest))
        elif highest > limit:
            raise NonFiniteError(f"the highest loss of the chain has run away to {highest:.4g}.")
        if not climbing and (worst <= max(0.05 * first, tol) or taken >= steps // 2):
            climbing = True
            worst = float(scheme.residual(state, climbing)[1:-1].max())
        residual = worst
        force = scheme.force(state, climbing)
        force[0], force[-1] = 0, 0
        taken += 1
        bar.advance(note=f"residual {residual:.3g}")
        return highest, force.reshape(-1)

    def move(point: Float[Tensor, " p"], gradient: Float[Tensor, " p"], share: float) -> Float[Tensor, " p"]:
        return scheme.settle(rule(point, gradient, share).view(shape)).reshape(-1)

    with landscape.reading() if batches is not None else nullcontext():
        found = follow(
            slope, images.reshape(-1), move, steps, watch=lambda *_: batches is None and climbing and residual <= tol
        )
    return found.view(shape), taken


def gradients_at(
    landscape: Landscape, images: Float[Tensor, "n p"], ends: tuple[float, float], batches: Minibatches | None = None
) -> State:
    """Return losses and gradients at the images between the ends, whose losses are known and whose gradients are 0."""
    loss = torch.empty(len(images), dtype=torch.float64)
    loss[0], loss[-1] = ends
    gradients = torch.zeros_like(images)
    slope = landscape.loss_and_gradient if batches is None else batches.slope
    for i in range(1, len(images) - 1):
        loss[i], gradients[i] = slope(images[i])
    return State(images, loss, gradients)


def safe_step(
    landscape: Landscape, images: Float[Tensor, "n p"], generator: torch.Generator | None
) -> tuple[float, int]:
    """Return 1/‖H‖ with the largest curvature of five images, the ends among them, and the products that it took."""
    largest, products = 0.0, 0
    for i in sorted({round(share * (len(images) - 1) / 4) for share in range(5)}):
        operator = hessian(landscape.at(images[i]))
        found = eigenpairs(operator, 1, "LM", tol=0.05, generator=generator, vectors=False)
        largest = max(largest, abs(float(found.values[0])))
        products += operator.matvecs
    return (1 / largest if largest > 0 else 1.0), products

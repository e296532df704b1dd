"""Where to go from a point: optimizers and samplers as functions of the gradient."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent._follow import Rule
from thalweg.vectors import VectorSpace


def momentum(lr: float, beta: float = 0.9, *, weight_decay: float = 0.0) -> Rule:
    r"""Return SGD with a heavy ball.

    .. math:: v \leftarrow \beta v + g + \lambda\theta, \qquad \theta \leftarrow \theta - \eta v

    Args:
        lr: η.
        beta: β in [0, 1).
        weight_decay: λ.
    """
    velocity: Tensor | None = None

    def move(point: Tensor, gradient: Tensor, share: float) -> Tensor:
        nonlocal velocity
        force = gradient if weight_decay == 0 else gradient.add(point, alpha=weight_decay)
        velocity = force if velocity is None or beta == 0 else torch.add(force, velocity, alpha=beta)
        return point.sub(velocity, alpha=lr * share)

    return move


def adam(lr: float, betas: tuple[float, float] = (0.9, 0.999), *, epsilon: float = 1e-8) -> Rule:
    """Return Adam (Kingma & Ba, 2015), its averages corrected for their start.

    Args:
        lr: η.
        betas: Of the averages of the gradient and of its square.
        epsilon: Added to the root.
    """
    first: Tensor | None = None
    second: Tensor | None = None
    count = 0

    def move(point: Tensor, gradient: Tensor, share: float) -> Tensor:
        nonlocal first, second, count
        count += 1
        first = (1 - betas[0]) * gradient if first is None else first.lerp(gradient, 1 - betas[0])
        square = gradient.square()
        second = (1 - betas[1]) * square if second is None else second.lerp(square, 1 - betas[1])
        root = (second / (1 - betas[1] ** count)).sqrt_().add_(epsilon)
        return point.addcdiv(first, root, value=-lr * share / (1 - betas[0] ** count))

    return move


def langevin(
    space: VectorSpace,
    lr: float,
    inverse_temperature: float,
    generator: torch.Generator,
    *,
    anchor: Float[Tensor, " p"] | None = None,
    attraction: float = 0.0,
) -> Rule:
    r"""Return stochastic gradient Langevin dynamics (Welling & Teh, 2011), held to an anchor by a spring.

    .. math:: \theta \leftarrow \theta - \frac{\epsilon}{2}\bigl(\beta g + \gamma(\theta - \theta_0)\bigr)
              + \sqrt{\epsilon}\, \xi, \qquad \xi \sim N(0, I)

    For exact gradients and small steps it samples from
    :math:`\exp(-\beta L - \frac{\gamma}{2} \|\theta - \theta_0\|^2)`.

    Args:
        space: Where the points live.
        lr: ε.
        inverse_temperature: β.
        generator: Of the noise.
        anchor: θ₀; the first point by default.
        attraction: γ.
    """
    home = anchor

    def move(point: Tensor, gradient: Tensor, share: float) -> Tensor:
        nonlocal home
        home = point.clone() if home is None else home
        size = lr * share
        drift = inverse_temperature * gradient
        if attraction:
            drift = drift + attraction * (point - home)
        noise = space.randn(generator)
        return point.sub(drift, alpha=size / 2).add(noise, alpha=math.sqrt(size))

    return move

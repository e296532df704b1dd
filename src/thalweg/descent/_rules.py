"""Where to go from a point: optimizers and samplers as functions of the gradient."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent._follow import Rule
from thalweg.vectors import VectorSpace


def momentum(lr: float, beta: float = 0.9, *, weight_decay: float = 0.0, in_place: bool = False) -> Rule:
    r"""Return SGD with a heavy ball.

    .. math:: v \leftarrow \beta v + g + \lambda\theta, \qquad \theta \leftarrow \theta - \eta v

    Args:
        lr: η.
        beta: β in [0, 1).
        weight_decay: λ.
        in_place: Whether to write into the point that is given, and return it: large vectors that are made anew
            take longer than the arithmetic.
    """
    velocity: Tensor | None = None

    def move(point: Tensor, gradient: Tensor, share: float) -> Tensor:
        nonlocal velocity
        force = gradient if weight_decay == 0 else gradient.add(point, alpha=weight_decay)
        if beta == 0:
            velocity = force
        elif velocity is None:
            # The caller may use the gradient's memory again.
            velocity = force.clone()
        else:
            velocity = torch.add(force, velocity, alpha=beta, out=velocity)
        return point.sub_(velocity, alpha=lr * share) if in_place else point.sub(velocity, alpha=lr * share)

    return move


def adam(
    lr: float, betas: tuple[float, float] = (0.9, 0.999), *, epsilon: float = 1e-8, in_place: bool = False
) -> Rule:
    """Return Adam (Kingma & Ba, 2015), its averages corrected for their start.

    Args:
        lr: η.
        betas: Of the averages of the gradient and of its square.
        epsilon: Added to the root.
        in_place: Whether to write into the point that is given, and return it, as :func:`momentum` does.
    """
    first: Tensor | None = None
    second: Tensor | None = None
    root: Tensor | None = None
    count = 0

    def move(point: Tensor, gradient: Tensor, share: float) -> Tensor:
        nonlocal first, second, root, count
        count += 1
        if first is None or second is None or root is None:
            first, second = (1 - betas[0]) * gradient, (1 - betas[1]) * gradient.square()
            root = torch.empty_like(gradient)
        else:
            first.lerp_(gradient, 1 - betas[0])
            second.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        torch.div(second, 1 - betas[1] ** count, out=root).sqrt_().add_(epsilon)
        size = -lr * share / (1 - betas[0] ** count)
        return point.addcdiv_(first, root, value=size) if in_place else point.addcdiv(first, root, value=size)

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

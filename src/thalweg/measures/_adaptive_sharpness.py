"""How far the loss can rise by changes that are small beside the weights themselves."""

import time
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.measures._ascent import Ball, highest, require_climb, require_nothing
from thalweg.measures._require import require_radius
from thalweg.measures._sharpness_results import AdaptiveSharpness
from thalweg.operators._require import require_landscape

Normalization = Literal["element", "filter"]


def adaptive_sharpness(
    landscape: Landscape,
    rho: float,
    method: Literal["one-step", "ascent"] = "one-step",
    *,
    normalization: Normalization = "element",
    eta: float = 0.0,
    steps: int | None = None,
    restarts: int | None = None,
    generator: torch.Generator | None = None,
) -> AdaptiveSharpness:
    r"""Return :math:`\max_{\|T_\theta^{-1}\delta\|_2 \le \rho} L(\theta + \delta) - L(\theta)`, or a lower bound on it.

    T is diagonal and grows with the weights (Kwon et al., 2021, ASAM). "element": :math:`T_i = |\theta_i|`. "filter":
    the norm of the slice along the first axis that the entry is in (a row of a linear layer: what one neuron sees; a
    filter of a convolution), and |θ_i| in parameters of one axis. A weight that is zero does not move, unless
    ``eta`` is positive, which is added to T as in Kwon et al. (0.01 there) at the price of the invariance.

    "one-step" evaluates the loss at the first-order solution :math:`\delta = \rho\, T^2 g / \|T g\|`; "ascent" climbs
    from there and from random points, as :func:`thalweg.sharpness` does, in the coordinates u = T⁻¹δ. Both are lower
    bounds of the maximum.

    "element" is invariant under every change of the weights' scales that leaves the function as it is: in ReLU
    networks, multiplying what comes into a neuron by α and what leaves it by 1/α (Dinh et al., 2017), which
    changes :func:`thalweg.sharpness` at will. "filter" is invariant where all neurons of a layer share one α.

    Cost: as :func:`thalweg.sharpness`: "one-step" one gradient and one pass without; "ascent" one gradient and at most
    ``steps`` gradients a start.

    Args:
        landscape: Its point is the centre; it does not move.
        rho: ρ > 0, the most that the root of the sum of squares of all relative changes δ_i / T_i may be.
        method: "one-step" or "ascent".
        normalization: "element" or "filter".
        eta: Added to T, at least 0.
        steps: Most gradients a start, for "ascent" alone; 20 by default.
        restarts: Random starts, for "ascent" alone; 2 by default.
        generator: Of the random starts, for "ascent" alone; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument is out of range or has no effect with this method, no start is left, or T is zero.
        NonFiniteError: If the loss or gradient is not finite somewhere in the region.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = model.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> data = [(torch.eye(2, dtype=torch.float64)[:1], torch.zeros(1, 1, dtype=torch.float64))]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), data)  # ½x² at x = 3: ½·(3 + 0.1·3)² − 4.5
        >>> print(adaptive_sharpness(landscape, 0.1))
        adaptive S_0.1 ≥ 0.945 (element-wise, one-step)
    """
    require_landscape(landscape)
    rho = require_radius("rho", rho)
    scale = scales(landscape, normalization, eta)
    if method not in ("one-step", "ascent"):
        raise ArgumentError(f"method: expected 'one-step' or 'ascent', got {method!r}.")
    started = time.perf_counter()
    if method == "one-step":
        require_nothing(method, steps=steps, restarts=restarts, generator=generator)
    steps, restarts = 20 if steps is None else steps, 2 if restarts is None else restarts
    require_climb(steps, restarts)
    base, gradient = landscape.loss_and_gradient()
    ball = Ball(landscape, rho, base, scale)
    slope = gradient * scale
    raw: float | None = None
    rises: Tensor | None = None
    if method == "one-step":
        if ball.norm(slope) > 0:
            raw = ball.loss(ball.edge(slope)) - base
        losses = int(raw is not None)
    else:
        losses, starts = 0, [slope] if ball.norm(slope) > 0 else []
        if restarts:
            # What cannot move would take a share of the radius.
            starts += [start * (scale > 0) for start in landscape.space.randn(generator, restarts).mT]
        if not starts:
            raise ArgumentError("restarts: expected at least 1 where T times the gradient vanishes, got 0.")
        rises = highest(ball, starts, steps)
        raw = float(rises.max())
    cost = Cost(gradients=1 + ball.gradients, losses=losses, seconds=time.perf_counter() - started)
    return AdaptiveSharpness(
        value=max(0.0, raw or 0.0),
        raw=raw,
        rho=rho,
        method=method,
        normalization=normalization,
        eta=float(eta),
        base=base,
        restarts=rises,
        lower_bound=True,
        cost=cost,
    )


def scales(landscape: Landscape, normalization: Normalization, eta: float) -> Float[Tensor, " p"]:
    """Return the diagonal of T.

    Raises:
        ArgumentError: If an argument has a wrong value, or T is zero.
    """
    if normalization not in ("element", "filter"):
        raise ArgumentError(f"normalization: expected 'element' or 'filter', got {normalization!r}.")
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 0 <= eta < float("inf"):
        raise ArgumentError(f"eta: expected a finite number of at least 0, got {eta}.")
    theta = landscape.theta
    if normalization == "element":
        scale = theta.abs()
    else:
        parts = [_by_filter(part) for part in landscape.layout.views(theta)]
        scale = landscape.layout.flatten(parts, theta)
    scale = scale + eta
    if not bool((scale > 0).any()):
        raise ArgumentError(
            "landscape: expected weights to take the scale from, but all of the selected parameters are zero. Give eta."
        )
    return scale


def _by_filter(part: Tensor) -> Tensor:
    if part.ndim < 2:
        return part.abs()
    lengths: Tensor = torch.linalg.vector_norm(part.reshape(part.shape[0], -1), dim=1)
    return lengths.view(-1, *[1] * (part.ndim - 1)).expand_as(part)

"""How far the loss can rise within a ball."""

import time
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._results import Eigenpairs
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.measures._ascent import Ball, highest, require_climb, require_nothing
from thalweg.measures._quadratic_sharpness import quadratic_sharpness
from thalweg.measures._require import require_radius
from thalweg.measures._results import Sharpness
from thalweg.operators._require import require_landscape

Method = Literal["one-step", "ascent", "trust-region"]


def sharpness(
    landscape: Landscape,
    rho: float,
    method: Method = "one-step",
    *,
    steps: int | None = None,
    restarts: int | None = None,
    directions: Eigenpairs | Float[Tensor, " p"] | Float[Tensor, "p k"] | None = None,
    generator: torch.Generator | None = None,
) -> Sharpness:
    r"""Return :math:`S_\rho = \max_{\|\delta\| \le \rho} L(\theta + \delta) - L(\theta)`, or a lower bound on it.

    "one-step" evaluates the loss at δ = ρ g/‖g‖, the first-order solution (Foret et al., 2021). It misses what
    curvature adds: at a minimum g = 0 leaves it undefined (``raw`` is ``None``, ``value`` 0), and near one the
    gradient need not point where the loss rises most. Where the step overshoots ``raw`` is negative.

    "ascent" climbs from that point, from ±ρ along the given directions and from random points of the sphere, by
    projected gradient ascent with backtracking, and keeps the highest point seen, so that it is never below "one-step".
    It finds local maxima: the value is a lower bound, tight where the starts hold the leading eigenvectors.

    "trust-region" evaluates the loss where its quadratic model is largest in the ball, at a minimum too;
    :func:`thalweg.quadratic_sharpness` is the same with options, and with what the model says itself.

    None is invariant under rescaling of the parameters (Dinh et al., 2017); :func:`thalweg.adaptive_sharpness` is.

    Cost: "one-step" one gradient and one pass without; "ascent" one gradient and at most ``steps`` gradients a start;
    "trust-region" one gradient, one or two passes without, and typically 20 to 60 products.

    Args:
        landscape: Its point is the centre of the ball, in the selected parameters; it does not move.
        rho: Radius ρ > 0 in parameter space.
        method: "one-step", "ascent" or "trust-region".
        steps: Most gradients a start, for "ascent" alone; 20 by default.
        restarts: Random starts, for "ascent" alone; 2 by default, 0 for none if another start is left.
        directions: Directions to start along, both ways, for "ascent" alone: eigenpairs, or columns, shape (P,) or
            (P, k), of any length but 0.
        generator: Of the random starts, but for "one-step"; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument is out of range or has no effect with this method, or no start is left.
        NonFiniteError: If the loss or gradient is not finite somewhere in the ball: the maximum has no finite value.

    Warns:
        ConvergenceWarning: If the products of "trust-region" were used up first.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> data = [(torch.tensor([[2.0, 1.0]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))]
        >>> minimum = tw.Landscape(model, tw.objectives.squared_error(), data)  # ½(2x + y)² at (0, 0)
        >>> print(sharpness(minimum, 0.1))
        S_0.1 ≥ 0 (one-step)
        >>> print(sharpness(minimum, 0.1, "ascent"))
        S_0.1 ≥ 0.025 (ascent)
    """
    require_landscape(landscape)
    rho = require_radius("rho", rho)
    if method == "ascent":
        return _ascent(
            landscape, rho, 20 if steps is None else steps, 2 if restarts is None else restarts, directions, generator
        )
    if method not in ("one-step", "trust-region"):
        raise ArgumentError(f"method: expected 'one-step', 'ascent' or 'trust-region', got {method!r}.")
    require_nothing(method, steps=steps, restarts=restarts, directions=directions)
    if method == "trust-region":
        found = quadratic_sharpness(landscape, rho, generator=generator)
        return Sharpness(
            found.value, found.reached, rho, "trust-region", found.base, None, lower_bound=True, cost=found.cost
        )
    require_nothing(method, generator=generator)
    started = time.perf_counter()
    rise = one_step(landscape, rho, *landscape.loss_and_gradient())
    return replace(rise, cost=replace(rise.cost, gradients=1, seconds=time.perf_counter() - started))


def one_step(landscape: Landscape, rho: float, base: float, gradient: Tensor) -> Sharpness:
    """Return S_ρ along a gradient that is there."""
    started = time.perf_counter()
    ball = Ball(landscape, rho, base)
    raw = ball.loss(ball.edge(gradient)) - base if ball.norm(gradient) > 0 else None
    cost = Cost(losses=int(raw is not None), seconds=time.perf_counter() - started)
    return Sharpness(max(0.0, raw or 0.0), raw, rho, "one-step", base, None, lower_bound=True, cost=cost)


def _ascent(
    landscape: Landscape,
    rho: float,
    steps: int,
    restarts: int,
    directions: Eigenpairs | Tensor | None,
    generator: torch.Generator | None,
) -> Sharpness:
    require_climb(steps, restarts)
    started, space = time.perf_counter(), landscape.space
    given = _columns(landscape, directions)
    base, gradient = landscape.loss_and_gradient()
    starts = [gradient] if space.norm(gradient) > 0 else []
    starts += [sign * column for column in given for sign in (1, -1)]
    if restarts:
        starts += list(space.randn(generator, restarts).mT)
    if not starts:
        raise ArgumentError(
            "restarts: expected at least 1 where the gradient vanishes and no directions are given, got 0."
        )
    ball = Ball(landscape, rho, base)
    rises = highest(ball, starts, steps)
    raw = float(rises.max())
    cost = Cost(gradients=1 + ball.gradients, seconds=time.perf_counter() - started)
    return Sharpness(max(0.0, raw), raw, rho, "ascent", base, rises, lower_bound=True, cost=cost)


def _columns(landscape: Landscape, directions: Eigenpairs | Tensor | None) -> list[Tensor]:
    if directions is None:
        return []
    vectors = directions.vectors if isinstance(directions, Eigenpairs) else directions
    if vectors is None:
        raise ArgumentError("directions: expected eigenpairs with vectors, got some without.")
    columns = list(require_columns(landscape.space, vectors, "directions").mT)
    for index, column in enumerate(columns):
        if landscape.space.norm(column) == 0:
            raise ArgumentError(f"directions: expected vectors that are not zero, got length 0 in column {index}.")
    return columns

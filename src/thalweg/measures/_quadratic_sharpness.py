"""The largest rise of the loss in a ball by its quadratic model."""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.krylov._eigenpairs import eigenpairs
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._operator import require_symmetric, require_whole
from thalweg.landscape import Landscape
from thalweg.measures._ascent import Ball
from thalweg.measures._require import require_radius, require_real
from thalweg.measures._sharpness_results import QuadraticSharpness
from thalweg.measures._trust_region import maximiser
from thalweg.operators import Operator, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

_PRODUCTS = 300


def quadratic_sharpness(
    landscape: Landscape,
    rho: float,
    *,
    operator: Operator | None = None,
    tol: float = 1e-4,
    max_matvecs: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> QuadraticSharpness:
    r"""Return the maximum of the quadratic model in a ball, and the rise of the loss where it is reached.

    .. math:: \max_{\|\delta\| \le \rho} g^\top\delta + \tfrac12\, \delta^\top H \delta

    The maximiser is :math:`\delta = (\mu I - H)^{-1} g` with :math:`\mu \ge \max(0, \lambda_{\max})` and ‖δ‖ = ρ, or
    μ = 0 and ‖δ‖ < ρ where H is negative definite and its stationary point lies inside (Moré & Sorensen, 1983). In the
    *hard case*, at a minimum above all, g has no part along the leading eigenspace, which then makes up for the length
    that is missing: at a minimum the model's maximum is ½ρ²λ_max, both ways along the leading eigenvector. Trained
    networks are near it: then both sides are tried, since the loss does not treat them alike.

    The problem is solved in the Krylov space of g, as by Gould, Lucidi, Roma & Toint (1999), joined by the leading
    eigenvector, so that neither the hard case nor one that is nearly hard is missed. The ``model`` is attained, and at
    most ``slack`` below the maximum; it is an approximation of S_ρ, no bound. ``value``, the rise of the loss itself
    at δ, is a lower bound on S_ρ. As a start of ``sharpness(landscape, rho, "ascent", directions=found.delta)`` it
    gives a better one.

    Not invariant under rescaling of the parameters (Dinh et al., 2017).

    Cost: one gradient, one pass without (two in the hard case), the products of the leading eigenpair, and until δ has
    converged, in all typically 20 to 60; P numbers of memory a product, and room for ``max_matvecs`` of them.

    Args:
        landscape: Its point is the centre of the ball; it does not move.
        rho: Radius ρ > 0 in parameter space.
        operator: H; by default the Hessian of the landscape. With another matrix, the GGN say, the model is that
            of this matrix, and ``value`` the rise of the loss where it is largest.
        tol: Residual at which the eigenpair counts as converged, relative to ‖H‖, and δ, relative to the maximum over
            ρ. The error of ``model`` goes with its square. Also what one side may be worth less in the hard case.
        max_matvecs: The most products of the eigenpair, and of the rest, each; 300 by default.
        generator: Of the eigenpair's random starts; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument is out of range, or ``operator`` does not fit.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a gradient, a product or the loss at δ is not finite.

    Warns:
        ConvergenceWarning: If the products were used up first; ``slack`` says what may be missing.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> data = [(torch.tensor([[2.0, 1.0]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))]
        >>> minimum = tw.Landscape(model, tw.objectives.squared_error(), data)  # ½(2x + y)² at (0, 0): λ_max = 5
        >>> print(quadratic_sharpness(minimum, 0.1))
        S_0.1 ≥ 0.025 (trust region); quadratic model 0.025 (hard case)
    """
    require_landscape(landscape)
    rho = require_radius("rho", rho)
    tol = require_real("tol", tol, "a positive number")
    if not tol > 0:
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
    require_whole("max_matvecs", _PRODUCTS if max_matvecs is None else max_matvecs)
    if max_matvecs is not None and max_matvecs < 2:
        raise ArgumentError(f"max_matvecs: expected at least 2, got {max_matvecs}.")
    matrix = hessian(landscape) if operator is None else operator
    require_symmetric(matrix)
    if matrix.space.size != landscape.size:
        raise ArgumentError(f"operator: expected shape {(landscape.size, landscape.size)}, got {matrix.shape}.")
    started, before = time.perf_counter(), matrix.matvecs
    base, gradient = landscape.loss_and_gradient()
    with track(None, "quadratic sharpness", progress) as bar:
        found = _solved(matrix, gradient, rho, tol, max_matvecs, generator, bar)
    delta = found.delta.to(gradient)
    ball = Ball(landscape, rho, base)
    reached, losses = ball.loss(delta) - base, 1
    if found.mirrored is not None:
        # The model does not tell the two apart; the loss does.
        other = found.mirrored.to(gradient)
        rise = ball.loss(other) - base
        losses = 2
        if rise > reached:
            delta, reached = other, rise
    cost = Cost(matrix.matvecs - before, gradients=1, losses=losses, seconds=time.perf_counter() - started)
    if not found.converged:
        warnings.warn(
            f"the maximum of the quadratic model has not converged within {cost.matvecs} products: it may be "
            f"{found.slack:.2g} above {found.model:.4g}. Raise max_matvecs or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return QuadraticSharpness(
        value=max(0.0, reached),
        model=found.model,
        slack=found.slack,
        reached=reached,
        rho=rho,
        length=ball.norm(delta),
        multiplier=found.multiplier,
        largest=found.largest,
        hard_case=found.mirrored is not None,
        interior=found.multiplier == 0,
        base=base,
        delta=delta,
        residual=found.residual,
        converged=found.converged,
        lower_bound=True,
        cost=cost,
    )


@dataclass(frozen=True)
class _Solved:
    delta: Tensor
    mirrored: Tensor | None
    multiplier: float
    largest: float
    model: float
    slack: float
    residual: float
    converged: bool


def _solved(
    operator: Operator,
    gradient: Tensor,
    rho: float,
    tol: float,
    limit: int | None,
    generator: torch.Generator | None,
    bar: Progress,
) -> _Solved:
    with warnings.catch_warnings():
        # What has not converged is told of once, with what it means for the maximum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pairs = eigenpairs(operator, 1, tol=tol, generator=generator, max_matvecs=limit, progress=bar)
    vectors, residual = pairs.vectors, float(pairs.residuals[0])
    assert vectors is not None  # noqa: S101 - they were asked for
    capacity = min(operator.space.size, _PRODUCTS if limit is None else limit)
    lanczos = Lanczos(operator, capacity)
    space = lanczos.space
    slope = gradient.to(vectors)
    # The eigenvector first: what the Krylov space of g then is made of is orthogonal to it.
    lanczos.start(vectors[:, 0].clone())
    lanczos.step()
    bar.advance()
    width = max(residual, 50 * lanczos.rounding)
    # With g = 0, or along the eigenvector, there is nothing to add.
    growing = space.norm(slope) > 0 and lanczos.start(slope.clone())
    settled = not growing
    while True:
        known = _along(lanczos, slope)
        best = maximiser(lanczos.matrix, known, rho, width, tol)
        shares = float(lanczos.shares(best.point[:, None]).sum())
        gain = float(known @ best.point + 0.5 * best.point @ lanczos.matrix @ best.point)
        floor = 4 * lanczos.rounding * float(np.linalg.norm(best.point))
        settled = settled or (lanczos.steps > 1 and rho * shares <= max(tol * gain, rho * floor))
        if settled or lanczos.ended:
            break
        # The small problem is decomposed anew a tenth of the way further on, so that it costs little beside products.
        for _ in range(max(1, lanczos.steps // 10)):
            if not lanczos.ended:
                lanczos.step()
                bar.advance()
    settled = settled or lanczos.invariant or lanczos.steps == space.size
    delta = lanczos.basis.combine(torch.from_numpy(best.point[:, None]))[:, 0]
    mirrored = None
    if best.mirrored is not None:
        mirrored = lanczos.basis.combine(torch.from_numpy(best.mirrored[:, None]))[:, 0]
    image = (operator @ delta.to(gradient)).to(delta)
    model = space.dot(slope, delta) + 0.5 * space.dot(delta, image)
    left = space.norm(slope - best.multiplier * delta + image)
    # For δ' in the ball the model gains at most rᵀ(δ' − δ) + ½(λ_max − μ)‖δ' − δ‖² on its value at δ.
    above = max(0.0, float(pairs.values[0]) + residual - best.multiplier)
    return _Solved(
        delta,
        mirrored,
        best.multiplier,
        max(float(pairs.values[0]), float(np.linalg.eigvalsh(lanczos.matrix)[-1])),
        model,
        2 * rho * (left + rho * above),
        left,
        settled and bool(pairs.converged.all()) and pairs.complete,
    )


def _along(lanczos: Lanczos, slope: Tensor) -> NDArray[np.float64]:
    """Return Qᵀg: the Krylov space holds g in its first two vectors."""
    known = np.zeros(lanczos.steps)
    for index in range(min(2, lanczos.steps)):
        known[index] = lanczos.space.dot(lanczos.basis[index], slope)
    return known

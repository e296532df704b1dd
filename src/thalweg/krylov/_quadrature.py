"""The spectral density by stochastic Lanczos quadrature."""

import math
import time
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.krylov._gauss import Gauss, gauss
from thalweg.krylov._lockstep import groups
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.krylov._results import Density
from thalweg.krylov._spread import Spread, on_sphere
from thalweg.krylov._widened import widened
from thalweg.progress import Progress, track


def density(
    operator: SymmetricOperator,
    *,
    probes: int = 8,
    steps: int = 80,
    grid: Float[Tensor, " points"] | None = None,
    width: float | None = None,
    distribution: Distribution = "gaussian",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Density:
    r"""Estimate the spectral density :math:`\frac1P \sum_i \delta(\lambda - \lambda_i)`, smoothed by a Gaussian.

    From each probe z, m steps of Lanczos, reorthogonalised where it is due, give Ritz values θ_j and weights τ_j² (the
    squared first entries of their vectors), a Gauss quadrature of the spectral measure of z that is exact for
    polynomials of degree 2m − 1 (Golub & Welsch, 1969; Lin, Saad & Yang, 2016). The density is their mean over
    probes; weights of each probe sum to 1.

    Cost: probes × steps products, and as many vectors of memory for up to eight probes, which go in step, or for as
    many as fit.

    Args:
        operator: The matrix A, (P, P).
        probes: Random starts.
        steps: Lanczos steps for each, at most P (fewer where an invariant subspace ends the recurrence).
        grid: Increasing points at which the curve is given; by default 1,000 that hold all of its mass.
        width: Standard deviation σ of the smoothing Gaussian in units of the eigenvalues; by default a
            hundredth of the range of the nodes.
        distribution: "gaussian" or "rademacher". Of normal probes only the direction counts, which is uniform on the
            sphere, so that errors can be told by its law; signs are exact on diagonal matrices, but only their own
            sample tells how far they scatter, and intervals of 8 cover in 85 % where one eigenvalue dominates.
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a product is not finite.

    Example:
        >>> diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        >>> result = density(tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64), probes=2, steps=3)
        >>> [round(node, 6) for node in result.nodes[0].tolist()]
        [1.0, 2.0, 3.0]
    """
    require_symmetric(operator)
    _check_arguments(probes, steps, grid, width)
    operator = widened(operator)
    started, space = time.perf_counter(), operator.space
    steps = min(steps, space.size)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    rules: list[Gauss] = []
    with track(probes * steps, "density", progress) as bar:
        for count in groups(operator, probes, steps):
            rules += gauss(operator, draw_probes(space, count, distribution, source), steps, bar)
    nodes, weights, products = np.zeros((probes, steps)), np.zeros((probes, steps)), 0
    for row, (values, shares) in enumerate(rule.rule() for rule in rules):
        count = len(values)
        nodes[row, :count], weights[row, :count] = values, shares
        # Padding repeats a node, so that it does not stretch the range.
        nodes[row, count:] = values[-1]
        products += count
    cost = Cost(matvecs=products, seconds=time.perf_counter() - started)
    sphere = space.size if distribution == "gaussian" else None
    return replace(smoothed(nodes, weights, grid, width, cost, operator.provenance), sphere=sphere)


def smoothed(
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
    grid: Tensor | None,
    width: float | None,
    cost: Cost,
    provenance: Provenance | None,
) -> Density:
    """Return the density of nodes and weights, a row a probe."""
    sigma = _default_width(nodes) if width is None else width
    points = _default_grid(nodes, sigma) if grid is None else grid.detach().double().cpu().numpy()
    curves = np.stack([_smoothed(points, n, w, sigma) for n, w in zip(nodes, weights, strict=True)])
    error = torch.from_numpy(curves.std(axis=0, ddof=1) / math.sqrt(len(nodes))) if len(nodes) > 1 else None
    return Density(
        nodes=torch.from_numpy(nodes),
        weights=torch.from_numpy(weights),
        grid=torch.from_numpy(points.copy()),
        density=torch.from_numpy(curves.mean(axis=0)),
        standard_error=error,
        width=sigma,
        cost=cost,
        provenance=provenance,
    )


def spectral_moment(result: Density, order: int) -> Estimate:
    r"""Return :math:`\frac1P \mathrm{tr} A^k` from a density, with its standard error over probes.

    The error is by the law of the probes where that is the sphere, and by their sample for signs. Exact for each probe
    while k ≤ 2·steps − 1. Cost: no further products.

    Args:
        result: A density.
        order: k.

    Raises:
        ArgumentError: If ``order`` is negative.

    Example:
        >>> diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> result = density(op, probes=2, steps=3, distribution="rademacher")
        >>> round(spectral_moment(result, 2).value, 6)  # (1 + 4 + 9)/3, exact: signs on a diagonal matrix
        4.666667
    """
    if order < 0:
        raise ArgumentError(f"order: expected a number that is not negative, got {order}.")
    powers = result.nodes**order
    samples, spread = (result.weights * powers).sum(dim=1), spread_of(result, powers)
    return Estimate(
        float(samples.mean()),
        standard_error=None if spread is None else spread.of_mean(len(samples)),
        dof=None if spread is None else spread.dof,
        cost=result.cost,
        provenance=result.provenance,
    )


def spread_of(result: Density, values: Float[Tensor, "probes steps"]) -> Spread | None:
    """Return the spread of the means of a function, given at the nodes, that single probes make; ``None`` for one."""
    weights, count = result.weights.double(), len(result.nodes)
    if count < 2:
        return None
    if result.sphere is None:
        return Spread(float((weights * values).sum(dim=1).var()), count - 1)
    # Known eigenvalues have no spread, and the rest is as the sphere's own measure.
    weights, rest = weights[:, result.known :], values[:, result.known :].double()
    share = result.sphere / (result.sphere + result.known)
    means = (weights * rest).sum(dim=1) / share
    misses = (weights * (rest - means[:, None]) ** 2).sum(dim=1) / share
    spread = on_sphere(result.sphere * means.numpy(), result.sphere * misses.numpy(), result.sphere)
    return replace(spread, variance=spread.variance / (result.sphere + result.known) ** 2)


def _smoothed(points: np.ndarray, nodes: np.ndarray, weights: np.ndarray, sigma: float) -> np.ndarray:
    scaled = (points[:, None] - nodes[None, :]) / sigma
    curve: np.ndarray = np.exp(-0.5 * scaled**2) @ weights / (sigma * math.sqrt(2 * math.pi))
    return curve


def _default_width(nodes: np.ndarray) -> float:
    spread = float(nodes.max() - nodes.min())
    return spread / 100 if spread > 0 else max(abs(float(nodes.max())), 1.0) / 100


def _default_grid(nodes: np.ndarray, sigma: float) -> np.ndarray:
    # Six standard deviations beyond the last node: less than 1e-8 of the mass is outside.
    return np.linspace(nodes.min() - 6 * sigma, nodes.max() + 6 * sigma, 1000)


def _check_arguments(probes: int, steps: int, grid: Tensor | None, width: float | None) -> None:
    for name, count in {"probes": probes, "steps": steps}.items():
        require_whole(name, count)
    if probes < 1:
        raise ArgumentError(f"probes: expected at least 1, got {probes}.")
    if steps < 1:
        raise ArgumentError(f"steps: expected at least 1, got {steps}.")
    if width is not None and not width > 0:
        raise ArgumentError(f"width: expected a positive number, got {width}.")
    if grid is not None and (grid.ndim != 1 or len(grid) < 2 or not bool((grid.diff() > 0).all())):
        raise ArgumentError("grid: expected at least two increasing points in one dimension.")

"""How the loss changes along directions, against its quadratic model."""

import math
import time
import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning, NonFiniteError
from thalweg.estimate import Cost
from thalweg.krylov._eigenpairs import eigenpairs
from thalweg.krylov._operator import require_symmetric
from thalweg.krylov._results import Eigenpairs
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.measures._require import require_radius, require_real
from thalweg.measures._sharpness_results import PerturbationLaw
from thalweg.operators import Operator, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

_ROUNDINGS = 100


def perturbation_law(
    landscape: Landscape,
    epsilons: Sequence[float] | Float[Tensor, " e"],
    directions: int | Eigenpairs | Float[Tensor, " p"] | Float[Tensor, "p k"] = 8,
    *,
    operator: Operator | None = None,
    largest: float | None = None,
    tolerance: float = 0.1,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> PerturbationLaw:
    r"""Measure ΔL(ε) = L(θ + εv) − L(θ) along unit vectors v, both ways, and hold it against the quadratic law.

    .. math:: \Delta L(\epsilon) \approx \epsilon\, v^\top g + \tfrac12 \epsilon^2\, v^\top H v, \qquad
              \tfrac12 \epsilon^2\, v^\top H v \le \tfrac12 \epsilon^2 \lambda_{\max}

    The statement ΔL = O(ε² λ_max) holds at a critical point, and only as far as the model does. Elsewhere the term
    ε vᵀg is the larger one for small ε; it cancels in the mean of both ways, the even part, to which the order of ε is
    fitted. Orders near 2 and a ``reaches`` that is not small say that the Hessian describes the loss at that distance;
    higher orders that curvature vanishes or quartic terms take over.

    Cost: 2 × directions × epsilons passes without gradients, one gradient, a product for each direction, and those of
    the leading eigenvalue where it is neither given nor among the directions.

    Args:
        landscape: Where the directions start; it does not move.
        epsilons: Distances ε > 0, at least 2 different ones, in parameter space.
        directions: How many random directions, uniform on the sphere, of mean curvature tr H / P; eigenpairs with
            vectors; or columns, shape (P,) or (P, k), of any length but 0.
        operator: H; by default the Hessian of the landscape.
        largest: λ_max, where it is known.
        tolerance: Of the model, relative to ε|vᵀg| + ½ε²|vᵀHv|.
        generator: Of the directions, and of the eigenpair's random starts; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every pass to.

    Raises:
        ArgumentError: If an argument is out of range or does not fit.
        NonFiniteError: If the loss is not finite at one of the points.

    Warns:
        ConvergenceWarning: If λ_max has not converged, and then is a lower bound.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> data = [(torch.tensor([[2.0, 1.0]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))]
        >>> minimum = tw.Landscape(model, tw.objectives.squared_error(), data)  # ½(2x + y)² at (0, 0)
        >>> print(perturbation_law(minimum, [0.01, 0.1, 1.0], torch.eye(2, dtype=torch.float64)))
        ΔL ~ ε^2.00 along 2 directions, quadratic up to ε = 1
    """
    require_landscape(landscape)
    sizes = _distances(epsilons)
    tolerance = require_radius("tolerance", tolerance)
    if largest is not None and not math.isfinite(require_real("largest", largest, "a finite number")):
        raise ArgumentError(f"largest: expected a finite number, got {largest}.")
    matrix = hessian(landscape) if operator is None else operator
    require_symmetric(matrix)
    if matrix.space.size != landscape.size:
        raise ArgumentError(f"operator: expected shape {(landscape.size, landscape.size)}, got {matrix.shape}.")
    started, before = time.perf_counter(), matrix.matvecs
    source = torch.Generator().manual_seed(0) if generator is None else generator
    units = _units(landscape, directions, source)
    count = units.shape[1]
    with track(2 * count * len(sizes), "perturbation law", progress) as bar:
        base, gradient = landscape.loss_and_gradient()
        slopes = landscape.space.dots(units, gradient).double().cpu()
        curvatures = (units * (matrix @ units)).sum(dim=0).double().cpu()
        ways = [torch.zeros(count, len(sizes), dtype=torch.float64) for _ in range(2)]
        for row, unit in enumerate(units.mT):
            for column, epsilon in enumerate(sizes.tolist()):
                for way, sign in zip(ways, (1, -1), strict=True):
                    way[row, column] = _loss(landscape, unit, sign * epsilon) - base
                    bar.advance()
        top = _largest(matrix, directions, largest, source, bar)
    # A loss is a mean of many terms, each good to rounding; what is above a hundred of these is seen.
    resolution = _ROUNDINGS * landscape.precision * max(abs(base), torch.finfo(torch.float64).tiny)
    forward, backward = ways
    even = (forward + backward) / 2
    return PerturbationLaw(
        epsilons=sizes,
        forward=forward,
        backward=backward,
        slopes=slopes,
        curvatures=curvatures,
        largest=top,
        orders=tuple(_order(sizes, row, resolution) for row in even),
        reaches=tuple(
            _reach(sizes, torch.stack(pair), float(slope), float(curvature), tolerance, resolution)
            for *pair, slope, curvature in zip(forward, backward, slopes, curvatures, strict=True)
        ),
        tolerance=tolerance,
        resolution=resolution,
        base=base,
        cost=Cost(
            matrix.matvecs - before, gradients=1, losses=2 * count * len(sizes), seconds=time.perf_counter() - started
        ),
    )


def _distances(epsilons: Sequence[float] | Tensor) -> Float[Tensor, " e"]:
    try:
        sizes = torch.as_tensor(epsilons, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(f"epsilons: expected positive finite numbers in a row, got {epsilons!r}.") from None
    if sizes.ndim != 1 or not bool((sizes.isfinite() & (sizes > 0)).all()):
        raise ArgumentError(f"epsilons: expected positive finite numbers in a row, got {epsilons}.")
    different: Tensor = torch.unique(sizes)
    if len(different) < 2:
        raise ArgumentError(f"epsilons: expected at least 2 different ones, got {len(different)}.")
    return different


def _units(
    landscape: Landscape, directions: int | Eigenpairs | Tensor, source: torch.Generator
) -> Float[Tensor, "p k"]:
    space = landscape.space
    if isinstance(directions, (Eigenpairs, Tensor)):
        vectors = directions.vectors if isinstance(directions, Eigenpairs) else directions
        if vectors is None:
            raise ArgumentError("directions: expected eigenpairs with vectors, got some without.")
        columns = require_columns(space, vectors, "directions")
    elif isinstance(directions, bool) or not isinstance(directions, int) or directions < 1:
        raise ArgumentError(
            f"directions: expected a number of random ones of at least 1, eigenpairs, or columns, got {directions!r}."
        )
    else:
        columns = space.randn(source, directions)
    lengths = [space.norm(column) for column in columns.mT]
    if 0.0 in lengths:
        raise ArgumentError(
            f"directions: expected vectors that are not zero, got length 0 in column {lengths.index(0.0)}."
        )
    units: Tensor = torch.stack([column / length for column, length in zip(columns.mT, lengths, strict=True)])
    return units.mT


def _loss(landscape: Landscape, unit: Tensor, step: float) -> float:
    try:
        return landscape.loss(landscape.theta + step * unit)
    except NonFiniteError as error:
        raise NonFiniteError(
            f"epsilons: expected distances at which the loss is finite, but at {abs(step):g}: {error} Leave out what "
            "is too far."
        ) from error


def _largest(
    operator: Operator,
    directions: int | Eigenpairs | Tensor,
    known: float | None,
    source: torch.Generator,
    bar: Progress,
) -> float:
    if known is not None:
        return float(known)
    if isinstance(directions, Eigenpairs) and directions.which in ("LA", "BE"):
        return float(directions.values[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pairs = eigenpairs(operator, 1, vectors=False, generator=source, progress=bar)
    if not bool(pairs.converged.all()):
        warnings.warn(
            f"λ_max has not converged within {pairs.matvecs} products: it is at least {float(pairs.values[0]):.4g}. "
            "Give it as largest.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return float(pairs.values[0])


def _order(sizes: Tensor, even: Tensor, resolution: float) -> float | None:
    """The least-squares slope of log |even part| over log ε, where it is above rounding."""
    seen = even.abs() > resolution
    if int(seen.sum()) < 2:
        return None
    x, y = sizes[seen].log(), even[seen].abs().log()
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def _reach(
    sizes: Tensor, rises: Tensor, slope: float, curvature: float, tolerance: float, resolution: float
) -> float | None:
    """The largest ε up to which both rises (2, e) are predicted; rounding is allowed for."""
    linear, quadratic = slope * sizes, curvature * sizes**2 / 2
    predicted = torch.stack([linear + quadratic, quadratic - linear])
    allowed = tolerance * (linear.abs() + quadratic.abs()) + resolution
    good = ((rises - predicted).abs() <= allowed).all(dim=0)
    if not bool((torch.maximum(rises.abs(), predicted.abs()) > resolution).any()):
        return None
    holding = int(good.long().cumprod(0).sum())
    return float(sizes[holding - 1]) if holding else 0.0

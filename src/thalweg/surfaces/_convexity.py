"""Where the landscape is convex: both ends of the Hessian's spectrum over a plane."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning, Interrupted, NonFiniteError
from thalweg.estimate import Cost, Provenance
from thalweg.krylov import eigenpairs
from thalweg.landscape import Landscape
from thalweg.operators import Curvature, Operator, hessian
from thalweg.progress import Progress, track
from thalweg.surfaces._convexity_results import ConvexityMap
from thalweg.surfaces._grid_arguments import Span, plane_axes, points_of
from thalweg.surfaces._plane import orthogonal_pair
from thalweg.surfaces._results import Directions
from thalweg.vectors import draw_seeds

MatrixOf = Callable[[Landscape], Operator]


def convexity_map(
    landscape: Landscape,
    directions: Directions | Float[Tensor, "p 2"],
    *,
    points: int | tuple[int, int] = 11,
    span: Span | tuple[Span, Span] = (-1.0, 1.0),
    tol: float = 0.01,
    max_matvecs: int = 60,
    matrix: MatrixOf = hessian,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> ConvexityMap:
    r"""Compute λ_max and λ_min of H(θ + x·d₁ + y·d₂), the whole Hessian's, on a grid (Li et al., 2018).

    A surface that looks convex need not be: its curvature is that of two directions among thousands. The ratio
    |λ_min/λ_max| tells how much negative curvature there is in all directions, relative to the positive one.

    Each cell is one short Lanczos run for both ends, from the same random start in all of them, so that the map is
    smooth and a cell does not depend on those before it. Ritz values lie within the spectrum: of a cell that has
    not converged |λ_max| and |λ_min| are too small rather than too large.

    Cost: at most rows × columns × ``max_matvecs`` products, some 20 to 40 a cell with the default tolerance, and
    rows × columns passes without gradients. :func:`convexity_cost` says beforehand how long the most would take.

    Valid for: losses with a second derivative. At the kinks of a piecewise linear network it is that of automatic
    differentiation.

    Args:
        landscape: Its θ is (0, 0); buffers stay as they are there.
        directions: d₁ and d₂, orthogonal to one another, shape (P, 2), or a record of two directions.
        points: Number of points along both axes, or (rows, columns).
        span: First and last coefficient along both axes, or one pair for x and one for y.
        tol: Residual at which an eigenvalue counts as converged, relative to the largest magnitude: about the error of
            the ratio.
        max_matvecs: The most products a cell.
        matrix: The curvature matrix of a landscape; ``tw.ggn``, which is never negative, shows the positive part alone.
        generator: Of the random start; ``None`` is a fresh one of seed 0.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The map; a cell where the loss or a product is not finite is NaN.

    Raises:
        ArgumentError: If an argument does not fit or is out of range, or the directions are not orthogonal.
        Interrupted: If the user does, with the map as far as it goes as its ``result``.

    Warns:
        ConvergenceWarning: If cells have not converged; the result says which.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(2 * eye, 0 * eye[:, :1])])  # x² + y²
        >>> print(convexity_map(landscape, eye, points=3))
        3 × 3 convexity map over first direction and second direction; 9 of 9 cells convex to within the residuals; ...
    """
    d, _ = orthogonal_pair(landscape, directions)
    x, y = plane_axes(points, span)
    rows, columns = len(y), len(x)
    if not tol > 0:
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
    if isinstance(max_matvecs, bool) or not isinstance(max_matvecs, int) or max_matvecs < 2:
        raise ArgumentError(f"max_matvecs: expected a whole number of at least 2 products a cell, got {max_matvecs!r}.")
    (seed,) = draw_seeds(generator, 1)
    started, theta = time.perf_counter(), landscape.theta
    first, second = d.vectors.unbind(dim=1)

    def places() -> Iterator[Landscape]:
        for b in y.tolist():
            for a in x.tolist():
                yield landscape.at(theta + a * first + b * second)

    ends = _Ends(matrix, tol, max_matvecs, seed)
    cells = list[_Cell]()

    def found() -> ConvexityMap:
        every = cells + [_Cell()] * (rows * columns - len(cells))

        def shaped(name: str) -> Tensor:
            values = [getattr(cell, name) for cell in every]
            kind = {bool: torch.bool, int: torch.int64}.get(type(values[0]), torch.float64)
            return torch.tensor(values, dtype=kind).view(rows, columns)

        made, seconds = sum(cell.products for cell in cells), time.perf_counter() - started
        return ConvexityMap(
            x=x,
            y=y,
            **{name: shaped(name) for name in _CELL},
            labels=(d.labels[0], d.labels[1]),
            norms=(d.norms[0], d.norms[1]),
            tol=tol,
            cost=Cost(matvecs=made, losses=len(cells), seconds=seconds),
            provenance=ends.provenance,
            measured=None
            if len(cells) == rows * columns
            else (torch.arange(rows * columns) < len(cells)).view(rows, columns),
        )

    try:
        with track(rows * columns, f"convexity, at most {rows * columns * max_matvecs} products", progress) as bar:
            for place in places():
                cells.append(ends.at(place))
                bar.advance(note=f"{sum(cell.products for cell in cells)} products")
    except KeyboardInterrupt:
        said = f"interrupted: {len(cells)} of {rows * columns} cells are computed, and are in the exception's `result`."
        raise Interrupted(said, found()) from None
    result = found()
    if result.unconverged:
        warnings.warn(
            f"{result.unconverged} of {rows * columns} cells have not converged within {max_matvecs} products. Raise "
            "max_matvecs or tol; `converged` of the result says which.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return result


def convexity_cost(
    landscape: Landscape,
    *,
    points: int | tuple[int, int] = 11,
    max_matvecs: int = 60,
    matrix: MatrixOf = hessian,
) -> Cost:
    """Say what a convexity map takes at most, from the time of its middle cell.

    Cost: one cell: at most ``max_matvecs`` products, and one pass without gradients.

    Args:
        landscape: As for the map.
        points: As for the map.
        max_matvecs: As for the map.
        matrix: As for the map.

    Example:
        >>> import thalweg as tw
        >>> data = [(torch.eye(2), torch.zeros(2, 1))]
        >>> convexity_cost(tw.Landscape(torch.nn.Linear(2, 1), tw.objectives.mse(), data), points=5).matvecs
        1500
    """
    rows, columns = points_of(points, 2)
    started = time.perf_counter()
    cell = _Ends(matrix, 0.01, max_matvecs, 0).at(landscape)
    once = time.perf_counter() - started
    cells = rows * columns
    most = max_matvecs / max(1, min(cell.products, max_matvecs))
    return Cost(matvecs=cells * max_matvecs, losses=cells, seconds=cells * once * most)


@dataclass(frozen=True)
class _Cell:
    largest: float = math.nan
    smallest: float = math.nan
    largest_residuals: float = math.nan
    smallest_residuals: float = math.nan
    converged: bool = False
    products: int = 0
    loss: float = math.nan


_CELL = tuple(_Cell.__dataclass_fields__)


@dataclass
class _Ends:
    """Takes both ends of the spectrum at one landscape after the other."""

    matrix: MatrixOf
    tol: float
    most: int
    seed: int
    provenance: Provenance | None = None
    _settled: dict[str, object] = field(default_factory=dict)

    def at(self, place: Landscape) -> _Cell:
        try:
            loss = place.loss()
        except NonFiniteError:
            return _Cell()
        operator = self.matrix(place)
        if isinstance(operator, Curvature) and self._settled:
            # The engine is chosen once: trying them again in each cell would cost more than it saves.
            operator.settle(self._settled)
        try:
            with warnings.catch_warnings():
                # The result says what has not converged, and the caller is warned once.
                warnings.simplefilter("ignore", ConvergenceWarning)
                pairs = eigenpairs(
                    operator,
                    2,
                    "BE",
                    tol=self.tol,
                    max_matvecs=min(self.most, place.size),
                    generator=torch.Generator().manual_seed(self.seed),
                    vectors=False,
                )
        except NonFiniteError:
            return _Cell(loss=loss, products=operator.matvecs)
        if isinstance(operator, Curvature) and not self._settled:
            self._settled = operator.settled()
        self.provenance = operator.provenance
        return _Cell(
            largest=float(pairs.values[0]),
            smallest=float(pairs.values[-1]),
            largest_residuals=float(pairs.residuals[0]),
            smallest_residuals=float(pairs.residuals[-1]),
            converged=bool(pairs.converged.all()),
            products=operator.matvecs,
            loss=loss,
        )

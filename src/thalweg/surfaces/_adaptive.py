"""A surface from a part of its cells: more where the loss bends."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, Interrupted
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import Functions
from thalweg.progress import Progress, track
from thalweg.surfaces._cells import MEMORY, Cells, Checkpoint, require_orthogonal
from thalweg.surfaces._columns import directions_of
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._grid_arguments import Span, plane_axes
from thalweg.surfaces._hierarchy import Flags, Hierarchy, Numbers, Rectangle
from thalweg.surfaces._results import Directions, Surface


def adaptive_scan(
    landscape: Landscape,
    directions: Directions | Float[Tensor, "p 2"],
    *,
    points: int | tuple[int, int] = 51,
    span: Span | tuple[Span, Span] = (-1.0, 1.0),
    tolerance: float = 0.01,
    budget: int | None = None,
    checks: int = 32,
    functions: Functions | None = None,
    checkpoint: Checkpoint = None,
    share: bool = True,
    memory: int = MEMORY,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Surface:
    r"""Find the surface of :func:`plane_scan` from a part of its cells, within a tolerance in units of its range.

    Nested grids with intervals halved each time carry cubic splines, each the correction of the one before (Bungartz
    and Griebel, 2004, on hierarchical bases). A cell's surplus is by how much it misses the spline that was there
    before it was measured. Where no measured loss is negative, no interpolated one is. The error of a
    cell that is not measured is estimated as the largest surplus nearby,

    .. math:: e(c) = \max_{c' : |c - c'|_\infty \le h} |L(c') - s_{\ell - 1}(c')|,

    with h the distance of the grid that was corrected: as if the correction had helped nothing. Rectangles with
    :math:`e > \text{tolerance} \cdot (\max L - \min L)` are divided, the worst first, down to single cells. At the
    end some cells drawn at random are measured, to see what the grids have missed; if one of them is further off
    than the tolerance, it counts as a surplus and the work goes on, with new cells to check.

    Cost: 81 passes for a smooth surface on 51 × 51 cells, and ``checks``; many more along kinks and cliffs, which are
    resolved to single cells; never more than ``budget``.

    Valid for: surfaces that the first grid sees, a ninth of the cells or so along each axis. There the estimate is an
    upper bound for all that has been tried, with a factor of two to ten to spare where the loss is smooth. It
    misses features narrower than the distance of the first grid (six cells of 51) that none of its points meet, but
    for what the checks find: when m of them have seen nothing, fewer than 3/m of the cells are further off than the
    tolerance, with 95 % confidence.

    Args:
        landscape: Its θ is (0, 0); buffers stay as they are there.
        directions: d₁ and d₂, orthogonal to one another, shape (P, 2), or a record of two directions. They are not
            scaled: see ``norms`` of the result.
        points: Number of points of the full surface along both axes, or (rows, columns), at least 5.
        span: First and last coefficient along both axes, or one pair for x and one for y.
        tolerance: Largest error to aim at, relative to the surface's range.
        budget: The most cells to measure, at least those of the second grid; by default all.
        checks: Cells drawn at random to check the rest.
        functions: As in :func:`plane_scan`; not interpolated.
        checkpoint: A file to keep cells in; the same call goes on from it, with the same bits. One of a full scan of
            the same cells does, too.
        share: Whether the product of a linear first layer with the data is shared.
        memory: Bytes that such products may take.
        generator: Of the cells to check; ``None`` is a fresh one of seed 0.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The full surface. ``measured`` says which cells were evaluated, ``error`` what the others may be off by, and
        ``converged`` whether that is within the tolerance. Metrics are NaN where nothing was measured. Cells next to
        such that are not finite are measured; those among them that the budget does not reach are NaN.

    Raises:
        ArgumentError: If ``directions`` do not fit or are not orthogonal, or another argument is out of range.
        CheckpointError: If the checkpoint is damaged, or of another scan.
        Interrupted: If the user does, with the surface as far as it is known as its ``result``.
        ObjectiveError: If a function returns what cannot be averaged, or has the name of a metric.

    Warns:
        CheckpointWarning: If the values at θ repeat those of the checkpoint to rounding only.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(2 * eye, 0 * eye[:, :1])])  # x² + y²
        >>> found = adaptive_scan(landscape, eye)
        >>> found.cost.losses, found.converged, round(float(found.loss[25, 10]), 6)  # at x = −0.6, y = 0
        (113, True, 0.36)
    """
    d = directions_of(landscape, directions, "directions", ("first direction", "second direction"))
    cosine = require_orthogonal(d)
    x, y = plane_axes(points, span)
    rows, columns = len(y), len(x)
    hierarchy = Hierarchy(*_require(rows, columns, tolerance, checks))
    most = _require_budget(budget, hierarchy)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    cells = Cells(
        landscape, d.vectors[:, [1, 0]], (y, x), functions=functions, share=share, memory=memory, checkpoint=checkpoint
    )
    known = np.zeros((rows, columns), dtype=bool)
    digests, origin = digests_of(d.vectors), digest_of(landscape.theta)

    def surface() -> Surface:
        done = known & cells.table.done.view(rows, columns).numpy()
        seen = _seen(hierarchy, cells, done)
        metrics = {
            name: torch.where(torch.from_numpy(done), values, math.nan) for name, values in cells.values()[1].items()
        }
        return Surface(
            x=x,
            y=y,
            loss=torch.from_numpy(seen.surface),
            metrics=metrics,
            labels=(d.labels[0], d.labels[1]),
            norms=(d.norms[0], d.norms[1]),
            cosine=cosine,
            cost=cells.cost,
            measured=torch.from_numpy(done),
            error=torch.from_numpy(seen.error),
            converged=bool((seen.error <= seen.limit(tolerance)).all()),
            scale=d.scale,
            digests=digests,
            origin=origin,
        )

    try:
        with track(None, "adaptive surface", progress) as bar:
            known |= hierarchy.level <= 1
            while True:
                cells.measure(np.flatnonzero(known).tolist(), bar)
                new = _next(hierarchy, _seen(hierarchy, cells, known), known, tolerance, most)
                if not new.any():
                    new = _drawn(hierarchy, cells, known, tolerance, most, checks, source, bar)
                if not new.any():
                    break
                known |= new
    except KeyboardInterrupt:
        raise Interrupted(cells.interruption(), surface()) from None
    return surface()


@dataclass(frozen=True)
class _Seen:
    """What is known of a surface.

    Attributes:
        surface: Loss, measured and interpolated; NaN where it is not finite or nothing is known.
        error: Its estimate in every cell; NaN where nothing is known.
        extent: The range of what was measured.
        rounding: What losses may be off by already.
        unknown: Cells in rectangles with a corner that is not finite.
    """

    surface: Numbers
    error: Numbers
    extent: float
    rounding: float
    unknown: Flags

    def limit(self, tolerance: float) -> float:
        """The largest error to let pass; a flat surface is not refined for its rounding."""
        return max(tolerance * self.extent, self.rounding)


def _seen(hierarchy: Hierarchy, cells: Cells, known: Flags) -> _Seen:
    loss = cells.table.loss.view(hierarchy.shape).numpy()
    finite = loss[known & np.isfinite(loss)]
    extent = float(finite.max() - finite.min()) if finite.size else 0.0
    rounding = 16 * cells.precision * float(np.abs(finite).max()) if finite.size else 0.0
    unknown = _beside(hierarchy, known, ~np.isfinite(loss))
    if not finite.size or not known[hierarchy.level == 0].all():
        nothing = np.full(hierarchy.shape, math.nan)
        return _Seen(np.where(known, loss, nothing), np.where(known, 0.0, nothing), extent, rounding, unknown)
    surface, surplus = hierarchy.interpolate(loss, known)
    error = hierarchy.errors(surplus, known)
    if extent <= rounding:
        # Constant: what the splines add is rounding too.
        surface, error = np.where(known, surface, surface.clip(finite.min(), finite.max())), np.zeros_like(error)
    elif finite.min() >= 0:
        surface = np.where(known, surface, _floored(surface, error, hierarchy.lowest(loss, known)))
    return _Seen(np.where(unknown, math.nan, surface), np.where(unknown, math.nan, error), extent, rounding, unknown)


def _floored(surface: Numbers, error: Numbers, lowest: Numbers) -> Numbers:
    """Raise what splines put below the losses around it where they cannot tell it from zero: no loss is negative there.

    With s ≤ e and the truth between 0 and s + e, min(lowest, e) is no further from it than e.
    """
    doubtful = (surface < lowest) & (surface <= error)
    return np.where(doubtful & np.isfinite(lowest), np.minimum(lowest, error), surface)


def _beside(hierarchy: Hierarchy, known: Flags, bad: Flags) -> Flags:
    """Mark cells that are not known in rectangles that a corner tells nothing of."""
    resolution, found = hierarchy.resolution(known), np.zeros(hierarchy.shape, dtype=bool)
    missing = known & bad
    if missing.any():
        for number in range(len(hierarchy.levels)):
            for inside in hierarchy.rectangles(number):
                if missing[inside].any():
                    found[inside] |= resolution[inside] <= number
    return found & ~known


def _next(hierarchy: Hierarchy, seen: _Seen, known: Flags, tolerance: float, most: int) -> Flags:
    """Choose the cells to measure next: those that divide the worst rectangles, as many as the budget has room for."""
    wanted = np.where(seen.unknown, math.inf, seen.error)
    wanted = np.where(wanted > seen.limit(tolerance), wanted, 0.0)
    resolution, room = hierarchy.resolution(known), most - int(known.sum())
    candidates: list[tuple[float, Rectangle, int]] = []
    for number in range(len(hierarchy.levels) - 1):
        here = np.where(resolution == number, wanted, 0.0)
        if here.any():
            worst = ((float(here[inside].max()), inside) for inside in hierarchy.rectangles(number))
            candidates += [(error, inside, number + 1) for error, inside in worst if error > 0]
    new = np.zeros_like(known)
    for _, inside, finer in sorted(candidates, key=lambda each: -each[0]):
        added = new.copy()
        added[inside] |= (hierarchy.level[inside] <= finer) & ~known[inside]
        if int(added.sum()) > room:
            break
        new = added
    return new


def _drawn(
    hierarchy: Hierarchy,
    cells: Cells,
    known: Flags,
    tolerance: float,
    most: int,
    checks: int,
    source: torch.Generator,
    bar: Progress,
) -> Flags:
    """Measure cells at random; return them if one is further off than the tolerance, else nothing to go on with."""
    seen, new = _seen(hierarchy, cells, known), np.zeros_like(known)
    left = np.flatnonzero(~known & ~seen.unknown)
    count = min(checks, most - int(known.sum()))
    if count <= 0 or not left.size:
        return new
    chosen = left[torch.randperm(left.size, generator=source)[:count].numpy()]
    cells.measure(sorted(chosen.tolist()), bar)
    loss = cells.table.loss.numpy()[chosen]
    off = np.abs(loss - seen.surface.reshape(-1)[chosen])
    known.reshape(-1)[chosen] = True
    # What is not finite is off by more than anything.
    if bool((~(off <= seen.limit(tolerance))).any()):
        return _next(hierarchy, _seen(hierarchy, cells, known), known, tolerance, most)
    return new


def _require(rows: int, columns: int, tolerance: float, checks: int) -> tuple[int, int]:
    for count in (rows, columns):
        if count < 5:
            raise ArgumentError(f"points: expected at least 5 along both axes, got ({rows}, {columns}).")
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance: expected a share of the range strictly between 0 and 1, got {tolerance}.")
    if isinstance(checks, bool) or not isinstance(checks, int) or checks < 0:
        raise ArgumentError(f"checks: expected a number of cells, 0 or more, got {checks!r}.")
    return rows, columns


def _require_budget(budget: int | None, hierarchy: Hierarchy) -> int:
    least, cells = int((hierarchy.level <= 1).sum()), int(hierarchy.level.size)
    if budget is None:
        return cells
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < least:
        raise ArgumentError(
            f"budget: expected a number of cells, at least the {least} of the first two grids, got {budget!r}."
        )
    return min(budget, cells)

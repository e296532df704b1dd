"""How far the loss rises on the way."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._sampling import grid, sample
from thalweg.measures._require import require_radius, require_real
from thalweg.paths._alike import require_one_function
from thalweg.paths._along import Statistics, passes, require_curve, walk
from thalweg.paths._arc import distances
from thalweg.paths._bracket import Height, bracket, refine
from thalweg.paths._curve import Curve
from thalweg.paths._curve_results import TrainedCurve
from thalweg.paths._results import Barrier, PathScan
from thalweg.progress import Progress, track


def barrier(
    path: PathScan | Curve | TrainedCurve,
    start: Landscape | None = None,
    end: Landscape | None = None,
    *,
    metric: str = "loss",
    points: int = 9,
    tolerance: float = 0.01,
    budget: int = 65,
    safety: float = 2.0,
    statistics: Statistics = "interpolated",
    estimate_on: Iterable[Batch] | None = None,
    progress: bool | Progress = False,
) -> Barrier:
    r"""Return the barrier of a path against the four references in use.

    .. math:: B = \max_{\alpha \in [0, 1]} L(\alpha) - r(\alpha)

    with the reference r the chord (1−α)L(0) + αL(1) (``linear``; Entezari et al., 2022), the higher end (``max``;
    Draxler et al., 2018), the mean of the ends (``mean``; Frankle et al., 2020) or the lower end (``min``).
    Against the lower end even a path that only falls has a barrier of at least \|L(0) − L(1)\|.

    Of a scan, the maximum is that over the points scanned, a lower bound. Of a curve, its intervals are halved where it
    may be higher than at the points known, until no interval can hide more than ``tolerance`` of the range of the
    values: the maximum is then *bracketed*, as ``interval`` and ``peak_interval`` say.

    Cost: none for a scan. For a curve one pass without gradients a point, at most ``budget``; two where statistics are
    re-estimated; and two that check that the curve ends where ``end`` stands, if that is given.

    Valid for: the lower ends of the intervals are certain. The upper ends rest on an assumption about the path between
    its points: that no part of it is steeper than ``safety`` times the steepest of three secants, its own and those of
    its neighbours (and than ``safety`` times the steepest of all, for the widest parts, in proportion to their width).
    No smoothness is asked for, so that the kinks of ReLU networks are allowed; a spike that all points missed is not.
    Accuracies are steps, steeper the closer one looks: on few samples their intervals stay wide, though within
    [0, 1]. Points outside [0, 1] do not count. Where a loss is not finite there is no upper end, and ``converged`` is
    false; the path is then followed up to the gaps as far as the budget goes.

    Args:
        path: From :func:`linear_path`, :func:`curve_scan` or :func:`train_curve`; :func:`thalweg.paths.straight` makes
            a line.
        start: With a curve: whose model, data and objective are used all along. For test data, ``start.on(test)``.
        end: With a curve: the landscape of the last node, with whose buffers those of ``start`` are interpolated.
        metric: "loss", a metric of the objective, or "error" for 1 − accuracy. For "accuracy" the path is
            as for "error", upside down: the barrier is how far it falls below the chord, ``peak`` is the lowest.
        points: Of a curve, to begin with, evenly spaced.
        tolerance: Widest part of the range of the values that may be hidden.
        budget: Most points.
        safety: At least 1.
        statistics: Of batch norm along a curve: "interpolated" or "re-estimated".
        estimate_on: Batches to estimate them on, by default those of ``start``.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Raises:
        ArgumentError: If 0 or 1 is not among the positions, the loss there is not finite, there is no such metric,
            the curve does not belong to the landscapes, or they are not ends of one path.
        NonFiniteError: If the loss of ``end`` is not finite.

    Example:
        >>> alpha = torch.tensor([0.0, 0.5, 1.0])
        >>> print(barrier(PathScan(alpha, alpha, torch.tensor([0.2, 1.3, 0.5]))))
        barrier 0.95 at α = 0.5 (max 0.8, mean 0.95, min 1.1)
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])
        >>> found = barrier(Curve(torch.tensor([[-1.0], [1.0], [0.0]], dtype=torch.float64)), landscape)
        >>> found.max, found.converged
        (0.0, True)
    """
    if isinstance(path, PathScan):
        if start is not None or end is not None:
            raise ArgumentError("start: expected none with a scan, which is measured already; give a Curve to refine.")
        return _of(path, metric, "scan")
    if isinstance(path, TrainedCurve):
        path = path.curve
    if not isinstance(path, Curve):
        raise ArgumentError(f"path: expected a PathScan or a Curve, got {type(path).__name__}.")
    if not isinstance(start, Landscape):
        raise ArgumentError(f"start: expected the landscape that the curve is measured on, got {type(start).__name__}.")
    _check(points, tolerance, budget, safety)
    checked = Cost() if end is None else require_one_function(start, end)
    require_curve(path, start, end)
    at, each = walk(path, start, end, statistics, estimate_on), passes(start, statistics)
    scans: list[tuple[float, PathScan]] = []

    with track(budget, f"barrier {path.labels[0]} → {path.labels[1]}", progress) as bar:

        def evaluate(t: float) -> float:
            found = sample(iter([at(t)]), 1, "barrier")
            here = torch.tensor([t], dtype=torch.float64)
            scans.append((t, PathScan(here, here, found.loss, found.metrics, cost=found.cost)))
            bar.advance(note=f"{metric} {float(_values(scans[-1][1], metric)[0]):.4g}")
            return float(_upward(scans[-1][1], metric)[0])  # NaN where it is not finite

        def heights(positions: Sequence[float], values: Sequence[float]) -> list[Height]:
            return _heights(positions, values, _ceiling(metric, scans[0][1]))

        _, _, converged = refine(
            evaluate, heights, grid((0.0, 1.0), points).tolist(), tolerance=tolerance, budget=budget, safety=safety
        )
    scan = _joined(sorted(scans, key=lambda found: found[0]), path, statistics, each)
    found = _of(scan, metric, "curve", safety=safety, converged=converged)
    return replace(found, cost=found.cost + checked)


def _of(
    scan: PathScan, metric: str, argument: str, *, safety: float | None = None, converged: bool | None = None
) -> Barrier:
    """The barrier of a scan; with ``safety`` also what its points leave open."""
    position, measured = scan.position.double(), _values(scan, metric)
    values = _upward(scan, metric)
    ends = []
    for alpha in (0.0, 1.0):
        here = values[position == alpha]
        if len(here) != 1 or not bool(here.isfinite().all()):
            got = f"{float(measured[position == alpha][0])}" if len(here) == 1 else f"{len(here)} of them"
            raise ArgumentError(f"{argument}: expected one point with a finite {metric} at α = {alpha:g}, got {got}.")
        ends.append(float(here[0]))
    first, last = ends
    inside = (position >= 0) & (position <= 1)
    kept = inside & values.isfinite()
    along, height = position[kept], values[kept]
    rise = height - ((1 - along) * first + along * last)
    at, top = int(rise.argmax()), int(height.argmax())
    peak, excluded = float(height[top]), int((inside & ~kept).sum())
    found = Barrier(
        linear=float(rise[at]),
        max=peak - max(first, last),
        mean=peak - (first + last) / 2,
        min=peak - min(first, last),
        position=float(along[at]),
        peak=float(measured[kept][top]),
        peak_position=float(along[top]),
        excluded=excluded,
        metric=metric,
    )
    if safety is None:
        return found
    alphas = position.tolist()
    heights = _heights(alphas, values.where(kept, math.nan).tolist(), _ceiling(metric, scan))
    peaked, risen = (bracket(alphas, height, safety, ceilings) for height, ceilings in heights)
    bounded = excluded == 0
    lowest, highest = (1 - peaked.upper, found.peak) if metric == "accuracy" else (found.peak, peaked.upper)
    return replace(
        found,
        interval=(risen.seen, risen.upper) if bounded else None,
        between=risen.between if bounded else None,
        peak_interval=(lowest, highest) if bounded else None,
        peak_between=peaked.between if bounded else None,
        converged=converged,
        path=scan,
        cost=scan.cost,
    )


def _heights(positions: Sequence[float], values: Sequence[float], ceiling: float | None) -> list[Height]:
    """The two functions whose maxima the four references need: the values, and their rise over the chord."""
    first, last = values[0], values[-1]
    chord = [(1 - t) * first + t * last for t in positions]
    rise = [v - c for v, c in zip(values, chord, strict=True)]
    if ceiling is None:
        return [(list(values), None), (rise, None)]
    # Not below what was seen, should a metric of that name have another range.
    top = max([ceiling, *values])
    return [
        (list(values), [top] * (len(values) - 1)),
        (rise, [top - min(pair) for pair in itertools.pairwise(chord)]),
    ]


def _upward(scan: PathScan, metric: str) -> Tensor:
    """The curve of a metric, of the accuracy that of the error: what rises at a barrier."""
    values = _values(scan, metric)
    return 1 - values if metric == "accuracy" else values


def _ceiling(metric: str, scan: PathScan) -> float | None:
    """What a metric turned upward cannot exceed: shares of errors are at most 1."""
    return 1.0 if metric == "accuracy" or (metric == "error" and "error" not in scan.metrics) else None


def _values(scan: PathScan, metric: str) -> Tensor:
    """The curve of a metric."""
    if metric == "loss":
        values = scan.loss
    elif metric in scan.metrics:
        values = scan.metrics[metric]
    elif metric == "error" and "accuracy" in scan.metrics:
        values = 1 - scan.metrics["accuracy"]
    elif not bool(scan.loss.isfinite().any()):
        values = scan.loss
    else:
        known = ["loss", *scan.metrics, *(["error"] if "accuracy" in scan.metrics else [])]
        raise ArgumentError(f"metric: expected one of {', '.join(map(repr, known))}, got {metric!r}.")
    return values.double()


def _joined(scans: Sequence[tuple[float, PathScan]], curve: Curve, statistics: Statistics, each: int) -> PathScan:
    """One scan from scans of single points, in their order."""
    positions, parts = [t for t, _ in scans], [scan for _, scan in scans]
    names = {name for part in parts for name in part.metrics}
    gap = torch.full((1,), math.nan, dtype=torch.float64)
    return PathScan(
        torch.tensor(positions, dtype=torch.float64),
        torch.tensor(distances(curve, positions), dtype=torch.float64),
        torch.cat([part.loss for part in parts]),
        {name: torch.cat([part.metrics.get(name, gap) for part in parts]) for name in sorted(names)},
        kind="linear" if curve.bends == 0 else curve.kind,
        labels=curve.labels,
        cost=Cost(losses=each * len(parts), seconds=sum(part.cost.seconds for part in parts)),
        statistics=statistics,
    )


def _check(points: int, tolerance: float, budget: int, safety: float) -> None:
    require_radius("tolerance", tolerance)
    for name, count in {"points": points, "budget": budget}.items():
        require_whole(name, count)
    if not 3 <= points <= budget:
        raise ArgumentError(f"points: expected from 3 to the budget of {budget}, got {points}.")
    if not require_real("safety", safety, "a number of at least 1") >= 1:
        raise ArgumentError(f"safety: expected a number of at least 1, got {safety}.")

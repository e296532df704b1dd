"""Loss and metrics along a curve."""

from collections.abc import Iterable, Iterator

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._sampling import grid, sample
from thalweg.paths._alike import require_landscape, require_one_function
from thalweg.paths._along import Statistics, passes, require_curve, walk
from thalweg.paths._arc import distances
from thalweg.paths._curve import Curve
from thalweg.paths._curve_results import TrainedCurve
from thalweg.paths._results import PathScan
from thalweg.progress import Progress


def curve_scan(
    curve: Curve | TrainedCurve,
    start: Landscape,
    end: Landscape | None = None,
    *,
    points: int = 21,
    statistics: Statistics = "interpolated",
    estimate_on: Iterable[Batch] | None = None,
    progress: bool | Progress = False,
) -> PathScan:
    r"""Loss and metrics at evenly spaced positions :math:`t = 0, \tfrac{1}{n-1}, \dots, 1` of a curve.

    Distances are lengths of arc. Buffers are treated as by :func:`linear_path`: with ``end`` they are interpolated by
    t, without it they stay those of ``start``; with ``statistics="re-estimated"`` batch norm's are then taken anew at
    every point, the ends included. A curve bends away from the line that interpolated statistics belong to, so that
    for models with batch norm only the latter says something about the weights (Garipov et al., 2018).

    On test data: ``curve_scan(curve, start.on(test), end.on(test), statistics="re-estimated", estimate_on=train)``, so
    that the statistics are still those of training data.

    Cost: ``points`` passes without gradients, twice as many with statistics that are re-estimated, and two that
    check that the curve ends where ``end`` stands, if that is given.

    Valid for: any model. Between its points a path may be higher: :func:`barrier` looks there.

    Args:
        curve: From :func:`train_curve`, or any other between points of the landscape.
        start: Whose model, data and objective are used all along; the first node if ``end`` is given.
        end: The landscape of the last node.
        points: Number of points n, both ends included.
        statistics: Of batch norm: "interpolated" or "re-estimated".
        estimate_on: Batches to estimate them on, by default those of ``start``.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The scan; a loss that is not finite is NaN there.

    Raises:
        ArgumentError: If the nodes are no points of the landscape, the ends are not alike, the loss of start's model
            and data is not that of ``end`` there, or ``points`` is below 2.
        NonFiniteError: If the loss of ``end`` is not finite.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])
        >>> curve = Curve(torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64))
        >>> curve_scan(curve, landscape, points=3).loss
        tensor([0.5000, 0.0000, 0.5000], dtype=torch.float64)
    """
    if isinstance(curve, TrainedCurve):
        curve = curve.curve
    if not isinstance(curve, Curve):
        raise ArgumentError(f"curve: expected a Curve, got {type(curve).__name__}; linear_path measures the line.")
    require_landscape("start", start)
    checked = Cost() if end is None else require_one_function(start, end)
    require_curve(curve, start, end)
    position = grid((0.0, 1.0), points)
    at = walk(curve, start, end, statistics, estimate_on)

    def along() -> Iterator[Landscape]:
        for t in position.tolist():
            yield at(t)

    found = sample(along(), points, f"{curve.kind} {curve.labels[0]} → {curve.labels[1]}", progress)
    return PathScan(
        position,
        torch.tensor(distances(curve, position.tolist()), dtype=torch.float64),
        found.loss,
        found.metrics,
        kind=curve.kind,
        labels=curve.labels,
        cost=found.cost + checked + Cost(losses=(passes(start, statistics) - 1) * points),
        statistics=statistics,
    )

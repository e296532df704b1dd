"""The straight line between two points in parameter space."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._require import require_vector
from thalweg.landscape._sampling import grid, sample
from thalweg.paths._alike import require_alike, require_arrival, require_labels, require_landscape
from thalweg.paths._along import Statistics, mixed, passes, repaired, require_statistics
from thalweg.paths._results import PathScan
from thalweg.progress import Progress


def linear_path(
    start: Landscape,
    end: Landscape | Float[Tensor, " p"],
    *,
    points: int = 15,
    labels: tuple[str, str] = ("A", "B"),
    statistics: Statistics = "interpolated",
    estimate_on: Iterable[Batch] | None = None,
    progress: bool | Progress = False,
) -> PathScan:
    r"""Loss and metrics along the straight line between two points.

    .. math:: \theta(\alpha) = (1 - \alpha)\,\theta_A + \alpha\,\theta_B, \qquad \alpha = 0, \tfrac{1}{n-1}, \dots, 1

    Every point is computed from the two ends, both of which are met exactly. Where ``end`` is a landscape, the
    floating-point buffers of the two models (running statistics of batch norm) are interpolated with the
    same α, so that the ends are the two models themselves; other buffers are those of the nearer end. This is
    the path of Frankle et al. (2020) without any repair. With ``statistics="re-estimated"`` batch norm's are taken anew
    at every α (:func:`thalweg.landscape.reestimated_buffers`), the ends included: another path, and usually a lower
    one (Jordan et al., 2023). Where ``end`` is a vector, the buffers stay those of ``start``.

    Cost: ``points`` passes without gradients, twice as many with statistics that are re-estimated, and one or two more
    that check that the path ends where ``end`` stands.

    Valid for: any model. Hidden units are not matched: two networks may compute the same function and still have
    a high barrier between them (Entezari et al., 2022).

    Args:
        start: The landscape at α = 0; its model, data and objective are used all along the path.
        end: The landscape at α = 1, of the same architecture, data and objective; or its θ, shape (P,).
        points: Number of points n, both ends included; an odd number has α = ½ among them.
        labels: Names of the two ends.
        statistics: Of batch norm: "interpolated" or "re-estimated".
        estimate_on: Batches to estimate them on, by default those of ``start``; give the training batches where
            the landscapes are those of test data.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The scan; a loss that is not finite is NaN there.

    Raises:
        ArgumentError: If the ends do not have the same parameters, buffers, mode or samples, if the loss at α = 1 is
            not that of ``end`` (other data, another objective, or other values of parameters that are not
            selected), or ``points`` is below 2.
        NonFiniteError: If the loss of ``end`` is not finite.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.constant_(model.weight, -1.0)
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])
        >>> path = linear_path(landscape, -landscape.theta, points=3)
        >>> path.loss, path.distance
        (tensor([0.5000, 0.0000, 0.5000], dtype=torch.float64), tensor([0., 1., 2.], dtype=torch.float64))
    """
    require_landscape("start", start)
    require_labels(labels)
    require_statistics(statistics, estimate_on)
    if isinstance(end, Landscape):
        require_alike(start, end)
        last, buffers = end.theta, end.buffers
    else:
        last, buffers = require_vector(start.space, end, "end").clone(), start.buffers
    first, own = start.theta, start.buffers
    position = grid((0.0, 1.0), points)

    def along() -> Iterator[Landscape]:
        for alpha in position.tolist():
            there = start.at(_between(first, last, alpha), buffers=mixed(own, buffers, alpha))
            yield repaired(there, statistics, estimate_on)

    found = sample(along(), points, f"path {labels[0]} → {labels[1]}", progress)
    each = passes(start, statistics)
    cost = found.cost + Cost(losses=(each - 1) * points)
    if isinstance(end, Landscape):
        # With other statistics the path does not end at the loss of the model itself, but must still pass its weights.
        require_arrival(float(found.loss[-1]) if each == 1 else start.at(last, buffers=buffers), end)
        cost += Cost(losses=each)
    distance = position * float(torch.linalg.vector_norm((last - first).double()))
    return PathScan(
        position, distance, found.loss, found.metrics, kind="linear", labels=labels, cost=cost, statistics=statistics
    )


def _between(first: Tensor, last: Tensor, alpha: float) -> Tensor:
    return (1 - alpha) * first + alpha * last

"""The straight line between two points in parameter space."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_vector
from thalweg.landscape._sampling import grid, sample
from thalweg.paths._results import PathScan
from thalweg.progress import Progress


def linear_path(
    start: Landscape,
    end: Landscape | Float[Tensor, " p"],
    *,
    points: int = 15,
    labels: tuple[str, str] = ("A", "B"),
    progress: bool | Progress = False,
) -> PathScan:
    r"""Loss and metrics along the straight line between two points.

    .. math:: \theta(\alpha) = (1 - \alpha)\,\theta_A + \alpha\,\theta_B, \qquad \alpha = 0, \tfrac{1}{n-1}, \dots, 1

    Every point is computed from the two ends, both of which are met exactly. Where ``end`` is a landscape, the
    floating-point buffers of the two models (running statistics of batch norm) are interpolated with the
    same α, so that the ends are the two models themselves; other buffers are those of the nearer end. This is
    the path of Frankle et al. (2020) without any repair: statistics estimated anew at every α are another path, and
    usually a lower one (Jordan et al., 2023). Where ``end`` is a vector, the buffers stay those of ``start``.

    Cost: ``points`` passes without gradients, and one more that checks that the path ends where ``end`` stands.

    Valid for: any model. Hidden units are not matched: two networks may compute the same function and still have
    a high barrier between them (Entezari et al., 2022).

    Args:
        start: The landscape at α = 0; its model, data and objective are used all along the path.
        end: The landscape at α = 1, of the same architecture, data and objective; or its θ, shape (P,).
        points: Number of points n, both ends included; an odd number has α = ½ among them.
        labels: Names of the two ends.
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
    if isinstance(end, Landscape):
        _require_alike(start, end)
        last, buffers = end.theta, end.buffers
    else:
        last, buffers = require_vector(start.space, end, "end").clone(), start.buffers
    first, own = start.theta, start.buffers
    position = grid((0.0, 1.0), points)

    def along() -> Iterator[Landscape]:
        for alpha in position.tolist():
            yield start.at(_between(first, last, alpha), buffers=_mixed(own, buffers, alpha))

    found = sample(along(), points, f"path {labels[0]} → {labels[1]}", progress)
    cost = found.cost
    if isinstance(end, Landscape):
        _require_arrival(float(found.loss[-1]), end)
        cost += Cost(losses=1)
    distance = position * float(torch.linalg.vector_norm((last - first).double()))
    return PathScan(position, distance, found.loss, found.metrics, kind="linear", labels=labels, cost=cost)


def _between(first: Tensor, last: Tensor, alpha: float) -> Tensor:
    return (1 - alpha) * first + alpha * last


def _mixed(first: dict[str, Tensor], last: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    return {
        name: _between(value, last[name], alpha)
        if value.is_floating_point()
        else (value if alpha < 0.5 else last[name])
        for name, value in first.items()
    }


def _require_alike(start: Landscape, end: Landscape) -> None:
    theirs = {
        "parameters": (
            dict(zip(start.layout.names, start.layout.shapes, strict=True)),
            dict(zip(end.layout.names, end.layout.shapes, strict=True)),
        ),
        "buffers": (
            {name: buffer.shape for name, buffer in start.buffers.items()},
            {name: buffer.shape for name, buffer in end.buffers.items()},
        ),
    }
    for kind, (ours, others) in theirs.items():
        if ours != others:
            different = sorted(name for name in ours.keys() | others.keys() if ours.get(name) != others.get(name))
            raise ArgumentError(
                f"end: expected the {kind} of start, got others at {different[0]}"
                + (f" and {len(different) - 1} more." if len(different) > 1 else ".")
            )
    for kind, one, other in (
        ("type and device", f"{start.space.dtype} on {start.space.device}", f"{end.space.dtype} on {end.space.device}"),
        ("mode", start.mode, end.mode),
        ("number of samples", start.count, end.count),
    ):
        if one != other:
            raise ArgumentError(f"end: expected the {kind} of start, {one}, got {other}.")


def _require_arrival(found: float, end: Landscape) -> None:
    expected = end.loss()
    # Other micro-batches sum in another order; other data differ in the first digits.
    tolerance = math.sqrt(torch.finfo(end.space.dtype).eps)
    if not math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-3):
        raise ArgumentError(
            f"end: expected the loss of start's model and data at α = 1, {found:.9g}, got {expected:.9g}. The two ends "
            "must share their data, their objective, and the values of all parameters that are not selected."
        )

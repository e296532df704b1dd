"""The landscape at each point of a curve, with the buffers that belong there."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape, reestimated_buffers
from thalweg.landscape._batches import Batch
from thalweg.landscape._reestimated import has_statistics
from thalweg.paths._curve import Curve, require_nodes

Statistics = Literal["interpolated", "re-estimated"]

Walk = Callable[[float], Landscape]


def walk(
    curve: Curve,
    start: Landscape,
    end: Landscape | None,
    statistics: Statistics = "interpolated",
    estimate_on: Iterable[Batch] | None = None,
) -> Walk:
    """Return the landscape as a function of the position on a curve.

    Args:
        curve: From ``start`` to ``end``.
        start: Its model, data and objective are used all along.
        end: Whose buffers are mixed with those of ``start``; ``None`` keeps these.
        statistics: Of batch norm.
        estimate_on: The batches that they are estimated on; by default those of ``start``.
    """
    require_statistics(statistics, estimate_on)
    own = start.buffers
    theirs = own if end is None else end.buffers

    def at(t: float) -> Landscape:
        there = start.at(curve.point(t), buffers=mixed(own, theirs, t))
        return repaired(there, statistics, estimate_on)

    return at


def repaired(landscape: Landscape, statistics: Statistics, estimate_on: Iterable[Batch] | None) -> Landscape:
    """Return the landscape with its batch norm's statistics estimated anew, if that is asked for."""
    if statistics == "interpolated":
        return landscape
    return landscape.at(landscape.theta, buffers=reestimated_buffers(landscape, estimate_on))


def passes(start: Landscape, statistics: Statistics) -> int:
    """Forward passes that a point takes."""
    return 1 + (statistics == "re-estimated" and has_statistics(start.model))


def mixed(first: dict[str, Tensor], last: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Return the buffers at α: numbers in between, and counters of the nearer end."""
    return {
        name: (1 - alpha) * value + alpha * last[name]
        if value.is_floating_point()
        else (value if alpha < 0.5 else last[name])
        for name, value in first.items()
    }


def require_statistics(statistics: str, estimate_on: object = None) -> None:
    """Refuse what is no way to treat statistics, and batches that are not read.

    Raises:
        ArgumentError: If it is none, or batches are given though nothing is estimated.
    """
    if statistics not in ("interpolated", "re-estimated"):
        raise ArgumentError(f"statistics: expected 'interpolated' or 're-estimated', got {statistics!r}.")
    if estimate_on is not None and statistics == "interpolated":
        raise ArgumentError(
            f"estimate_on: expected None with statistics='interpolated', got {type(estimate_on).__name__}. Give "
            "statistics='re-estimated' to estimate them on these batches."
        )


def require_curve(curve: Curve, start: Landscape, end: Landscape | None) -> None:
    """Refuse a curve that does not lead from one landscape to the other.

    Raises:
        ArgumentError: If its nodes have another size, type or device, or its ends are other points.
    """
    require_nodes(curve)
    curve.weights(0.0)
    nodes, space = curve.nodes, start.space
    if nodes.shape[1] != space.size:
        raise ArgumentError(
            f"curve: expected nodes of the {space.size} parameters of the landscape, got {nodes.shape[1]} entries. "
            "Curves belong to one architecture and one selection of parameters."
        )
    if nodes.dtype != space.dtype or nodes.device != space.device:
        raise ArgumentError(
            f"curve: expected nodes of {space.dtype} on {space.device}, got {nodes.dtype} on {nodes.device}."
        )
    ends = [("first", nodes[0], start), *([] if end is None else [("last", nodes[-1], end)])]
    for name, node, landscape in ends:
        if landscape is start and end is None:
            continue
        if not torch.equal(node, landscape.theta):
            gap = float(torch.linalg.vector_norm((node - landscape.theta).double()))
            raise ArgumentError(
                f"curve: expected its {name} node where the landscape of that end stands, got one {gap:.3g} away."
            )

"""Checkpoints as callers have them: vectors, state dicts, or landscapes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_vector
from thalweg.measures._bases import points_of

Checkpoints = Tensor | Sequence[Tensor | Mapping[str, Tensor] | Landscape]


def checkpoint_vectors(checkpoints: Checkpoints, landscape: Landscape | None, name: str, least: int) -> list[Tensor]:
    """Return checkpoints as vectors of one length, type and device.

    Of a state dict the landscape's selected parameters are taken, in its type and on its device; the rest, buffers
    among them, is left out.

    Raises:
        ArgumentError: If they are too few, do not fit the landscape or one another, or an entry is not finite.
    """
    if isinstance(checkpoints, Sequence):
        found: Any = [_vector(point, landscape, f"{name}[{place}]") for place, point in enumerate(checkpoints)]
    else:
        found = checkpoints
    points = points_of(found, name, least)
    if landscape is not None:
        for place, point in enumerate(points):
            require_vector(landscape.space, point, f"{name}[{place}]", finite=False)
    return points


def _vector(point: Any, landscape: Landscape | None, name: str) -> Any:
    if isinstance(point, Landscape):
        if landscape is not None and point.layout != landscape.layout:
            raise ArgumentError(f"{name}: expected a landscape of the same parameters, got others.")
        return point.theta
    if not isinstance(point, Mapping):
        return point
    if landscape is None:
        raise ArgumentError(
            f"{name}: got a state dict, which does not say what in it is a parameter; expected landscape= to go by, "
            "or a vector (P,)."
        )
    layout = landscape.layout
    missing = [each for each in layout.names if each not in point]
    if missing:
        raise ArgumentError(f"{name}: expected the landscape's parameters, but {', '.join(missing)} is not in it.")
    parts = [point[each].detach().to(landscape.space.device, landscape.space.dtype) for each in layout.names]
    for each, part, shape in zip(layout.names, parts, layout.shapes, strict=True):
        if part.shape != shape:
            raise ArgumentError(f"{name}: expected {each} of shape {tuple(shape)}, got {tuple(part.shape)}.")
    return torch.cat([part.reshape(-1) for part in parts])

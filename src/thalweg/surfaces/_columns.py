"""Directions as the scans take them: a record of them, or plain columns."""

from dataclasses import replace

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.surfaces._results import Directions


def directions_of(landscape: Landscape, given: Directions | Tensor, name: str, labels: tuple[str, ...]) -> Directions:
    """Return directions that fit the landscape, as many as there are labels for those without a name.

    Their norms are measured here, whatever a record says of them.

    Raises:
        ArgumentError: If they do not fit, are of another number, or one of them is zero.
    """
    own = isinstance(given, Directions)
    columns = require_columns(landscape.space, given.vectors if isinstance(given, Directions) else given, name)
    if columns.shape[1] != len(labels):
        raise ArgumentError(
            f"{name}: expected {len(labels)} of them, shape ({landscape.size}, {len(labels)}), "
            f"got {columns.shape[1]}." + (" Take one with directions.only(i)." if own and len(labels) == 1 else "")
        )
    norms = torch.linalg.vector_norm(columns.double(), dim=0).tolist()
    if min(norms) == 0:
        raise ArgumentError(f"{name}: expected vectors that are not zero, got length 0 in column {norms.index(0.0)}.")
    if isinstance(given, Directions):
        return replace(given, vectors=columns, norms=tuple(norms))
    return Directions(columns, labels, tuple(norms))

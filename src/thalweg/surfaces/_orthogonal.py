"""Directions made orthogonal to one another, whatever they were."""

from dataclasses import replace

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.surfaces._results import Directions

# What is left of a vector is noise where it is no longer than this, relative to the vector, in units of the rounding.
_NOISE = 16.0


def orthogonal_directions(*directions: Directions) -> Directions:
    r"""Join directions, each less its part in the span of those before it, for planes of mixed kinds.

    .. math:: d_k' = d_k - \sum_{j < k} \frac{d_j'^{\top} d_k}{\lVert d_j' \rVert^2}\, d_j'

    The first one stays as it is; what is left of the others is not stretched to their former length, and ``norms`` says
    how long it is. Names say which ones were changed.

    Cost: no pass over the data.

    Valid for: directions that are independent beyond the rounding of their type.

    Args:
        *directions: One record or several; their directions are taken in this order.

    Raises:
        ArgumentError: If there are none, they differ in size, type or device, or one lies in the span of those before
            it; it is named.

    Example:
        >>> gradient = Directions(torch.tensor([[1.0], [0.0]]), ("gradient",), (1.0,))
        >>> update = Directions(torch.tensor([[3.0], [4.0]]), ("update",), (5.0,))
        >>> print(orthogonal_directions(gradient, update))
        gradient (‖d‖ = 1), update ⟂ gradient (‖d‖ = 4)
    """
    if not directions:
        raise ArgumentError("directions: expected at least one record, got none.")
    for place, one in enumerate(directions):
        if not isinstance(one, Directions):
            raise ArgumentError(f"directions[{place}]: expected a record of directions, got {type(one).__name__}.")
    first = directions[0].vectors
    for place, one in enumerate(directions):
        like = (one.vectors.shape[0], one.vectors.dtype, one.vectors.device)
        if like != (first.shape[0], first.dtype, first.device):
            raise ArgumentError(
                f"directions[{place}]: expected vectors of length {first.shape[0]}, {first.dtype} on {first.device}, "
                f"as the first, got length {like[0]}, {like[1]} on {like[2]}."
            )
    given = [label for one in directions for label in one.labels]
    columns = [column.double() for one in directions for column in one.vectors.mT]
    left, labels = list[Tensor](), list[str]()
    for column, label in zip(columns, given, strict=True):
        rest = across(column, left)
        length, before = float(torch.linalg.vector_norm(rest)), float(torch.linalg.vector_norm(column))
        if length <= _NOISE * torch.finfo(first.dtype).eps * before:
            raise ArgumentError(_dependent(label, before, labels))
        # Orthogonal to rounding already: then it is itself.
        changed = before**2 - length**2 > 8 * torch.finfo(first.dtype).eps * before**2
        left.append(rest if changed else column)
        labels.append(f"{label} ⟂ {' and '.join(given[: len(labels)])}" if changed else label)
    vectors = torch.stack(left).to(first.dtype).mT
    norms = tuple(torch.linalg.vector_norm(vectors.double(), dim=0).tolist())
    scales = list(dict.fromkeys(one.scale for one in directions))
    joined = Directions(vectors, tuple(labels), norms, "; ".join(scales))
    return replace(joined, shares=directions[0].shares) if len(directions) == 1 else joined


def across(vector: Tensor, others: list[Tensor]) -> Tensor:
    """Return what is left of a vector without its part in the span of orthogonal ones, to working precision."""
    for _ in range(2):
        for other in others:
            vector = vector - (other @ vector) / (other @ other) * other
    return vector


def _dependent(label: str, length: float, before: list[str]) -> str:
    if length == 0:
        return f"directions: expected ones that are not zero, got {label} of length 0."
    where = f"parallel to {before[0]}" if len(before) == 1 else f"in the span of {', '.join(before)}"
    return f"directions: expected independent ones, but {label} is {where}, and they span no more than without it."

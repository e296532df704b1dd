"""What a vector must be to belong to a space."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.vectors import VectorSpace


def require_columns(space: VectorSpace, vectors: Any, name: str, *, finite: bool = True) -> Float[Tensor, "p k"]:
    """Return one vector (P,) or several (P, k) as columns (P, k), detached.

    Args:
        space: Where they must live.
        vectors: What the caller was given.
        name: What the caller calls it, for the message.
        finite: Whether to look at every entry, too.

    Raises:
        ArgumentError: If it is no tensor of such a shape with at least one vector, of the space's dtype and
            device, or an entry is not finite.
    """
    size = space.local_size
    wanted = f"{name}: expected shape ({size},) or ({size}, k)"
    if not isinstance(vectors, Tensor):
        raise ArgumentError(f"{wanted}, got {type(vectors).__name__}.")
    if vectors.layout != torch.strided:
        raise ArgumentError(f"{wanted}, dense, got {vectors.layout}. Convert it with .to_dense().")
    if vectors.ndim not in (1, 2) or vectors.shape[0] != size or vectors.numel() == 0:
        raise ArgumentError(f"{wanted}, got {tuple(vectors.shape)}.")
    if vectors.dtype != space.dtype or vectors.device != space.device:
        raise ArgumentError(
            f"{name}: expected {space.dtype} on {space.device}, got {vectors.dtype} on {vectors.device}. "
            f"Convert it with .to({str(space.device)!r}, {space.dtype})."
        )
    if finite and not bool(torch.isfinite(vectors).all()):
        raise ArgumentError(f"{name}: expected finite entries, got one that is infinite or not a number.")
    columns = vectors.detach()
    return columns.unsqueeze(1) if columns.ndim == 1 else columns


def require_vector(space: VectorSpace, vector: Any, name: str, *, finite: bool = True) -> Float[Tensor, " p"]:
    """Return one vector (P,), detached.

    Raises:
        ArgumentError: As :func:`require_columns`, or if there are several.
    """
    if not isinstance(vector, Tensor):
        raise ArgumentError(f"{name}: expected a tensor of shape ({space.local_size},), got {type(vector).__name__}.")
    if tuple(vector.shape) != (space.local_size,):
        raise ArgumentError(f"{name}: expected shape ({space.local_size},), got {tuple(vector.shape)}.")
    return require_columns(space, vector, name, finite=finite)[:, 0]

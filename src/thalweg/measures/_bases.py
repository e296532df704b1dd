"""Bases of subspaces, and points of a path, as callers give them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs
from thalweg.measures._require import how_to_flatten
from thalweg.operators._orthonormal import require_orthonormal
from thalweg.vectors import VectorSpace

# Sums of many distances still are numbers below this.
_LARGEST = 1e300


def columns_of(basis: Any, name: str, size: int | None = None) -> Tensor:
    """Return orthonormal columns, shape (P, k).

    Raises:
        ArgumentError: If there are no vectors, they are not orthonormal, or P is not ``size``.
    """
    vectors = basis.vectors if isinstance(basis, Eigenpairs) else basis
    if vectors is None:
        raise ArgumentError(f"{name}: expected eigenpairs with vectors, got some without.")
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or not 1 <= vectors.shape[1] <= vectors.shape[0]:
        given = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise ArgumentError(f"{name}: expected eigenpairs or columns of shape (P, k), 1 <= k <= P, got {given}.")
    if size is not None and len(vectors) != size:
        raise ArgumentError(f"{name}: expected vectors of length P = {size}, got {len(vectors)}.")
    return require_orthonormal(VectorSpace(len(vectors), vectors.dtype, vectors.device), vectors, name)


def points_of(points: Any, name: str, least: int) -> list[Tensor]:
    """Return vectors of one length, type and device.

    Raises:
        ArgumentError: If they are too few, differ in these, or an entry is not finite.
    """
    if isinstance(points, (dict, nn.Module)):
        raise ArgumentError(f"{name}: expected vectors, got one {type(points).__name__}.{how_to_flatten(points)}")
    if not isinstance(points, (Tensor, Sequence)) or (isinstance(points, Tensor) and points.ndim != 2):
        given = f"shape {tuple(points.shape)}" if isinstance(points, Tensor) else type(points).__name__
        raise ArgumentError(f"{name}: expected a tensor of shape (T, P) or a sequence of vectors (P,), got {given}.")
    found = list(points)
    if len(found) < least:
        raise ArgumentError(f"{name}: expected at least {least} vectors, got {len(found)}.")
    for place, point in enumerate(found):
        require_like(point, found[0], f"{name}[{place}]", f"{name}[0]")
    return [point.detach() for point in found]


def require_like(point: Any, first: Any, name: str, like: str) -> None:
    """Refuse what is no vector of finite real numbers, or does not fit the first one.

    Raises:
        ArgumentError: If it is so.
    """
    if not isinstance(point, Tensor) or point.ndim != 1 or not len(point) or not point.is_floating_point():
        given = f"{point.dtype} of shape {tuple(point.shape)}" if isinstance(point, Tensor) else type(point).__name__
        advice = how_to_flatten(point)
        raise ArgumentError(f"{name}: expected a vector of real numbers, shape (P,), got {given}.{advice}")
    if (point.shape, point.dtype, point.device) != (first.shape, first.dtype, first.device):
        raise ArgumentError(
            f"{name}: expected {len(first)} entries of {first.dtype} on {first.device}, as {like}, got {len(point)} of "
            f"{point.dtype} on {point.device}."
        )
    if not bool(point.isfinite().all()):
        raise ArgumentError(f"{name}: expected finite entries, got one that is infinite or not a number.")


def length(v: Tensor) -> float:
    """Return ‖v‖ of a vector in double precision, whose squares may over- or underflow.

    Raises:
        ArgumentError: If it is no number of that type.
    """
    largest = float(v.abs().max())
    if not largest < _LARGEST:
        raise ArgumentError(f"points: expected distances below {_LARGEST:g}, got {largest:g} in one coordinate.")
    return 0.0 if largest == 0 else largest * float(_space(v).norm(v / largest))


def turn(one: Tensor, other: Tensor) -> float | None:
    """Return the angle in radians between vectors in double precision; ``None`` where one is zero."""
    lengths = length(one), length(other)
    if not min(lengths) > 0:
        return None
    return angle(_space(one).dot(one / lengths[0], other / lengths[1]), 1.0, 1.0)


def _space(v: Tensor) -> VectorSpace:
    return VectorSpace(len(v), v.dtype, v.device)


def angle(dot: float, one: float, other: float) -> float | None:
    """Return the angle in radians between vectors of these lengths; ``None`` where one is zero."""
    if not (one > 0 and other > 0):
        return None
    return math.acos(max(-1.0, min(1.0, dot / one / other)))


def share_spread(k: int, size: int) -> float:
    """Return the standard deviation of Beta(k/2, (P−k)/2), of a random direction's share in k dimensions."""
    return math.sqrt(2 * k * (size - k) / (size**2 * (size + 2)))


def principal_angles(one: Tensor, other: Tensor) -> Tensor:
    """Return the principal angles between the spans of orthonormal columns, the smallest first.

    Small ones come from sines, which the cosine loses (Björck & Golub, 1973).
    """
    if one.shape[1] < other.shape[1]:
        one, other = other, one
    one, other = one.double(), other.double()
    inner = one.mT @ other
    left, cosines, right = torch.linalg.svd(inner, full_matrices=False)
    # Residuals of the principal vectors: their lengths are the sines, in the cosines' order.
    sines = torch.linalg.vector_norm(other @ right.mT - one @ (left * cosines), dim=0)
    angles = torch.atan2(sines, cosines.clamp_min(0))
    return angles.sort().values.cpu()

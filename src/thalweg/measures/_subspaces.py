"""How much two subspaces of parameter space have in common, and how they turn over time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs
from thalweg.measures._bases import columns_of, principal_angles
from thalweg.measures._trajectory_results import SubspaceDrift, SubspaceOverlap

# Any number of vectors each.
Basis = Eigenpairs | Float[Tensor, "p _"]


def subspace_overlap(first: Basis, second: Basis) -> SubspaceOverlap:
    r"""Compare two subspaces of k and m dimensions by their principal angles.

    .. math:: \frac{\|U^\top V\|_F^2}{\min(k, m)} = \frac{1}{\min(k, m)} \sum_i \cos^2 \vartheta_i

    It is 1 where the smaller one lies in the other, and depends on the subspaces alone. Drawn uniformly, the squared
    norm has mean km/P and variance :math:`2km(P-k)(P-m) / (P^2 (P-1)(P+2))`. Of eigenspaces compare whole ones: where
    the k-th and the next eigenvalue are close, which of their vectors belong to the first k is an accident.

    Cost: km inner products.

    Args:
        first: Eigenpairs with vectors, or orthonormal columns, shape (P, k).
        second: The same, shape (P, m).

    Raises:
        ArgumentError: If a basis is not orthonormal, or their vectors differ in length, type or device.

    Example:
        >>> e = torch.eye(3, dtype=torch.float64)
        >>> found = subspace_overlap(e[:, :2], e[:, 1:])
        >>> found.overlap, found.angles.rad2deg()
        (0.5, tensor([ 0., 90.], dtype=torch.float64))
    """
    one, other = columns_of(first, "first"), columns_of(second, "second")
    _require_alike(one, other, "second")
    size, k, m = len(one), one.shape[1], other.shape[1]
    few = min(k, m)
    variance = 2 * k * m * (size - k) * (size - m) / (size**2 * max(size - 1, 1) * (size + 2))
    return SubspaceOverlap(_overlap(one, other), principal_angles(one, other), k * m / few / size, variance**0.5 / few)


def subspace_drift(bases: Sequence[Basis]) -> SubspaceDrift:
    r"""Compare the subspaces of several times, such as leading eigenspaces at checkpoints, each with each.

    The overlap is that of :func:`subspace_overlap`. Leading eigenspaces of Hessians are found to turn slowly (Gur-Ari,
    Roberts & Dyer, 2018).

    Cost: T²k² inner products.

    Args:
        bases: Eigenpairs with vectors, or orthonormal columns, shape (P, k), at least two.

    Raises:
        ArgumentError: If there are fewer than two, one is not orthonormal, or vectors differ in length, type or device.

    Example:
        >>> e = torch.eye(3, dtype=torch.float64)
        >>> subspace_drift([e[:, :1], e[:, :1], e[:, 1:2]]).successive()
        tensor([1., 0.], dtype=torch.float64)
    """
    if isinstance(bases, (Tensor, Eigenpairs)) or not isinstance(bases, Sequence) or len(bases) < 2:
        count = len(bases) if isinstance(bases, Sequence) else type(bases).__name__
        raise ArgumentError(f"bases: expected a sequence of at least 2, got {count}.")
    columns = [columns_of(basis, f"bases[{place}]") for place, basis in enumerate(bases)]
    for place, other in enumerate(columns):
        _require_alike(columns[0], other, f"bases[{place}]")
    overlaps = torch.ones(len(columns), len(columns), dtype=torch.float64)
    null = torch.empty_like(overlaps)
    for i, one in enumerate(columns):
        for j, other in enumerate(columns[: i + 1]):
            null[i, j] = null[j, i] = max(one.shape[1], other.shape[1]) / len(one)
            if i != j:
                overlaps[i, j] = overlaps[j, i] = _overlap(one, other)
    return SubspaceDrift(overlaps, null)


def _overlap(one: Tensor, other: Tensor) -> float:
    squares = (one.mT @ other).double().square().sum()
    # Rounding leaves the interval by a few units in the last place.
    return min(1.0, float(squares) / min(one.shape[1], other.shape[1]))


def _require_alike(one: Tensor, other: Tensor, name: str) -> None:
    if (len(one), one.dtype, one.device) != (len(other), other.dtype, other.device):
        raise ArgumentError(
            f"{name}: expected vectors of {len(one)} entries of {one.dtype} on {one.device}, as the first, got "
            f"{len(other)} of {other.dtype} on {other.device}."
        )

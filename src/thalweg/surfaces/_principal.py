"""The directions in which a trajectory spreads most."""

from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.measures._trajectory import gram_of_points
from thalweg.surfaces._checkpoints import Checkpoints, checkpoint_vectors
from thalweg.surfaces._results import Directions

About = Literal["mean", "last"]


def principal_directions(
    checkpoints: Checkpoints,
    count: int = 2,
    *,
    about: About = "mean",
    landscape: Landscape | None = None,
) -> Directions:
    r"""Take the principal components of a trajectory's checkpoints as orthonormal directions.

    .. math:: \{d_1, \dots, d_k\} = \operatorname*{arg\,max}_{D^\top D = I}
              \sum_t \lVert D^\top (\theta_t - \bar\theta) \rVert^2

    with the mean θ̄, or with the last checkpoint in its place (Li et al., 2018), so that the plane through that one is
    the best for all others. ``shares`` of the result are λᵢ / Σλ, and the names say them. A direction points to where
    the trajectory ends, seen from where it began.

    A large share says little by itself: of a random walk in many dimensions the first component holds 61 %, and two
    hold 76 % (Antognini & Sohl-Dickstein, 2018). :func:`thalweg.trajectory` has that null for as many points, and
    :func:`project` says how far each checkpoint is from the plane.

    Cost: T²P operations and no pass over the data; k further vectors of double precision.

    Valid for: at least k + 1 checkpoints that span k dimensions, without noise of rounding among these.

    Args:
        checkpoints: θ_0, …, θ_T: a tensor (T + 1, P), or a sequence of vectors, landscapes, or state dicts.
        count: Number of directions k, at most T.
        about: "mean" or "last".
        landscape: Says what of a state dict to take, and in which order.

    Raises:
        ArgumentError: If checkpoints differ in size, type or device, are not finite, or span fewer than k dimensions.

    Example:
        >>> path = torch.tensor([[0.0, 0.0, 1.0], [2.0, 1.0, 1.0], [4.0, 0.0, 1.0]])
        >>> found = principal_directions(path)
        >>> print(found)
        PCA 1 (92.3 %) (‖d‖ = 1), PCA 2 (7.69 %) (‖d‖ = 1)
    """
    points = checkpoint_vectors(checkpoints, landscape, "checkpoints", 2)
    if about not in ("mean", "last"):
        raise ArgumentError(f"about: expected 'mean' or 'last', got {about!r}.")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(points) - 1:
        raise ArgumentError(
            f"count: expected a number from 1 to {len(points) - 1}, one less than the {len(points)} checkpoints, "
            f"got {count!r}."
        )
    gram = gram_of_points(points)
    if about == "last":
        gram = gram - gram[-1] - gram[:, -1:] + gram[-1, -1]
    values, mixtures = torch.linalg.eigh(gram)
    values, mixtures = values.flip(0).clamp_min(0), mixtures.flip(1)
    rank = int((values > _noise(points, values)).sum())
    if rank < count:
        raise ArgumentError(_flat(rank, count))
    shares = (values[:count] / values.sum()).tolist()
    ends = mixtures[-1, :count] - mixtures[0, :count]
    chosen = mixtures[:, :count] * torch.where(ends < 0, -1.0, 1.0).double()
    vectors = _combined(points, chosen)
    labels = tuple(f"PCA {index + 1} ({100 * share:.3g} %)" for index, share in enumerate(shares))
    norms = tuple(torch.linalg.vector_norm(vectors.double(), dim=0).tolist())
    return Directions(vectors, labels, norms, "unit length", tuple(shares))


def _noise(points: list[Tensor], values: Tensor) -> float:
    """What the rounding of the points, and of the sums, can make of an eigenvalue of zero."""
    longest = max(float(torch.linalg.vector_norm(point.double())) for point in points)
    rounding = torch.finfo(points[0].dtype).eps * longest
    return max(len(points) * rounding**2, 100 * len(points) * torch.finfo(torch.float64).eps * float(values[0]))


def _combined(points: list[Tensor], mixtures: Tensor) -> Tensor:
    """Return Σ_t m_t (θ_t − θ_T) for each column m, made orthonormal again, the angles being lost to small shares."""
    last = points[-1].double()
    vectors = torch.zeros(len(last), mixtures.shape[1], dtype=torch.float64, device=last.device)
    for point, row in zip(points[:-1], mixtures[:-1].to(last.device), strict=True):
        vectors.addr_(point.double() - last, row)
    basis, triangle = torch.linalg.qr(vectors)
    signed: Tensor = basis * torch.sign(triangle.diagonal())
    return signed.to(points[0].dtype)


def _flat(rank: int, count: int) -> str:
    where = {0: "are all the same point", 1: "lie on a line"}.get(rank, f"span {rank} dimensions only")
    return f"checkpoints: expected points that span {count} dimensions, but they {where}, but for rounding."

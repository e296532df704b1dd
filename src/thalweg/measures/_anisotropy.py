"""How much of the gradient lies in a few directions."""

import math
from itertools import accumulate

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs
from thalweg.measures._results import Anisotropy


def anisotropy(gradient: Float[Tensor, " p"], basis: Eigenpairs | Float[Tensor, "p k"]) -> Anisotropy:
    r"""Return the share of the gradient's energy in the span of the first k vectors, for every k.

    .. math:: \mathrm{LAS}_k = \sum_{i \le k} (v_i^\top g)^2 / \|g\|^2

    Against it stands the law of a direction drawn uniformly: Beta(k/2, (P−k)/2), with mean k/P and variance
    2k(P−k) / (P²(P+2)). Where eigenvalues are degenerate only the share of the whole eigenspace has a meaning.
    It is energy of the mean gradient, not variance of the gradient noise.

    Cost: k inner products.

    Args:
        gradient: g, shape (P,); the shares do not depend on its length.
        basis: Eigenpairs with vectors, or orthonormal columns, shape (P, k), leading direction first.

    Returns:
        The shares, each with its null law; ``None`` in their place at a critical point (g = 0), where they are 0/0.

    Raises:
        ArgumentError: If the basis has no vectors, does not fit the gradient or is not orthonormal, or an entry of
            either is not finite.

    Example:
        >>> g = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
        >>> anisotropy(g, torch.eye(3, dtype=torch.float64)[:, :2]).shares
        tensor([0.3600, 1.0000], dtype=torch.float64)
    """
    vectors = _orthonormal(gradient, basis)
    size, count = vectors.shape
    k = torch.arange(1, count + 1, dtype=torch.float64)
    mean = k / size
    deviation = (2 * k * (size - k) / (size**2 * (size + 2))).sqrt()
    g = gradient.detach().double()
    # The largest entry first: squares of a tiny gradient underflow.
    largest = g.abs().max()
    if not bool(largest > 0):
        return Anisotropy(None, mean, deviation, None)
    g = g / largest
    energy = torch.stack([(column.double() @ g).square() for column in vectors.mT])
    shares = (energy.cumsum(0) / g.square().sum()).cpu()
    # All P directions hold everything, whatever the direction: there Beta(P/2, 0) is the point 1.
    tail = torch.from_numpy(stats.beta.sf(shares.numpy(), (k / 2).numpy(), ((size - k).clamp(min=1) / 2).numpy()))
    return Anisotropy(shares, mean, deviation, torch.where(k < size, tail, 1.0))


def share_bounds(shares: Tensor, top: Eigenpairs, bottom: Eigenpairs, size: int) -> tuple[list[float], list[float]]:
    r"""Return between what LAS_1 … LAS_k of the true eigenvectors lie, as far as residuals and gaps tell.

    The largest angle θ between the computed leading space and the true one has
    :math:`\sin\theta \le \|R\|_F / \delta`, δ the gap between its eigenvalues and all others (Davis & Kahan, 1970),
    and moves the angle between g and the space by θ at most. Where the gap is within the residuals, or the next
    eigenvalue is not known, a smaller space bounds the share from below and a larger one from above.

    Valid for: eigenpairs of which none was missed; else the bounds are 0 and 1.

    Args:
        shares: LAS_1 … LAS_k of the computed eigenvectors.
        top: Eigenpairs of the upper end, k of them.
        bottom: Those of the lower end, which hold the next one where both are all there are.
        size: P.
    """
    count = len(shares)
    values, residuals = top.values.double().cpu(), top.residuals.double().cpu()
    following = [float(values[k] + residuals[k]) for k in range(1, count)]
    if count < size <= count + len(bottom.values):
        following.append(float((bottom.values + bottom.residuals)[size - count - 1]))
    low, high = [0.0] * count, [1.0] * count
    if not top.complete:
        return low, high
    for k, upper in enumerate(following):
        gap, amiss = float(values[: k + 1].min()) - upper, float(torch.linalg.vector_norm(residuals[: k + 1]))
        if gap > amiss:
            angle, turn = math.acos(min(1.0, math.sqrt(float(shares[k])))), math.asin(amiss / gap)
            low[k] = math.cos(min(angle + turn, math.pi / 2)) ** 2
            high[k] = math.cos(max(angle - turn, 0.0)) ** 2
    if count == size:
        low[-1] = 1.0
    # Larger spaces hold more.
    return list(accumulate(low, max)), list(accumulate(reversed(high), min))[::-1]


def _orthonormal(gradient: Tensor, basis: Eigenpairs | Tensor) -> Tensor:
    vectors = basis.vectors if isinstance(basis, Eigenpairs) else basis
    if isinstance(basis, Eigenpairs) and vectors is None:
        raise ArgumentError("basis: expected eigenpairs with vectors, got some without.")
    for name, given, wanted in (
        ("gradient", gradient, "a tensor of shape (P,)"),
        ("basis", vectors, "eigenpairs, or a tensor of shape (P, k)"),
    ):
        if not isinstance(given, Tensor) or not given.is_floating_point() or given.ndim == 0:
            got = f"{given.dtype} of shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise ArgumentError(f"{name}: expected {wanted}, got {got}.")
    assert vectors is not None  # noqa: S101 - it is a tensor
    size = len(gradient)
    if gradient.ndim != 1 or vectors.ndim != 2 or vectors.shape[0] != size or not 1 <= vectors.shape[1] <= size:
        raise ArgumentError(
            f"basis: expected shape (P, k) with P = {size}, the length of the gradient, and 1 <= k <= P, "
            f"got {tuple(vectors.shape)}."
        )
    if vectors.device != gradient.device:
        raise ArgumentError(f"basis: expected vectors on {gradient.device}, as the gradient, got {vectors.device}.")
    for name, tensor in (("gradient", gradient), ("basis", vectors)):
        if not bool(tensor.isfinite().all()):
            raise ArgumentError(f"{name}: expected finite entries, got one that is infinite or not a number.")
    vectors = vectors.detach()
    gram = vectors.mT @ vectors
    gap = float((gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs().max())
    tolerance = torch.finfo(gram.dtype).eps ** 0.5
    if gap > tolerance:
        raise ArgumentError(
            f"basis: expected orthonormal columns, got |VᵀV − I| up to {gap:.2e}. "
            "Orthonormalise them with torch.linalg.qr(V).Q."
        )
    return vectors

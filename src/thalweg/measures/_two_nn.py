"""The dimension of data from the ratio of two distances."""

import math
import time
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from thalweg.errors import ArgumentError, DataError
from thalweg.estimate import Cost
from thalweg.measures._dimension_results import DataDimension
from thalweg.measures._points import Points, Rows, require_memory
from thalweg.measures._require import require_real

# Distances that are held at once.
_BLOCK = 1 << 22
_CANDIDATES = 4


def two_nn(points: Points, *, discard: float = 0.1, duplicates: Literal["refuse", "drop"] = "refuse") -> DataDimension:
    r"""Estimate the intrinsic dimension of data from the two nearest neighbours of each point (Facco et al., 2017).

    Where the density is constant over the distances r₁ < r₂ to them, the ratio μ = r₂/r₁ has the law
    :math:`1 - \mu^{-d}`, whatever the density. The estimate is that of maximum likelihood,

    .. math:: \hat d = \frac{m}{\sum_{i \le m} \ln \mu_{(i)} + (N - m) \ln \mu_{(m)}}

    where the N − m largest ratios, a share ``discard`` of all, count only as at least μ₍ₘ₎ (a censored sample): there
    the assumption fails first. With ``discard=0`` it is N / Σ ln μ.

    The standard error is the Fisher information's :math:`d/\sqrt m`, enlarged by what the ratios of neighbouring points
    have in common: they share distances, which the likelihood takes for independent. Pairs that are neighbours
    of each other are counted with their own covariance.

    Valid for: points that are dense enough for the density to be constant over two neighbours. In many dimensions
    edges of the data come near to every point, and the estimate falls below the dimension (about 10 % below it for 10
    dimensions and 2000 points of a cube).

    Cost: N² distances.

    Args:
        points: A tensor with a point along its first axis, batches of such or of pairs that begin with one, or a
            landscape, whose inputs are meant.
        discard: Share of the ratios, in [0, 1), that is censored.
        duplicates: Whether to "refuse" points that are there twice, or to "drop" the repetitions.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DataError: If there are fewer than 10 points, points are there twice, or all ratios are 1.
        MemoryBudgetError: If the points would not fit.

    Example:
        >>> source = torch.Generator().manual_seed(0)
        >>> plane = torch.rand(2000, 2, generator=source) @ torch.randn(2, 10, generator=source)
        >>> low, high = two_nn(plane).interval()
        >>> low < 2 < high
        True
    """
    started = time.perf_counter()
    if not 0 <= require_real("discard", discard, "a number in [0, 1)") < 1:
        raise ArgumentError(f"discard: expected a number in [0, 1), got {discard}.")
    if duplicates not in ("refuse", "drop"):
        raise ArgumentError(f"duplicates: expected 'refuse' or 'drop', got {duplicates!r}.")
    rows = Rows(points, 10)
    given = rows.joined()
    matrix = torch.unique(given, dim=0)
    repeated = len(given) - len(matrix)
    if repeated and duplicates == "refuse":
        raise DataError(
            f"points: expected no point twice, got {repeated} repetitions among {len(given)}, whose ratios are not "
            "defined. Leave them out with duplicates='drop' if they are copies of one observation."
        )
    if len(matrix) < 10:
        raise DataError(f"points: expected at least 10 that differ, got {len(matrix)}.")
    count = len(matrix)
    ratios, nearest = _ratios(matrix)
    kept = max(2, math.floor(count * (1 - discard)))
    limit = ratios.sort().values[kept - 1]
    censored = ratios.clamp(max=limit)
    total = float(censored.sum())
    if total == 0:
        raise DataError("points: expected neighbours at several distances, got equal ones, as on a grid.")
    value = kept / total
    return DataDimension(
        value=value,
        standard_error=value / math.sqrt(kept) * math.sqrt(_inflation(censored, ratios <= limit, value, nearest)),
        method="TwoNN",
        points=count,
        features=rows.features,
        repeated=repeated,
        fitted=kept,
        cost=Cost(seconds=time.perf_counter() - started),
    )


def _ratios(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln(r₂/r₁) of every point, and its two nearest neighbours, shape (N, 2)."""
    # Ratios have no unit, and squares neither over- nor underflow in this one.
    matrix = _in_unit(matrix)
    matrix = _in_unit(matrix - matrix.mean(dim=0))
    squares = matrix.square().sum(dim=1)
    count = len(matrix)
    step = max(1, _BLOCK // count)
    require_memory(3 * step * max(count, _CANDIDATES * matrix.shape[1]), matrix.device, "points")
    logs, neighbours = [], []
    for start in range(0, count, step):
        part = matrix[start : start + step]
        # ‖y‖² − 2xᵀy orders by distance, up to rounding: the candidates' distances are computed anew.
        order = torch.addmm(squares, part, matrix.mT, alpha=-2)
        own = torch.arange(len(part), device=matrix.device)
        order[own, own + start] = math.inf
        near = order.topk(min(_CANDIDATES, count - 1), largest=False).indices
        distances = torch.linalg.vector_norm(matrix[near] - part[:, None], dim=2)
        first, place = distances.sort(dim=1)
        logs.append((first[:, 1] / first[:, 0]).log())
        neighbours.append(near.gather(1, place[:, :2]))
    return torch.cat(logs), torch.cat(neighbours)


def _in_unit(matrix: Tensor) -> Tensor:
    """Divide by a power of two near the largest entry, which changes no digit."""
    return matrix / math.ldexp(1.0, math.frexp(float(matrix.abs().max()))[1] - 1)


def _inflation(censored: Tensor, fitted: Tensor, value: float, nearest: Tensor) -> float:
    """Return the variance of the sum of the scores over that of independent ones, at least 1."""
    scores = (fitted.double() - value * censored).cpu().numpy()
    count = len(scores)
    near = np.concatenate([nearest.cpu().numpy(), np.arange(count)[:, None]], axis=1)
    reach = sparse.csr_array((np.ones(3 * count), near.reshape(-1), np.arange(0, 3 * count + 1, 3)), (count, count))
    # Two points whose neighbourhoods meet, themselves included, once each way.
    meeting = (reach @ reach.T).tocoo()
    return max(1.0, float((scores[meeting.row] * scores[meeting.col]).sum() / (scores**2).sum()))

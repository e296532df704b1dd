"""How many principal directions carry the variance of data."""

import math
import time

import torch
from torch import Tensor

from thalweg.errors import DataError
from thalweg.estimate import Cost
from thalweg.measures._dimension_results import DataDimension
from thalweg.measures._points import Points, Rows, require_memory


def data_participation_ratio(points: Points) -> DataDimension:
    r"""Return the participation ratio of the covariance of data, :math:`(\mathrm{tr}\, C)^2 / \mathrm{tr}\, C^2`.

    It is d for a multiple of the identity in d dimensions, and depends on the scales of the features and on no other
    structure: a curve that fills space has many. It is computed through the smaller of the covariance and the Gram
    matrix of the points, in double precision.

    N points of d dimensions see at most about dN/(d + N) of them. ``corrected`` is the ratio of unbiased estimates of
    numerator and denominator for any law of the points (Himeno & Yamada, 2014), and ``value`` the plain ratio of
    the sample covariance. Its standard error comes from the spread of
    :math:`2\,(\lVert x\rVert^2/\mathrm{tr}\,C - x^\top C x/\mathrm{tr}\,C^2)` over the centred points,
    which are taken for independent.

    Cost: N·d·min(N, d) multiplications, twice with batches; memory for min(N, d)² numbers, and for all points where
    N < d.

    Args:
        points: A tensor with a point along its first axis, batches of such or of pairs that begin with one, or a
            landscape, whose inputs are meant.

    Raises:
        ArgumentError: If the points are no tensors.
        DataError: If there are fewer than 4, all are one, or a number is not finite.
        MemoryBudgetError: If the matrix would not fit.

    Example:
        >>> cross = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
        >>> round(data_participation_ratio(cross).value, 12)
        2.0
    """
    started = time.perf_counter()
    rows = Rows(points, 4)
    n, side = rows.count, min(rows.count, rows.features)
    # A power of two, so that no digit changes: the ratio has no unit, and fourth powers are numbers in this one.
    unit = math.ldexp(1.0, math.frexp(max(float(batch.abs().max()) for batch in rows))[1] - 1)
    mean = torch.stack([(batch / unit).sum(dim=0) for batch in rows]).sum(dim=0) / n
    require_memory(2 * side**2, mean.device, "points")
    if rows.features <= n:
        covariance = mean.new_zeros(side, side)
        for batch in rows:
            centred = batch / unit - mean
            covariance.addmm_(centred.mT, centred)
        covariance /= n - 1
        lengths, forms = (
            torch.cat(parts) for parts in zip(*(_of(b / unit - mean, covariance) for b in rows), strict=True)
        )
    else:
        centred = rows.joined() / unit - mean
        gram = centred @ centred.mT
        lengths, forms = gram.diagonal().clone(), gram.square().sum(dim=1) / (n - 1)
    total, square = float(lengths.sum()) / (n - 1), float(forms.sum()) / (n - 1)
    scale = float(mean.abs().max())
    # What rounding of the mean leaves of points that are one.
    if total <= (8 * torch.finfo(torch.float64).eps * scale) ** 2 * rows.features:
        raise DataError("points: expected at least two that differ, got one point only, repeated.")
    fourth = float(lengths.square().sum()) / (n - 1)
    corrected = _corrected(n, total, square, fourth)
    return DataDimension(
        value=total**2 / square,
        standard_error=None if corrected is None else _error(n, lengths, forms, *corrected),
        method="participation ratio",
        points=n,
        features=rows.features,
        corrected=None if corrected is None else corrected[0] / corrected[1],
        cost=Cost(seconds=time.perf_counter() - started),
    )


def _of(centred: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return ‖x‖² and xᵀCx of every point."""
    return centred.square().sum(dim=1), ((centred @ covariance) * centred).sum(dim=1)


def _corrected(n: int, total: float, square: float, fourth: float) -> tuple[float, float] | None:
    """Return unbiased (tr C)² and tr C² from tr S, tr S² and Σ‖x‖⁴/(n − 1) (Himeno & Yamada, 2014)."""
    factor = (n - 1) / (n * (n - 2) * (n - 3))
    numerator = factor * (2 * square + (n * n - 3 * n + 1) * total**2 - n * fourth)
    denominator = factor * ((n - 1) * (n - 2) * square + total**2 - n * fourth)
    # Few points may make the unbiased estimate of a positive number negative.
    return (numerator, denominator) if min(numerator, denominator) > 0 else None


def _error(n: int, lengths: Tensor, forms: Tensor, numerator: float, denominator: float) -> float:
    """Return the standard error of the corrected ratio."""
    # A point's own part in the covariance is no news of its direction.
    others = forms - lengths.square() / (n - 1)
    influence = lengths / numerator**0.5 - others / denominator
    # The forms come from n − 1 other points, whose noise is in their variance and twice in the sum: 4/n² of it, for
    # inner products of a normal law, comes off.
    variance = 4 * (float(influence.var()) / n - 1 / n**2)
    return numerator / denominator * math.sqrt(max(variance, float(influence.var()) / n))

"""The geometry of a path through parameter space, from its checkpoints or step by step."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.measures._bases import length, points_of, require_like, turn
from thalweg.measures._trajectory_results import Trajectory

# Entries of all points that are converted to double precision at a time.
_PART = 1 << 22


def trajectory(
    checkpoints: Float[Tensor, "t p"] | Sequence[Float[Tensor, " p"]],
    gradients: Float[Tensor, "t p"] | Sequence[Float[Tensor, " p"]] | None = None,
) -> Trajectory:
    r"""Describe a path θ_0, …, θ_T: how far it leads, how straight it is, how it turns, and in how many dimensions.

    .. math:: \text{efficiency} = \frac{\|\theta_T - \theta_0\|}{\sum_t \|\theta_{t+1} - \theta_t\|}, \qquad
              \text{dimension} = \frac{(\sum_i \lambda_i)^2}{\sum_i \lambda_i^2}

    with the eigenvalues λ of the covariance of the points. Few dimensions say little: a random walk in a space of any
    size has shares :math:`\lambda_i \propto 1/\sin^2(i\pi / 2(T+1))`, of which the first tends to 6/π² = 60.8 % and the
    participation ratio to 5/2 (Antognini & Sohl-Dickstein, 2018). Compare with that null, which the result holds for as
    many points, rather than with T; it is exact where P is much larger than T.

    Lengths depend on how often the path was looked at: those of sparse checkpoints are too short, and successive
    updates turn by 90° on average in a random walk.

    Cost: T²P operations, and T vectors of memory, which the caller holds.

    Args:
        checkpoints: θ_0, …, θ_T, shape (T + 1, P), at least two.
        gradients: The gradients there, as many.

    Raises:
        ArgumentError: If they differ in length, type or device, or an entry is not finite.

    Example:
        >>> found = trajectory(torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]))
        >>> print(found)
        distance 5 by a path of 7, effective dimension 1.53 (a random walk: 1.6)
    """
    points = points_of(checkpoints, "checkpoints", 2)
    slopes = None if gradients is None else points_of(gradients, "gradients", 2)
    if slopes is not None and len(slopes) != len(points):
        raise ArgumentError(f"gradients: expected {len(points)}, one a checkpoint, got {len(slopes)}.")
    meter = TrajectoryMeter()
    for place, point in enumerate(points):
        meter.add(point, None if slopes is None else slopes[place])
    components = _components(points)
    if components is None:
        return meter.read()
    shares, coordinates = components
    null = torch.sin(torch.arange(1, len(points), dtype=torch.float64) * (math.pi / (2 * len(points)))) ** -2
    null = null / null.sum()
    return replace(
        meter.read(),
        explained=shares,
        coordinates=coordinates,
        dimension=1 / float(shares.square().sum()),
        null_explained=null,
        null_dimension=1 / float(null.square().sum()),
    )


class TrajectoryMeter:
    """Measures a path while it is walked, from four vectors and a few numbers a step.

    It gives what :func:`trajectory` gives but the dimension, which needs all points. Vectors are copied: a model's own
    may be given, and trained on.

    Example:
        >>> meter = TrajectoryMeter()
        >>> for point in ([0.0, 0.0], [3.0, 0.0], [3.0, 4.0]):
        ...     meter.add(torch.tensor(point))
        >>> found = meter.read()
        >>> found.length, round(found.efficiency, 4), round(found.update_angles[0] / math.pi, 4)
        (7.0, 0.7143, 0.5)
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._last: Tensor | None = None
        self._update: Tensor | None = None
        self._slope: Tensor | None = None
        self._with_gradients = False
        self._from_start: list[float] = []
        self._lengths: list[float] = []
        self._turns: list[float | None] = []
        self._norms: list[float] = []
        self._slope_turns: list[float | None] = []

    def add(self, theta: Float[Tensor, " p"], gradient: Float[Tensor, " p"] | None = None) -> None:
        """Take the next point, and the gradient there: at every point or at none.

        Raises:
            ArgumentError: If they do not fit the first ones, an entry is not finite, or a gradient is missing or new.
        """
        first = theta if self._first is None else self._first
        require_like(theta, first, "theta", "the first one")
        if gradient is not None:
            require_like(gradient, first, "gradient", "the first point")
        if self._first is not None and (gradient is not None) is not self._with_gradients:
            raise ArgumentError("gradient: expected one at every point or at none, got one at some points only.")
        self._with_gradients = gradient is not None
        # Kept while the model it may belong to moves on.
        point = theta.detach().clone()
        if gradient is not None:
            self._turn(gradient.detach().clone())
        if self._first is None or self._last is None:
            self._first = self._last = point
            self._from_start.append(0.0)
            return
        # Squares of single precision end at 1e-38 and 1e38.
        self._from_start.append(length(point.double() - self._first.double()))
        update = point.double() - self._last.double()
        self._lengths.append(length(update))
        if self._update is not None:
            self._turns.append(turn(self._update, update))
        self._last, self._update = point, update

    def read(self) -> Trajectory:
        """Return what the points so far say.

        Raises:
            ArgumentError: If there are fewer than two.
        """
        if not self._lengths:
            raise ArgumentError(f"theta: expected at least 2 points before reading, got {len(self._from_start)}.")
        whole = math.fsum(self._lengths)
        return Trajectory(
            from_start=torch.tensor(self._from_start, dtype=torch.float64),
            update_lengths=torch.tensor(self._lengths, dtype=torch.float64),
            update_angles=tuple(self._turns),
            length=whole,
            efficiency=min(1.0, self._from_start[-1] / whole) if whole > 0 else None,
            gradient_norms=torch.tensor(self._norms, dtype=torch.float64) if self._with_gradients else None,
            gradient_angles=tuple(self._slope_turns) if self._with_gradients else None,
            explained=None,
            dimension=None,
            null_explained=None,
            null_dimension=None,
        )

    def _turn(self, slope: Tensor) -> None:
        slope = slope.double()
        self._norms.append(length(slope))
        if self._slope is not None:
            self._slope_turns.append(turn(self._slope, slope))
        self._slope = slope


def gram_of_points(points: list[Tensor], unit: float = 1.0) -> Tensor:
    """Return the inner products of the points less their mean, shape (T + 1, T + 1), in double precision.

    Args:
        points: As many vectors.
        unit: What distances are measured in, so that their squares neither over- nor underflow.
    """
    count, size = len(points), len(points[0])
    gram = torch.zeros(count, count, dtype=torch.float64)
    step = max(1, _PART // count)
    for start in range(0, size, step):
        # Differences first, while the digits are there.
        stop = start + step
        part = torch.stack([point[start:stop].double() - points[0][start:stop].double() for point in points])
        part /= unit
        part -= part.mean(dim=0)
        gram += (part @ part.mT).cpu()
    return gram


def _components(points: list[Tensor]) -> tuple[Tensor, Tensor] | None:
    """The principal components' shares in the variance of the points, and where they lie along the first two.

    Both come from the Gram matrix of the centred points. A component's sign is that of its largest coordinate.
    """
    count = len(points)
    unit = max(float((point.double() - points[0].double()).abs().max()) for point in points)
    if unit == 0:
        return None
    values, vectors = torch.linalg.eigh(gram_of_points(points, unit))
    values, vectors = values.flip(0)[: count - 1].clamp_min(0), vectors.flip(1)[:, : min(2, count - 1)]
    total = float(values.sum())
    signs = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)).sign()
    return values / total, vectors * signs * values[: vectors.shape[1]].sqrt() * unit

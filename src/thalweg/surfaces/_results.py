"""What scans along lines and planes return."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.record import Record


@dataclass(frozen=True)
class Directions(Record):
    """Directions to walk along from a point, each with its name and length.

    Attributes:
        vectors: Shape (P, k), columns.
        labels: Name of each.
        norms: ‖d‖ of each: a coefficient times the norm is a true distance in parameter space.
        scale: What their lengths are, in words: "unit length", "as given" or what they were taken from.
        shares: Of the variance of the points that they are principal components of; ``None`` for other directions.
    """

    vectors: Tensor
    labels: tuple[str, ...]
    norms: tuple[float, ...]
    scale: str = "as given"
    shares: tuple[float, ...] | None = None

    def only(self, index: int) -> "Directions":
        """Return one of them, counted from 0, for a line.

        Raises:
            ArgumentError: If there is no such one.
        """
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(self.labels):
            raise ArgumentError(f"index: expected a number from 0 to {len(self.labels) - 1}, got {index!r}.")
        shares = None if self.shares is None else (self.shares[index],)
        return Directions(
            self.vectors[:, index : index + 1], (self.labels[index],), (self.norms[index],), self.scale, shares
        )

    def __str__(self) -> str:
        return ", ".join(f"{label} (‖d‖ = {norm:.4g})" for label, norm in zip(self.labels, self.norms, strict=True))


@dataclass(frozen=True)
class Line(Record):
    """L(θ + s·d) along one direction.

    Attributes:
        position: s of each point, shape (n,), increasing, in units of the direction.
        loss: Shape (n,), float64; NaN where it is not finite.
        metrics: Further curves by name, each of shape (n,).
        label: Name of the direction.
        norm: ‖d‖, so that s·norm is the distance in parameter space.
        quadratic: L + s·gᵀd + ½s²·dᵀHd at the same points, shape (n,); ``None`` if not asked for.
        cost: What it took.
        measured: Which points have been evaluated, shape (n,), after an interruption; ``None``: all.
        scale: What the length of the direction is, in words, as :class:`Directions` says it.
        digests: What tells the direction from others; empty where it is not known.
        origin: What tells the point at s = 0 from others; ``None`` where it is not known.
    """

    position: Tensor
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    label: str = "direction"
    norm: float = 1.0
    quadratic: Tensor | None = None
    cost: Cost = Cost()
    measured: Tensor | None = None
    scale: str = "as given"
    digests: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def nonfinite(self) -> int:
        """Points that were measured and have no finite loss; they are excluded, never replaced."""
        return _nonfinite(self.loss, self.measured)

    @property
    def unknown(self) -> int:
        """Points that an interruption left out."""
        return _unknown(self.loss, self.measured)

    def __str__(self) -> str:
        words = f"{len(self.position)} points along {self.label}"
        if self.unknown:
            words += f", {self.unknown} not measured"
        return words + (f", {self.nonfinite} not finite" if self.nonfinite else "")


@dataclass(frozen=True)
class Surface(Record):
    """L(θ + x·d₁ + y·d₂) on a grid.

    Attributes:
        x: Coefficients of the first direction, shape (columns,), increasing.
        y: Coefficients of the second direction, shape (rows,), increasing.
        loss: Shape (rows, columns): ``loss[i, j]`` is at ``x[j], y[i]``; NaN where it is not finite.
        metrics: Further surfaces by name, each (rows, columns); NaN where they were not measured.
        labels: Names of the two directions.
        norms: ‖d₁‖ and ‖d₂‖: x·norms[0] is a true distance in parameter space.
        cosine: d₁ᵀd₂ / (‖d₁‖‖d₂‖), 0 to rounding.
        cost: What it took.
        quadratic: L + gᵀd + ½dᵀHd at the same cells, shape (rows, columns); ``None`` if not asked for.
        measured: Which cells have been evaluated, (rows, columns); ``None``: all. The others are interpolated if there
            is an ``error``, and NaN after an interruption.
        error: Estimate of |interpolated − true| in each cell, (rows, columns), 0 where it was measured and NaN where
            nothing is known; ``None`` if nothing was interpolated.
        converged: Whether all estimates are within the tolerance; ``None`` if nothing was interpolated.
        scale: What the lengths of the directions are, in words, as :class:`Directions` says it.
        digests: What tells each direction from others; empty where they are not known.
        origin: What tells the point at (0, 0) from others; ``None`` where it is not known.
    """

    x: Tensor
    y: Tensor
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    labels: tuple[str, str] = ("first direction", "second direction")
    norms: tuple[float, float] = (1.0, 1.0)
    cosine: float = 0.0
    cost: Cost = Cost()
    quadratic: Tensor | None = None
    measured: Tensor | None = None
    error: Tensor | None = None
    converged: bool | None = None
    scale: str = "as given"
    digests: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def nonfinite(self) -> int:
        """Cells that were measured and have no finite loss; they are excluded, never replaced."""
        return _nonfinite(self.loss, self.measured)

    @property
    def unknown(self) -> int:
        """Cells that were neither measured nor interpolated, after an interruption or beyond a budget."""
        return _unknown(self.loss, self.measured)

    @property
    def share(self) -> float:
        """Share of the cells that were measured."""
        return 1.0 if self.measured is None else float(self.measured.double().mean())

    @property
    def largest_error(self) -> float | None:
        """The largest estimated error of a cell in units of the surface's range; ``None`` if there is no estimate.

        Of cells that are ``unknown`` nothing is estimated.
        """
        if self.error is None:
            return None
        beside = torch.ones_like(self.loss, dtype=torch.bool) if self.measured is None else ~self.measured
        known, losses = self.error[beside & self.error.isfinite()], self.loss[self.loss.isfinite()]
        if losses.numel() == 0 or (known.numel() == 0 and self.unknown):
            return None
        if known.numel() == 0:
            return 0.0
        extent = float(losses.max() - losses.min())
        return float(known.max()) / extent if extent > 0 else 0.0

    def __str__(self) -> str:
        words = f"{len(self.y)} × {len(self.x)} surface over {self.labels[0]} and {self.labels[1]}"
        if self.measured is not None:
            words += f", {self.share:.0%} of it measured"
        if self.largest_error is not None:
            words += f", the rest within {self.largest_error:.1%} of its range by estimate"
        if self.error is not None and self.unknown:
            words += (
                f"{',' if self.largest_error is None else ' but for'} {self.unknown} cells of which nothing is known"
            )
        return words + (f", {self.nonfinite} cells not finite" if self.nonfinite else "")


@dataclass(frozen=True)
class Grid(Record):
    """L(θ + Σ cᵢdᵢ) on a grid over N directions.

    Attributes:
        axes: Coefficients of each direction, shapes (nᵢ,), increasing.
        loss: Shape (n₁, …, n_N): axis i is direction i; NaN where it is not finite.
        metrics: Further quantities by name, each of the shape of ``loss``.
        labels: Names of the directions.
        norms: ‖d‖ of each: a coefficient times the norm is a true distance in parameter space.
        cost: What it took.
        measured: Which cells have been evaluated, of the shape of ``loss``, after an interruption; ``None``: all.
        scale: What the lengths of the directions are, in words, as :class:`Directions` says it.
        digests: What tells each direction from others; empty where they are not known.
        origin: What tells the point where all coefficients are 0 from others; ``None`` where it is not known.
    """

    axes: tuple[Tensor, ...]
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    norms: tuple[float, ...] = ()
    cost: Cost = Cost()
    measured: Tensor | None = None
    scale: str = "as given"
    digests: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def nonfinite(self) -> int:
        """Cells that were measured and have no finite loss; they are excluded, never replaced."""
        return _nonfinite(self.loss, self.measured)

    @property
    def unknown(self) -> int:
        """Cells that an interruption left out."""
        return _unknown(self.loss, self.measured)

    def section(self, across: int = 0, up: int = 1, at: Sequence[int] | None = None) -> Surface:
        """Return the surface over two of the directions, the others held, to look at it.

        Args:
            across: Direction of x, counted from 0.
            up: Direction of y.
            at: An index along every axis, of which the two of x and y do not matter; by default where the coefficient
                is closest to 0.

        Raises:
            ArgumentError: If these are no two directions of the grid, or an index is out of range.
        """
        count = len(self.axes)
        if across == up or not all(0 <= each < count for each in (across, up)):
            raise ArgumentError(f"across, up: expected two directions from 0 to {count - 1}, got {across} and {up}.")
        held = [int(axis.abs().argmin()) for axis in self.axes] if at is None else list(at)
        if len(held) != count or not all(0 <= i < len(axis) for i, axis in zip(held, self.axes, strict=True)):
            shape = tuple(len(axis) for axis in self.axes)
            raise ArgumentError(f"at: expected one index for each axis of the grid {shape}, got {at}.")

        def cut(values: Tensor) -> Tensor:
            index = tuple(slice(None) if axis in (across, up) else held[axis] for axis in range(count))
            return (values[index].mT if across < up else values[index]).contiguous()

        return Surface(
            x=self.axes[across],
            y=self.axes[up],
            loss=cut(self.loss),
            metrics={name: cut(values) for name, values in self.metrics.items()},
            labels=(self.labels[across], self.labels[up]),
            norms=(self.norms[across], self.norms[up]),
            cost=self.cost,
            measured=None if self.measured is None else cut(self.measured),
            scale=self.scale,
            digests=(self.digests[across], self.digests[up]) if self.digests else (),
            # Where others are held elsewhere, (0, 0) is another point.
            origin=self.origin
            if all(self.axes[i][held[i]] == 0 for i in range(count) if i not in (across, up))
            else None,
        )

    def __str__(self) -> str:
        words = f"{' × '.join(str(len(axis)) for axis in self.axes)} grid over {', '.join(self.labels)}"
        if self.unknown:
            words += f", {self.unknown} cells not measured"
        return words + (f", {self.nonfinite} cells not finite" if self.nonfinite else "")


def _unknown(loss: Tensor, measured: Tensor | None) -> int:
    return 0 if measured is None else int((~measured & ~loss.isfinite()).sum())


def _nonfinite(loss: Tensor, measured: Tensor | None) -> int:
    bad = ~loss.isfinite()
    return int((bad if measured is None else bad & measured).sum())

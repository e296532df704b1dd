"""What scans along lines and planes return."""

from dataclasses import dataclass, field

from torch import Tensor

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
        """Return one of them, for a line."""
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
    """

    position: Tensor
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    label: str = "direction"
    norm: float = 1.0
    quadratic: Tensor | None = None
    cost: Cost = Cost()

    def __str__(self) -> str:
        return f"{len(self.position)} points along {self.label}"


@dataclass(frozen=True)
class Surface(Record):
    """L(θ + x·d₁ + y·d₂) on a grid.

    Attributes:
        x: Coefficients of the first direction, shape (columns,), increasing.
        y: Coefficients of the second direction, shape (rows,), increasing.
        loss: Shape (rows, columns): ``loss[i, j]`` is at ``x[j], y[i]``; NaN where it is not finite.
        metrics: Further surfaces by name, each (rows, columns).
        labels: Names of the two directions.
        norms: ‖d₁‖ and ‖d₂‖: x·norms[0] is a true distance in parameter space.
        cosine: d₁ᵀd₂ / (‖d₁‖‖d₂‖), 0 to rounding.
        cost: What it took.
        quadratic: L + gᵀd + ½dᵀHd at the same cells, shape (rows, columns); ``None`` if not asked for.
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

    @property
    def nonfinite(self) -> int:
        """Cells whose loss is not finite; they are excluded, never replaced."""
        return int((~self.loss.isfinite()).sum())

    def __str__(self) -> str:
        return f"{len(self.y)} × {len(self.x)} surface over {self.labels[0]} and {self.labels[1]}"

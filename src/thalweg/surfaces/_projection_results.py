"""Where points lie in a plane, and how far they are from it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.estimate import Cost
from thalweg.record import Record
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._results import Directions

Spans = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Projection(Record):
    r"""Points θ_0, …, θ_n seen in the plane through an origin, with what is lost by looking.

    Attributes:
        coordinates: Coefficients of the directions at each point's projection, shape (n + 1, k), as the axes of scans.
        residuals: Distance of each point from the plane, shape (n + 1,).
        share: Of the variance of the points that the plane holds; ``None`` where they are all the same.
        labels: Names of the directions.
        norms: ‖d‖ of each: a coefficient times the norm is a true distance.
        names: Names of the points; ``None`` for those of a trajectory, which are numbered.
        loss: At each point, shape (n + 1,), NaN where it is not finite; ``None`` if no landscape was given.
        projected_loss: At each point's projection, shape (n + 1,): what the surface shows in its place.
        cost: What it took.
        scale: What the lengths of the directions are, in words, as :class:`Directions` says it.
        digests: What tells each direction from others; empty where they are not known.
        origin: What tells the plane's origin from other points; ``None`` where it is not known.
    """

    coordinates: Tensor
    residuals: Tensor
    share: float | None
    labels: tuple[str, ...] = ("first direction", "second direction")
    norms: tuple[float, ...] = (1.0, 1.0)
    names: tuple[str, ...] | None = None
    loss: Tensor | None = None
    projected_loss: Tensor | None = None
    cost: Cost = Cost()
    scale: str = "as given"
    digests: tuple[str, ...] = ()
    origin: str | None = None

    def spans(self, margin: float = 0.2) -> Spans:
        """Return spans of a plane scan that hold all points, with a margin relative to their extent."""
        return spans_around(self.coordinates, margin)

    def summary(self) -> str:
        """Say what the plane holds of the points, and how far off they are, as figures do."""
        if self.share is None:
            return f"the points are all the same, off the plane by {float(self.residuals.max()):.3g}"
        # Rounding down: only a plane that holds everything holds 100 %.
        held = "all" if self.share > 1 - 1e-9 else f"{min(100 * self.share, 99.9):.3g} %"
        return f"plane holds {held} of the variance; off the plane by up to {float(self.residuals.max()):.3g}"

    def __str__(self) -> str:
        return f"{len(self.residuals)} points: {self.summary()}"


@dataclass(frozen=True)
class Plane(Record):
    """The plane through three points.

    Attributes:
        origin: The first point, shape (P,).
        directions: Two of unit length at right angles, the first from the first point to the second.
        coordinates: Of the three points, shape (3, 2): origin + x·d₁ + y·d₂ is the point; true distances.
        names: Of the points.
    """

    origin: Tensor
    directions: Directions
    coordinates: Tensor
    names: tuple[str, str, str] = ("A", "B", "C")

    def spans(self, margin: float = 0.2) -> Spans:
        """Return spans of a plane scan that hold the three points, with a margin relative to their extent."""
        return spans_around(self.coordinates, margin)

    def marks(self) -> Projection:
        """Return the three points as figures of surfaces take them."""
        return Projection(
            coordinates=self.coordinates,
            residuals=torch.zeros(3, dtype=torch.float64),
            share=1.0,
            labels=self.directions.labels,
            norms=self.directions.norms,
            names=self.names,
            scale=self.directions.scale,
            digests=digests_of(self.directions.vectors),
            origin=digest_of(self.origin),
        )

    def __str__(self) -> str:
        places = ", ".join(
            f"{name} at ({x:.4g}, {y:.4g})" for name, (x, y) in zip(self.names, self.coordinates.tolist(), strict=True)
        )
        return f"plane through {places}"


def spans_around(coordinates: Tensor, margin: float) -> Spans:
    """Return first and last coefficient along both axes: an axis without an extent takes that of the other."""
    low, high = coordinates.double().amin(dim=0), coordinates.double().amax(dim=0)
    extent = high - low
    pad = margin * torch.where(extent > 0, extent, extent.max() if bool(extent.max() > 0) else 1.0)
    # Without a margin an axis still has a length.
    pad = torch.where((extent == 0) & (pad == 0), 1.0, pad)
    (a, b), (c, d) = (low - pad).tolist(), (high + pad).tolist()
    return (a, c), (b, d)

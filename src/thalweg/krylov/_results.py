"""What the Krylov algorithms return."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from thalweg.estimate import Cost, Provenance
from thalweg.krylov._convergence import Convergence
from thalweg.record import Record

Which = Literal["LA", "SA", "LM", "BE"]


@dataclass(frozen=True)
class Eigenpairs(Record):
    """Extreme eigenvalues with their vectors and bounds.

    Attributes:
        values: Shape (k,), float64; largest first for "LA", "LM" (by magnitude) and "BE", smallest first for "SA".
        vectors: Shape (P, k), orthonormal columns; ``None`` after :meth:`without_vectors`.
        residuals: Bounds on ‖Av − λv‖, shape (k,), in units of the eigenvalues. An exact eigenvalue lies
            within this distance of each value.
        converged: Shape (k,), bool: residual at most ``tol``·‖A‖.
        complete: Whether the search for missed copies of multiple eigenvalues ended with none left (at
            probability 0.99 over the random start).
        which: The end of the spectrum.
        scale: Largest magnitude of an eigenvalue seen, an estimate of ‖A‖ from below.
        matvecs: Products, the search for missed copies included.
        cost: The same with seconds.
        provenance: How it was computed.
        history: The Ritz values on the way; ``None`` where they were not kept.
    """

    values: Tensor
    vectors: Tensor | None
    residuals: Tensor
    converged: Tensor
    complete: bool
    which: str
    scale: float
    matvecs: int
    cost: Cost
    provenance: Provenance | None = None
    history: Convergence | None = None

    def without_vectors(self) -> "Eigenpairs":
        """Return the same result without the vectors, small enough to store."""
        return replace(self, vectors=None)

    def __str__(self) -> str:
        shown = [f"{v:.4g} (±{r:.1e})" for v, r in zip(self.values.tolist(), self.residuals.tolist(), strict=True)]
        return f"{len(shown)} eigenvalues ({self.which}): " + ", ".join(shown)


@dataclass(frozen=True)
class Density(Record):
    """A spectral density: weighted Ritz values per probe, and a smoothed curve with a band.

    Attributes:
        nodes: Ritz values, shape (probes, steps); rows of fewer steps are padded with weight 0.
        weights: Their weights, shape (probes, steps); each row sums to 1.
        grid: Where the curve is given, shape (points,).
        density: Mean over probes of the Gaussian-smoothed densities on the grid; integrates to 1.
        standard_error: Of that mean over probes, pointwise; ``None`` for a single probe.
        width: Standard deviation of the smoothing Gaussian, in units of the eigenvalues.
        cost: What it took.
        provenance: How it was computed.
        known: How many of the first nodes are known eigenvalues, at weight 1/P each.
        sphere: Dimension of the sphere that the probes were drawn from, P less those; ``None`` for signs.
    """

    nodes: Tensor
    weights: Tensor
    grid: Tensor
    density: Tensor
    standard_error: Tensor | None
    width: float
    cost: Cost
    provenance: Provenance | None = None
    known: int = 0
    sphere: int | None = None

    def __str__(self) -> str:
        probes, steps = self.nodes.shape
        return f"spectral density from {probes} probes of {steps} steps on [{self.grid[0]:.4g}, {self.grid[-1]:.4g}]"

"""How convex the landscape is over a plane."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.estimate import Cost, Provenance
from thalweg.record import Record


@dataclass(frozen=True)
class ConvexityMap(Record):
    r"""λ_max and λ_min of the Hessian in each cell of a plane.

    Attributes:
        x: Coefficients of the first direction, shape (columns,), increasing.
        y: Coefficients of the second direction, shape (rows,), increasing.
        largest: λ_max, shape (rows, columns): ``largest[i, j]`` is at ``x[j], y[i]``; NaN where it is not finite.
        smallest: λ_min, the same.
        largest_residuals: Bounds on ‖Hv − λv‖ for λ_max: an eigenvalue lies within this distance.
        smallest_residuals: The same for λ_min.
        converged: Whether both have, shape (rows, columns).
        products: Products that each cell took, shape (rows, columns).
        loss: In each cell, shape (rows, columns); NaN where it is not finite.
        labels: Names of the two directions.
        norms: ‖d₁‖ and ‖d₂‖: x·norms[0] is a true distance in parameter space.
        tol: The residual that was asked for, relative to the largest magnitude of an eigenvalue.
        cost: What it took.
        provenance: How products were computed.
        measured: Which cells have been computed, shape (rows, columns), after an interruption; ``None``: all.
    """

    x: Tensor
    y: Tensor
    largest: Tensor
    smallest: Tensor
    largest_residuals: Tensor
    smallest_residuals: Tensor
    converged: Tensor
    products: Tensor
    loss: Tensor
    labels: tuple[str, str] = ("first direction", "second direction")
    norms: tuple[float, float] = (1.0, 1.0)
    tol: float = 0.01
    cost: Cost = Cost()
    provenance: Provenance | None = None
    measured: Tensor | None = None

    @property
    def nonfinite(self) -> int:
        """Cells without eigenvalues, since a loss or product there is not finite; they are excluded, never replaced."""
        missing = self.largest.isnan()
        return int((missing if self.measured is None else missing & self.measured).sum())

    @property
    def unmeasured(self) -> int:
        """Cells that an interruption left out."""
        return 0 if self.measured is None else int((~self.measured).sum())

    @property
    def unconverged(self) -> int:
        """Cells whose eigenvalues are bounds only."""
        return int((~self.converged & ~self.largest.isnan()).sum())

    def ratio(self) -> Tensor:
        """Return |λ_min/λ_max| (Li et al., 2018), shape (rows, columns); NaN where λ_max is zero or unknown."""
        return torch.where(self.largest == 0, torch.nan, (self.smallest / self.largest).abs())

    def convex(self) -> Tensor:
        """Return where λ_min is not negative beyond its residual, shape (rows, columns); false where it is unknown.

        A Ritz value that has not converged bounds λ_min from above only, so that it is unknown there.
        """
        return self.converged & (self.smallest >= -self.smallest_residuals)

    def __str__(self) -> str:
        rows, columns = self.largest.shape
        known = rows * columns - self.nonfinite - self.unmeasured
        words = [f"{rows} × {columns} convexity map over {self.labels[0]} and {self.labels[1]}"]
        if known:
            ratio = self.ratio()
            ratio = ratio[ratio.isfinite()]
            settled = known - self.unconverged
            among = f"{settled} {'converged ' if self.unconverged else ''}cells"
            if settled:
                words.append(f"{int(self.convex().sum())} of {among} convex to within the residuals")
            if len(ratio):
                words.append(f"|λ_min/λ_max| from {float(ratio.min()):.2g} to {float(ratio.max()):.2g}")
        for count, what in (
            (self.unconverged, "not converged"),
            (self.nonfinite, "not finite"),
            (self.unmeasured, "not computed"),
        ):
            if count:
                words.append(f"{count} {what}")
        return "; ".join(words)

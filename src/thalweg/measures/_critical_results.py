"""What a search for a critical point returns."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.estimate import Cost, Provenance
from thalweg.record import Record


@dataclass(frozen=True)
class CriticalPoint(Record):
    """A point where the gradient vanishes, or where its norm could not be lowered any more, and its Hessian's signs.

    Attributes:
        theta: θ, shape (P,).
        loss: L(θ).
        gradient_norm: ‖∇L(θ)‖.
        tol: What it had to reach.
        kind: "minimum", "saddle" or "maximum", with "degenerate" before it where eigenvalues were found that count as
            zero ("degenerate minimum": none is negative, and whether it is a minimum is beyond second derivatives);
            "degenerate" alone where all of them do; "gradient-flat", where ‖∇L‖ is above ``tol`` but stationary,
            ∇½‖∇L‖² = H∇L ≈ 0; or "not critical".
        index: Negative eigenvalues, those below −threshold.
        index_exact: Whether it is their number, or a lower bound.
        nullity: Eigenvalues within ±threshold.
        nullity_exact: The same for these.
        smallest: The smallest eigenvalue of the Hessian.
        largest: The largest.
        residual: Bound on the error of both; 0 for a dense decomposition, whose error is rounding.
        threshold: What counts as zero, in units of the eigenvalues: rounding, or the largest eigenvalue that the
            Newton step to the critical point would change by a tenth of itself or more.
        distance: ‖H⁺∇L‖ over the eigenvalues beyond rounding: how far away Newton's method puts the critical
            point, to first order.
        flatness: ‖H∇L‖ / (‖H‖‖∇L‖), with the largest ‖H‖ on the way; ``None`` where ∇L or H is exactly 0.
        ending: How the search ended: "converged", "flat", "stalled" or "steps".
        gradient_norms: ‖∇L‖ from the start on, shape (steps + 1,).
        cost: What it took.
        provenance: How it was computed.
    """

    theta: Tensor
    loss: float
    gradient_norm: float
    tol: float
    kind: str
    index: int
    index_exact: bool
    nullity: int
    nullity_exact: bool
    smallest: float
    largest: float
    residual: float
    threshold: float
    distance: float
    flatness: float | None
    ending: str
    gradient_norms: Tensor
    cost: Cost
    provenance: Provenance | None = None

    @property
    def converged(self) -> bool:
        """Whether ‖∇L‖ has reached ``tol``."""
        return self.gradient_norm <= self.tol

    def __str__(self) -> str:
        index = f"{'' if self.index_exact else 'at least '}{self.index} negative"
        null = f", {'' if self.nullity_exact else 'at least '}{self.nullity} zero" if self.nullity else ""
        return (
            f"{self.kind}: L = {self.loss:.6g}, ‖∇L‖ = {self.gradient_norm:.2g}, eigenvalues from "
            f"{self.smallest:.4g} to {self.largest:.4g}, {index}{null}"
        )

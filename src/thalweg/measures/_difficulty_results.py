"""What the difficulty index returns."""

from dataclasses import dataclass

from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.record import Record


@dataclass(frozen=True)
class Difficulty(Record):
    """The difficulty index D = λ_max²/Tr(H) · κ(Σ, H), in units of λ.

    Attributes:
        index: D, its standard error that of the estimated traces; ``None`` where it is not defined.
        slack: Bound on what the residual of λ_max adds to D, to first order; ``None`` with ``index``.
        variant: The alignment κ: "cosine", "zhu" or "topk".
        alignment: κ; ``None`` where it is not defined.
        largest: λ_max.
        residual: Bound on its error.
        denominator: What λ_max² is divided by: "Tr H", "Tr G" or "Tr |H|".
        trace: The value of that.
        hessian_trace: Tr H.
        as_stated: λ_max²/Tr(H) · κ whatever the sign of Tr H, as the source has it; ``None`` where it is not defined,
            or Tr H ≤ 0, or that cannot be excluded.
        reason: Why ``index`` is ``None``, or why the denominator is not Tr H; ``None`` if neither is so.
        cost: What it took.
        provenance: How it was computed.
    """

    index: Estimate | None
    slack: float | None
    variant: str
    alignment: Estimate | None
    largest: float
    residual: float
    denominator: str
    trace: Estimate
    hessian_trace: Estimate
    as_stated: float | None
    reason: str | None
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        if self.index is None:
            return f"D undefined: {self.reason}"
        why = "" if self.reason is None else f"; {self.reason}"
        return f"D = {self.index} ({self.variant}: {self.alignment}; λ_max²/{self.denominator}{why})"

"""What training a curve returns."""

from dataclasses import dataclass, field

from torch import Tensor

from thalweg.estimate import Cost, Provenance
from thalweg.paths._curve import Curve
from thalweg.record import Record


@dataclass(frozen=True)
class TrainedCurve(Record):
    """A curve between two points, and how the objective along it fell.

    Attributes:
        curve: Its nodes after the last step.
        objective: "mean", "max" or "logsumexp".
        history: The objective of each step, of its positions and its minibatch, shape (steps,): noisy, and no
            measurement of the curve.
        positions: t of each step, where the loss was highest of those it looked at, shape (steps,).
        settings: How it was trained.
        cost: What it took.
        provenance: How it was computed.
    """

    curve: Curve
    objective: str
    history: Tensor
    positions: Tensor
    settings: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    cost: Cost = Cost()
    provenance: Provenance | None = None

    def __str__(self) -> str:
        count = len(self.history)
        part = max(1, count // 10)
        if not count:
            return f"{self.curve}, not trained"
        first, last = (float(values.mean()) for values in (self.history[:part], self.history[-part:]))
        return f"{self.curve}: {self.objective} {first:.4g} → {last:.4g} in {count} steps"

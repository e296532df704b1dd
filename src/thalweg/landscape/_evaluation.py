"""Loss and metrics at one point."""

from dataclasses import dataclass, field

from thalweg.estimate import Estimate
from thalweg.record import Record


@dataclass(frozen=True)
class Evaluation(Record):
    """Loss and metrics of a landscape at one point.

    Attributes:
        loss: L(θ); its ``data_error`` is the standard error of the mean over data items.
        metrics: Weighted means named by the objective ("accuracy", "perplexity"), the same way.
        samples: Data items.
        terms: Loss terms with non-zero weight.
    """

    loss: Estimate
    metrics: dict[str, Estimate] = field(default_factory=dict)
    samples: int = 0
    terms: int = 0

    def __str__(self) -> str:
        named = {"loss": self.loss, **self.metrics}
        return ", ".join(f"{name} {estimate}" for name, estimate in named.items())

"""What a walk along a path returns."""

from dataclasses import dataclass, field

from torch import Tensor

from thalweg.estimate import Cost
from thalweg.record import Record


@dataclass(frozen=True)
class PathScan(Record):
    """Loss and metrics at points of a path.

    Attributes:
        position: α of each point, shape (n,), increasing; 0 and 1 are the ends.
        distance: Length along the path from α = 0 in parameter space, shape (n,), signed.
        loss: L at each point, shape (n,), float64; NaN where it is not finite.
        metrics: Further curves by name, each of shape (n,).
        kind: "linear", "bezier", "chain", …
        labels: Names of the two ends.
        cost: What it took.
        statistics: Of batch norm, "interpolated" or "re-estimated" along the path; "repaired" for those of the
            hidden units of a network without it.
    """

    position: Tensor
    distance: Tensor
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    kind: str = "linear"
    labels: tuple[str, str] = ("A", "B")
    cost: Cost = Cost()
    statistics: str = "interpolated"

    @property
    def gaps(self) -> int:
        """Points whose loss is not finite."""
        return int((~self.loss.isfinite()).sum())

    def __str__(self) -> str:
        gaps = f", {self.gaps} of them not finite" if self.gaps else ""
        anew = ", statistics re-estimated" if self.statistics == "re-estimated" else ""
        return f"{self.kind} path {self.labels[0]} → {self.labels[1]}, {len(self.position)} points{gaps}{anew}"


@dataclass(frozen=True)
class Barrier(Record):
    """How far the loss, or another metric, rises between the ends of a path; for the accuracy, how far it falls.

    Each value is max over α of L(α) − reference(α), over the points scanned, so a lower bound on the
    barrier of the continuous path. Where the path was refined, the intervals say how much higher it may be.

    Attributes:
        linear: Reference (1−α)L(0) + αL(1) (Entezari et al., 2021): the default.
        max: Reference max(L(0), L(1)) (Draxler et al., 2018).
        mean: Reference (L(0) + L(1))/2 (Frankle et al., 2020).
        min: Reference min(L(0), L(1)); at least |L(0) − L(1)| on any path.
        position: α at which the linear-reference maximum is attained.
        peak: The largest loss on the path; of the accuracy, the smallest.
        peak_position: α of ``peak``.
        excluded: Points left out because their loss was not finite.
        metric: What it is a barrier of.
        interval: From ``linear`` to what it is at most, if the path is as :func:`barrier` assumes; ``None`` where the
            path was not refined, or a loss on it was not finite.
        between: α between which the linear-reference maximum lies, the same way.
        peak_interval: The same of ``peak``; that of an accuracy reaches down.
        peak_between: α between which the peak lies.
        converged: Whether the intervals are as narrow as was asked for; ``None`` where nothing was refined.
        path: The points that it was refined at.
        cost: What that took.
    """

    linear: float
    max: float
    mean: float
    min: float
    position: float
    peak: float
    peak_position: float
    excluded: int = 0
    metric: str = "loss"
    interval: tuple[float, float] | None = None
    between: tuple[float, float] | None = None
    peak_interval: tuple[float, float] | None = None
    peak_between: tuple[float, float] | None = None
    converged: bool | None = None
    path: PathScan | None = None
    cost: Cost = Cost()

    @property
    def max_interval(self) -> tuple[float, float] | None:
        """From ``max`` to what it is at most, as ``interval``."""
        return self._up_from(self.max)

    @property
    def mean_interval(self) -> tuple[float, float] | None:
        """From ``mean`` to what it is at most, as ``interval``."""
        return self._up_from(self.mean)

    @property
    def min_interval(self) -> tuple[float, float] | None:
        """From ``min`` to what it is at most, as ``interval``."""
        return self._up_from(self.min)

    def _up_from(self, value: float) -> tuple[float, float] | None:
        # The three references do not depend on α, so that all are as uncertain as the peak.
        return None if self.peak_interval is None else (value, value + self.peak_interval[1] - self.peak_interval[0])

    def __str__(self) -> str:
        others = f"max {self.max:.4g}, mean {self.mean:.4g}, min {self.min:.4g}"
        kind = "barrier" if self.metric == "loss" else f"barrier of the {self.metric}"
        most = "" if self.interval is None else f", at most {self.interval[1]:.4g},"
        gaps = f", {self.excluded} points not finite" if self.excluded else ""
        rough = ", not converged" if self.converged is False else ""
        return f"{kind} {self.linear:.4g}{most} at α = {self.position:.3g} ({others}){gaps}{rough}"

"""What the measures of dimension return."""

from dataclasses import dataclass

from scipy import stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance, format_with_error
from thalweg.record import Record


@dataclass(frozen=True)
class IntrinsicDimension(Record):
    """The smallest random subspace in which training comes near to what all parameters reach.

    Attributes:
        value: The dimension at which the mean performance over seeds crosses ``target``, interpolated in log d between
            those tried and rounded up; ``None`` where none of those reaches it.
        interval: From the seeds' own crossings, 95 %, by Student's quantile of their logarithms, and wide enough to
            hold ``value``; ``None`` for a single seed, or where a seed does not reach the target.
        crossings: Of each seed; ``None`` where it does not reach the target.
        bracket: The largest dimension tried that is not enough in the mean, 0 for the start, and the next one tried,
            which is; ``None`` in its place where none is.
        dimensions: Those tried, ascending.
        performances: After training, shape (dimensions, seeds).
        start: Performance before any training.
        baseline: Performance of all parameters, the mean over seeds where it was trained.
        baselines: Of each seed; ``None`` where it was given.
        share: Of the baseline that is asked for.
        target: ``share`` times ``baseline``.
        metric: What performance is.
        projection: How subspaces were drawn.
        size: P.
        steps: Of each training.
        cost: What all trainings took; minibatches count as their share of a gradient, rounded up.
        provenance: How the landscape is computed.
    """

    value: int | None
    interval: tuple[float, float] | None
    crossings: tuple[int | None, ...]
    bracket: tuple[int, int | None]
    dimensions: tuple[int, ...]
    performances: Tensor
    start: float
    baseline: float
    baselines: Tensor | None
    share: float
    target: float
    metric: str
    projection: str
    size: int
    steps: int
    cost: Cost
    provenance: Provenance | None = None

    @property
    def reached(self) -> bool:
        """Whether a dimension that was tried reaches the target."""
        return self.value is not None

    @property
    def means(self) -> Tensor:
        """Mean performance over seeds at each dimension."""
        return self.performances.mean(dim=1)

    @property
    def standard_errors(self) -> Tensor | None:
        """Of the means; ``None`` for a single seed."""
        seeds = self.performances.shape[1]
        if seeds < 2:
            return None
        # Of no numbers torch computes none, but with a warning.
        return self.performances.std(dim=1) / seeds**0.5 if self.dimensions else self.performances.new_zeros(0)

    def __str__(self) -> str:
        goal = f"{self.metric} ≥ {self.share:.4g}·{self.baseline:.4g}"
        seeds = self.performances.shape[1]
        tried = f"{seeds} {'seed' if seeds == 1 else 'seeds'}, {self.projection}"
        if self.value is None:
            return f"d_int > {self.bracket[0]:,} of {self.size:,} ({goal}; {tried})"
        spread = "" if self.interval is None else f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"
        return f"d_int = {self.value:,}{spread} of {self.size:,} ({goal}; {tried})"


@dataclass(frozen=True)
class DataDimension(Record):
    """How many dimensions data have.

    Attributes:
        value: The estimate.
        standard_error: Of ``corrected``, or of ``value`` where there is none, from having these points and not others;
            ``None`` where it could not be determined.
        method: How it was estimated.
        points: How many there are, without repetitions that were left out.
        features: Numbers a point.
        repeated: Points left out as repetitions.
        fitted: Ratios whose values are fitted, for TwoNN; the others only count as at least the largest of these.
        corrected: Without the bias of finitely many points; ``None`` where it is not known.
        cost: What it took.
    """

    value: float
    standard_error: float | None
    method: str
    points: int
    features: int
    repeated: int = 0
    fitted: int | None = None
    corrected: float | None = None
    cost: Cost = Cost()

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the two-sided interval, normal around ``corrected``, or ``value`` where there is none.

        Raises:
            ArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        if not 0 < level < 1:
            raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")
        if self.standard_error is None:
            return None
        centre = self.value if self.corrected is None else self.corrected
        half = float(stats.norm.ppf(0.5 + level / 2)) * self.standard_error
        return centre - half, centre + half

    def __str__(self) -> str:
        value = self.value if self.corrected is None else self.corrected
        return (
            f"{format_with_error(value, self.standard_error)} ({self.method}, {self.points:,} points of "
            f"{self.features:,} features)"
        )


@dataclass(frozen=True)
class NullSpace(Record):
    """How many eigenvalues are zero, and how many would have to be at interpolation.

    Attributes:
        count: Eigenvalues within ``threshold`` of zero.
        threshold: In units of the eigenvalues.
        size: P.
        items: Data items n.
        outputs: Numbers C that the model returns for an item.
        regression: max(0, P − nC): at least so many at interpolation, for any loss.
        classification: max(0, P − n(C − 1)): the same for a softmax with cross-entropy.
        residual: ‖H − G‖ in the spectral norm; ``None`` where no landscape was given.
        norm: ‖H‖, from the same eigenvalues.
        tolerance: What ``residual`` / ``norm`` may be for the comparison to be valid.
        cost: What it took beyond the eigenvalues.
    """

    count: Estimate
    threshold: float
    size: int
    items: int
    outputs: int
    regression: int
    classification: int
    residual: float | None
    norm: float
    tolerance: float
    cost: Cost = Cost()

    @property
    def share(self) -> float | None:
        """‖H − G‖ / ‖H‖, 0 where interpolation is reached; ``None`` where it is not known or H vanishes."""
        return None if self.residual is None or self.norm == 0 else self.residual / self.norm

    @property
    def valid(self) -> bool | None:
        """Whether H is near enough to G for the counts to say something; ``None`` where that is not known."""
        return None if self.share is None else self.share <= self.tolerance

    @property
    def implied(self) -> bool | None:
        """Whether ‖H − G‖ is within the threshold: then the count is at least that of G's zeros, by Weyl's theorem."""
        return None if self.residual is None else self.residual <= self.threshold

    def __str__(self) -> str:
        words = {True: "near interpolation", False: "far from interpolation", None: "interpolation not looked at"}
        seen = " (not resolved)" if self.count.converged is False else ""
        return (
            f"{self.count}{seen} of {self.size:,} eigenvalues within {self.threshold:.3g} of zero; at interpolation at "
            f"least {self.regression:,}, or {self.classification:,} for a softmax ({words[self.valid]})"
        )

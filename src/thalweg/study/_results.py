"""Everything that a report shows."""

from dataclasses import dataclass, field

from thalweg.estimate import Cost, Estimate
from thalweg.krylov._results import Density, Eigenpairs
from thalweg.landscape._evaluation import Evaluation
from thalweg.measures._measure_results import Quantity
from thalweg.measures._results import (
    Anisotropy,
    Conditioning,
    NegativeCurvature,
    Sharpness,
    SpectralWidth,
    StepPrediction,
)
from thalweg.paths._results import Barrier, PathScan
from thalweg.record import Record
from thalweg.surfaces._results import Line, Surface
from thalweg.training._results import History


@dataclass(frozen=True)
class Measurement(Record):
    """The geometry of one landscape at one point.

    Attributes:
        name: How the report calls it.
        size: Parameters P.
        train: On the data of the landscape.
        test: On held-out data, or ``None``.
        gradient_norm: ‖∇L‖.
        top: The largest eigenvalues of the Hessian, without vectors.
        bottom: The smallest, without vectors.
        trace: tr H.
        density: Spectral density.
        width: λ_max − λ_min.
        conditioning: Condition numbers.
        negative: Negative curvature found.
        anisotropy: LAS_k.
        one_step: S_ρ by one step.
        ascent: S_ρ by projected ascent.
        step: Gradient step of length 1/λ₁: predicted and measured; ``None`` where λ₁ ≤ 0 or g = 0.
        outliers: Eigenvalues above the largest gap among the top ones; ``None`` where there is no gap.
        effective_rank: (tr H)² / tr H², with the error carried from the probes; ``None`` where tr H may be zero.
        further: Other sums over the spectrum and, where single items have gradients, their noise and its alignment.
        line: Along the gradient or the leading eigenvector, with the quadratic model.
        surface: On a plane.
        history: How the model was trained, or ``None``.
        cost: Of all of it.
    """

    name: str
    size: int
    train: Evaluation
    test: Evaluation | None
    gradient_norm: Estimate
    top: Eigenpairs
    bottom: Eigenpairs
    trace: Estimate
    density: Density
    width: SpectralWidth
    conditioning: Conditioning
    negative: NegativeCurvature
    anisotropy: Anisotropy
    one_step: Sharpness
    ascent: Sharpness
    step: StepPrediction | None
    outliers: int | None
    effective_rank: Estimate | None
    further: tuple[Quantity, ...]
    line: Line | None
    surface: Surface | None
    history: History | None
    cost: Cost

    @property
    def stable_learning_rate(self) -> float | None:
        """2/λ₁: the largest step of plain gradient descent that is stable here; ``None`` where λ₁ ≤ 0."""
        largest = float(self.top.values[0])
        return 2 / largest if largest > 0 else None


@dataclass(frozen=True)
class Connection(Record):
    """Two measured points and the path between them."""

    path: PathScan
    barrier: Barrier


@dataclass(frozen=True)
class Findings(Record):
    """All that one run of ``thalweg demo`` or ``thalweg measure`` found.

    Attributes:
        title: Heading of the report.
        measurements: One for each point.
        connections: Paths between them.
        configuration: Every setting of the run, seeds included.
        versions: Of thalweg, torch and python.
        seconds: Wall-clock time of the run.
    """

    title: str
    measurements: tuple[Measurement, ...]
    connections: tuple[Connection, ...] = ()
    configuration: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

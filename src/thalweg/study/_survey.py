"""Everything about one point of a landscape, in one call."""

import math
import os
import time
from dataclasses import dataclass, replace

from torch import Tensor

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import Eigenpairs, checkpointed
from thalweg.landscape import Evaluation, Landscape
from thalweg.measures import MeasureSettings, anisotropy, condition_numbers, predicted_decrease, sharpness
from thalweg.measures._measure import rows_of
from thalweg.measures._results import StepPrediction
from thalweg.measures._shared import Shared
from thalweg.measures._sharpness import one_step as sharpness_along
from thalweg.operators import Curvature, hessian
from thalweg.progress import Progress, track
from thalweg.study._results import Measurement
from thalweg.surfaces import line_scan, plane_scan, random_directions
from thalweg.surfaces._results import Line
from thalweg.training import History


@dataclass(frozen=True)
class SurveySettings:
    """What :func:`survey` computes, and how carefully.

    Attributes:
        top: Largest eigenvalues.
        bottom: Smallest eigenvalues.
        tol: Residual of the eigenvalues relative to ‖H‖.
        rtol: Half-width of the trace's 95 % interval, relative.
        max_probes: The most probes of the trace.
        probes: Random probes of everything between the ends.
        steps: Lanczos steps a probe.
        rho: Radius of the sharpness.
        surface: Points a side of the surface; 0 for none.
        line: Points of the line along the leading eigenvector; 0 for none.
        seed: Of every random choice.
    """

    top: int = 20
    bottom: int = 5
    tol: float = 1e-4
    rtol: float = 0.1
    max_probes: int = 100
    probes: int = 4
    steps: int = 60
    rho: float = 0.05
    surface: int = 15
    line: int = 41
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"top": 1, "bottom": 1, "probes": 2, "steps": 2, "surface": 0, "line": 0}.items():
            if getattr(self, name) < least:
                raise ArgumentError(f"{name}: expected at least {least}, got {getattr(self, name)}.")
        if not 0 <= self.seed < 2**63:
            raise ArgumentError(f"seed: expected a number from 0 to 2^63 - 1, got {self.seed}.")

    def of_measures(self) -> MeasureSettings:
        """Return what quantities are told that are measured together."""
        shared = ("top", "bottom", "tol", "rtol", "max_probes", "probes", "steps", "rho", "seed")
        return MeasureSettings(**{name: getattr(self, name) for name in shared})


def survey(
    landscape: Landscape,
    settings: SurveySettings | None = None,
    *,
    name: str = "model",
    test: Landscape | None = None,
    history: History | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Measurement:
    """Measure the geometry of a landscape at its point: what ``thalweg measure`` reports.

    Loss and metrics, gradient norm, both ends of the Hessian's spectrum, trace, density, condition numbers, negative
    curvature, LAS_k, sharpness, the step 1/λ₁, the gradients' noise and how it lies to the Hessian, a line along the
    leading eigenvector, and a plane of random filter-normalised directions. What :func:`thalweg.measure` shares is
    shared here, too. Noise is left out where single items have no gradients: in train mode, of a black box, and of one
    item.

    Cost: some hundred products with the default settings (probes × steps of them between the ends), some hundred passes
    for line and surface, and a few dozen gradients.

    Args:
        landscape: Where to measure.
        settings: What, and how carefully.
        name: How the report calls it.
        test: The same model on held-out data.
        history: How it was trained.
        checkpoint: A folder to keep products in, and to go on from where it holds some: see
            :func:`thalweg.checkpointed`. What takes passes and gradients, not products, is done again.
        progress: Whether to show bars, or a reporter.

    Raises:
        ThalwegError: As the measures themselves do.

    Example:
        >>> import thalweg as tw
        >>> data = tw.data.gaussian(4, 64, 2, noise=0.0, separation=3.0)
        >>> landscape = tw.Landscape(tw.models.mlp((4, 8, 2)), tw.objectives.cross_entropy(), data.batches("train"))
        >>> found = survey(landscape, SurveySettings(top=3, bottom=2, surface=3, line=5))
        >>> found.size, len(found.top.values)
        (58, 3)
    """
    settings = SurveySettings() if settings is None else settings
    started, size = time.perf_counter(), landscape.size
    # Named, so that the same seed gives the same bits: "auto" chooses by the clock.
    operator = hessian(landscape, engine="double-backward")
    kept = operator if checkpoint is None else checkpointed(operator, checkpoint)
    with track(6, name, progress) as bar:
        train = landscape.evaluate()
        held_out: Evaluation | None = None if test is None else test.evaluate()
        bar.advance(note="spectrum")
        shared = Shared(landscape, settings.of_measures(), bar, kept)
        found, generator = shared.spectrum, shared.generator
        top, bottom = found.top, found.bottom
        bar.advance(note="noise")
        further = rows_of(shared, ("sums", "noise", "alignment", "difficulty") if is_visible(landscape) else ("sums",))
        bar.advance(note="sharpness")
        gradient = shared.slope[1]
        norm = Estimate(landscape.space.norm(gradient), 0.0, provenance=landscape.provenance())
        spent = shared.spent
        one_step = sharpness_along(landscape, settings.rho, *shared.slope)
        ascent = sharpness(landscape, settings.rho, "ascent", directions=_leading(top), generator=generator)
        step = _step(landscape, operator, top, norm.value)
        bar.advance(note="line and surface")
        line = _line(landscape, operator, top, train, settings, bar)
        surface = None
        # A plane takes two dimensions.
        if settings.surface and size > 1:
            plane = random_directions(landscape, 2, normalization="filter", generator=generator)
            surface = plane_scan(landscape, plane, points=settings.surface, progress=bar)
        bar.advance(note="done")
    scale = max(top.scale, bottom.scale)
    parts = [train.loss.cost, spent, one_step.cost, ascent.cost]
    parts += [] if held_out is None else [held_out.loss.cost]
    parts += [part.cost for part in (step, line, surface) if part is not None]
    # Of kept products only those that were made count.
    cost = replace(sum(parts, Cost()), seconds=time.perf_counter() - started)
    return Measurement(
        name=name,
        size=size,
        train=train,
        test=held_out,
        gradient_norm=norm,
        top=top.without_vectors(),
        bottom=bottom.without_vectors(),
        trace=found.trace,
        density=found.density,
        width=found.width,
        conditioning=condition_numbers(top, bottom, epsilon=1.0 if scale == 0 else None),
        negative=found.negative,
        anisotropy=anisotropy(gradient, top),
        one_step=one_step,
        ascent=ascent,
        step=step,
        outliers=found.outliers,
        effective_rank=found.participation_ratio,
        further=further,
        line=line,
        surface=surface,
        history=history,
        cost=cost,
    )


def is_visible(landscape: Landscape) -> bool:
    """Whether single items have gradients of their own, and there is more than one."""
    return landscape.mode == "eval" and landscape.objective.splits and landscape.count > 1


def _leading(top: Eigenpairs) -> Tensor | None:
    vectors = top.vectors
    return None if vectors is None else vectors[:, : min(2, vectors.shape[1])]


def _step(landscape: Landscape, operator: Curvature, top: Eigenpairs, norm: float) -> StepPrediction | None:
    largest = float(top.values[0])
    if largest <= 0 or norm == 0:
        return None
    try:
        return predicted_decrease(landscape, 1 / largest, operator=operator)
    except NonFiniteError:
        return None


def _line(
    landscape: Landscape,
    operator: Curvature,
    top: Eigenpairs,
    train: Evaluation,
    settings: SurveySettings,
    bar: Progress,
) -> Line | None:
    """Scan far enough along the leading eigenvector for the quadratic model to rise by the loss itself."""
    largest = float(top.values[0])
    if not settings.line or top.vectors is None or largest <= 0:
        return None
    reach = min(math.sqrt(2 * max(train.loss.value, 1e-3) / largest), 10.0)
    line = line_scan(
        landscape,
        top.vectors[:, 0],
        points=settings.line,
        span=(-reach, reach),
        quadratic=True,
        operator=operator,
        progress=bar,
    )
    return replace(line, label="leading eigenvector")

"""Every spectral question from one run."""

import math
import os
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch

from thalweg.errors import ArgumentError, ConvergenceWarning, Interrupted
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.krylov._budget import Budget, deadline, require_budget
from thalweg.krylov._checkpoint import checkpointed
from thalweg.krylov._deflation import Known
from thalweg.krylov._eigenpairs import interruption
from thalweg.krylov._ends import both_ends
from thalweg.krylov._hutchinson import extend
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._plan import planned_within
from thalweg.krylov._quadrature import smoothed
from thalweg.krylov._results import Density, Eigenpairs
from thalweg.krylov._spectral_measure import Function, SpectralMeasure, measured
from thalweg.krylov._spread import Forms
from thalweg.krylov._stein import to_accuracy
from thalweg.krylov._storage import Place
from thalweg.krylov._widened import widened
from thalweg.measures import _sums as sums
from thalweg.measures._condition import condition_numbers
from thalweg.measures._edge import BulkEdge, bulk_edge
from thalweg.measures._ends import rounding
from thalweg.measures._negative_curvature import negative_curvature
from thalweg.measures._outliers import outlier_count
from thalweg.measures._results import Conditioning, NegativeCurvature, SpectralWidth
from thalweg.measures._spectral_width import spectral_width
from thalweg.progress import Progress, track
from thalweg.record import Record

# Fewer eigenvalues than this are none.
_NONE = 0.5


@dataclass(frozen=True)
class Spectrum(Record):
    r"""What one run says of a spectrum. Estimates are sums over all P eigenvalues unless said otherwise.

    Attributes:
        size: P.
        top: Eigenpairs of the upper end, largest first.
        bottom: Eigenpairs of the lower end, smallest first.
        density: The spectral density with its band; what has converged is in it exactly.
        trace: tr A.
        frobenius: :math:`\lVert A \rVert_F^2 = \operatorname{tr} A^2`.
        damping: ε, in units of the eigenvalues.
        logdet: ln det(A + εI); ``None`` where that is not known to be positive definite.
        logdet_absolute: ln det(|A| + εI).
        negative: Negative eigenvalues among the converged ones, a lower bound unless exhaustive.
        negative_mass: Σ|λ| over the negative eigenvalues.
        index: How many eigenvalues are negative beyond ``zero``.
        nullity: How many are zero up to ``zero``; the numerical rank is P less this.
        zero: What counts as zero, in units of the eigenvalues.
        conditioning: Condition numbers; ``None`` where those need interior eigenvalues.
        participation_ratio: (tr A)² / tr A²; ``None`` where the interval of the trace reaches zero.
        stable_rank: tr A / λ_max; ``None`` where λ_max is not positive.
        effective_dimension: N_eff(ε) = Σ λ₊ / (λ₊ + ε) (MacKay, 1992), of the positive part.
        entropy_rank: exp of the entropy of |λ| / Σ|λ|; ``None`` for a zero matrix.
        width: λ_max − λ_min.
        outliers: Eigenvalues above the widest gap of the upper end; ``None`` without a gap.
        edge: The bulk's upper edge with the number of eigenvalues beyond it; ``None`` where those computed do not show
            an edge.
        cost: What everything took.
        provenance: How it was computed.
    """

    size: int
    top: Eigenpairs
    bottom: Eigenpairs
    density: Density
    trace: Estimate
    frobenius: Estimate
    damping: float
    logdet: Estimate | None
    logdet_absolute: Estimate
    negative: NegativeCurvature
    negative_mass: Estimate
    index: Estimate
    nullity: Estimate
    zero: float
    conditioning: Conditioning
    participation_ratio: Estimate | None
    stable_rank: Estimate | None
    effective_dimension: Estimate
    entropy_rank: Estimate | None
    width: SpectralWidth
    outliers: int | None
    edge: BulkEdge | None
    cost: Cost
    provenance: Provenance | None = None

    def without_vectors(self) -> "Spectrum":
        """Return the same result without eigenvectors, small enough to store."""
        return replace(self, top=self.top.without_vectors(), bottom=self.bottom.without_vectors())

    def __str__(self) -> str:
        low, high = float(self.bottom.values[0]), float(self.top.values[0])
        return f"{self.size} eigenvalues from {low:.4g} to {high:.4g}, trace {self.trace}, ‖A‖² {self.frobenius}"


def spectrum(
    operator: SymmetricOperator,
    *,
    top: int = 20,
    bottom: int = 5,
    probes: int = 8,
    steps: int = 40,
    rtol: float | None = 0.02,
    tol: float = 1e-4,
    damping: float | None = None,
    max_matvecs: int | None = None,
    max_probes: int = 500,
    budget: Budget | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    max_vectors: int | None = None,
    basis: Place | Literal["auto"] = "auto",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Spectrum:
    r"""Answer every spectral question about a symmetric matrix from two shared families of Krylov spaces.

    One run of Lanczos finds both ends of the spectrum, with residual bounds and the search for missed copies of
    :func:`thalweg.eigenpairs`. The converged pairs count exactly from there on: a few random probes in the complement
    of their vectors, with a Gauss quadrature each, see the rest of the spectrum (Golub & Welsch, 1969; Ubaru, Chen &
    Saad, 2017), and all sums over eigenvalues are read off both. Where the trace is not yet known to ``rtol``, further
    probes of one product each follow, by Stein's rule (1945).

    Standard errors are those of finite probes, by the law of the probes, which holds where single eigenvalues stand out
    of what is not known, too (measured, 95 % intervals of 8, 16 and 32 probes cover in 91 to 97 % of runs; that of the
    entropy's exponential in up to 99.5 % where one unknown eigenvalue is most of the trace); ratios to first order.
    ``converged`` of an estimate says whether a quarter of the quadrature's steps would change it by more than half of
    that. Counts (``index``, ``nullity``) are sums of steps, which a quadrature blurs: look at ``converged``. Where no
    node lies near enough to zero for anything to be seen there, they have no standard error.

    A budget is shared: half of it at most goes to the two ends, what they leave to the probes, and what these leave
    to the trace. Residuals, standard errors and ``converged`` are then those of what could be done.

    Cost: products until both ends have converged, probes × steps, and what the trace still needs; as many vectors of
    memory as the first take, or ``max_vectors``, and then ``steps`` for each probe of a block that goes in step.

    Args:
        operator: The matrix A, (P, P).
        top: Eigenpairs of the upper end, at least 1.
        bottom: Eigenpairs of the lower end, at least 1.
        probes: Random probes, at least 2.
        steps: Lanczos steps of each, at most P.
        rtol: Half-width of the trace's 95 % interval to reach, relative to it; ``None`` for that of ``probes`` alone.
        tol: Residual at which a pair counts as converged, relative to ‖A‖.
        damping: ε > 0 of the log-determinants and of the effective dimension; by default 1e-3·‖A‖.
        max_matvecs: The most products for the two ends; by default max(300, 20·(top + bottom)), and never more than P.
        max_probes: The most probes that ``rtol`` may take; if it asks for more, the trace says ``converged=False``.
        budget: Products or seconds after which to return what there is.
        checkpoint: A folder to keep products in, and to go on from where it holds some: see :func:`checkpointed`.
        max_vectors: The most basis vectors of the search for the two ends, at least top + bottom + 8; see
            :func:`thalweg.eigenpairs`.
        basis: Where these are held: "device", "host", "disk", or "auto".
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        CheckpointError: If the checkpoint is damaged or of another run.
        Interrupted: If the user does, with the pairs of either end as its ``result``.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If an end has not converged, or copies may have been missed.

    Example:
        >>> import thalweg as tw
        >>> diagonal = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
        >>> found = spectrum(tw.FunctionOperator(lambda v: diagonal * v, 4, dtype=torch.float64), top=2, bottom=1)
        >>> round(found.trace.value, 6), round(found.frobenius.value, 6), round(found.stable_rank.value, 6)
        (8.0, 22.0, 2.0)
    """
    require_symmetric(operator)
    _check_arguments(top, bottom, probes, steps, rtol, tol, damping, max_matvecs, max_probes)
    operator = widened(operator)
    started, size = time.perf_counter(), operator.space.size
    source = torch.Generator().manual_seed(0) if generator is None else generator
    pairs = min(top + bottom, size)
    products = _products(budget, top + bottom, probes)
    if checkpoint is not None:
        operator = checkpointed(operator, checkpoint)
    most = None if products is None else max(products // 2, pairs)
    plan = planned_within(operator, pairs, most, "lanczos", None, max_matvecs, max_vectors, None, basis, vectors=True)
    with track(None, "spectrum", progress) as bar:
        counts, half = (min(top, size), min(bottom, size)), deadline(budget, started, 0.5)
        upper, lower, interrupted = both_ends(operator, *counts, tol, source, plan, bar, half)
        if interrupted:
            raise Interrupted(interruption([upper, lower], checkpoint), (upper, lower))
        until, left = deadline(budget, started), None if products is None else products - upper.matvecs
        try:
            known = _together(operator, upper, lower)
            each = steps if left is None else min(steps, left // probes)
            measure = measured(operator, known, probes, each, None, source, bar, until)
            more = max_probes if left is None else min(max_probes, left - measure.products)
            traced, extra = _trace(operator, known, measure, rtol, source, bar, more, until)
        except KeyboardInterrupt:
            raise Interrupted(interruption([upper, lower], checkpoint), (upper, lower)) from None
    _warn(upper, lower)
    scale = max(upper.scale, float(upper.values[0]), -float(lower.values[0]))
    cost = Cost(matvecs=upper.matvecs + measure.products + extra, seconds=time.perf_counter() - started)
    epsilon = damping if damping is not None else 1e-3 * scale if scale > 0 else 1.0
    return replace(
        _answers(upper, lower, measure, traced, epsilon, rounding(upper, scale)),
        cost=cost,
        provenance=operator.provenance,
    )


def _answers(
    upper: Eigenpairs, lower: Eigenpairs, measure: SpectralMeasure, traced: Estimate, epsilon: float, zero: float
) -> Spectrum:
    largest = float(upper.values[0])
    first, second = sums.itself, torch.square
    absolute = measure.total(torch.abs).value
    # A ratio to a trace that may be zero says nothing.
    positive = traced.value > (traced.interval() or (0.0, 0.0))[1] - traced.value
    nodes, weights = measure.nodes()
    free = Cost()
    return Spectrum(
        size=measure.size,
        top=upper,
        bottom=lower,
        density=replace(
            smoothed(nodes, weights, None, None, Cost(matvecs=measure.products), upper.provenance),
            known=len(measure.known),
            sphere=measure.size - len(measure.known),
        ),
        trace=traced,
        frobenius=measure.total(second),
        damping=epsilon,
        logdet=measure.total(partial(sums.log, epsilon)) if _definite(lower, nodes, epsilon) else None,
        logdet_absolute=measure.total(partial(sums.log_absolute, epsilon)),
        negative=negative_curvature(lower, threshold=zero),
        negative_mass=measure.total(sums.negative_part),
        index=_count(measure, partial(sums.below, -zero), lower, (-zero, -zero), zero),
        nullity=_count(measure, partial(sums.within, zero), lower, (-zero, zero), zero),
        zero=zero,
        conditioning=condition_numbers(upper, lower, epsilon=epsilon),
        participation_ratio=measure.combined([first, second], sums.participation) if positive else None,
        stable_rank=_scaled(traced, 1 / largest) if largest > zero else None,
        effective_dimension=measure.total(partial(sums.shrunk, epsilon)),
        entropy_rank=measure.combined([torch.abs, sums.entropy], sums.perplexity) if absolute > 0 else None,
        width=spectral_width(upper, lower),
        outliers=outlier_count(upper),
        edge=bulk_edge(upper, measure, zero),
        cost=free,
    )


def _together(operator: SymmetricOperator, upper: Eigenpairs, lower: Eigenpairs) -> Known:
    """What has converged at either end, once each."""
    size = operator.space.size
    if len(upper.values) + len(lower.values) > size:
        # Of a whole spectrum the ends overlap.
        kept = size - len(upper.values)
        lower = replace(
            lower,
            values=lower.values[:kept],
            vectors=None if lower.vectors is None else lower.vectors.mT[:kept].mT,
            residuals=lower.residuals[:kept],
            converged=lower.converged[:kept],
        )
    parts = [Known.of(operator, pairs) for pairs in (upper, lower) if bool(pairs.converged.any())]
    if not parts:
        return Known.of(operator, None)
    vectors = torch.cat([part.vectors.mT for part in parts if part.vectors is not None]).mT
    return Known(torch.cat([part.values for part in parts]), vectors)


def _trace(
    operator: SymmetricOperator,
    known: Known,
    measure: SpectralMeasure,
    rtol: float | None,
    generator: torch.Generator,
    bar: Progress,
    more: int,
    until: float,
) -> tuple[Estimate, int]:
    """The trace, from the probes that there are and as many more as it takes; and how many more that were."""
    found = measure.total(sums.itself)
    if rtol is None or not measure.probes:
        return found, 0
    forms, misses = measure.forms(sums.itself)
    before, collected = len(forms), Forms(operator.space, None, measure.size - known.count)
    collected.extend(forms.tolist(), misses.tolist())
    draw = partial(extend, operator, known, collected, distribution=None, generator=generator, bar=bar, until=until)
    most = max(before, min(more, before + more))
    reached = to_accuracy(collected, draw, float(known.values.sum()), rtol, 0.95, most)
    return reached, len(collected.values) - before


def _products(budget: Budget | None, pairs: int, probes: int) -> int | None:
    """Return the products of a budget, which must suffice for something of everything."""
    require_budget(budget)
    if budget is None or budget.products is None:
        return None
    least = max(pairs + 2 * probes, 4 * probes)
    if budget.products < least:
        raise ArgumentError(
            f"budget: expected at least {least} products for {pairs} pairs and two steps of {probes} probes, got "
            f"{budget.products}."
        )
    return budget.products


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    error = estimate.standard_error
    return replace(estimate, value=estimate.value * factor, standard_error=None if error is None else error * factor)


def _count(
    measure: SpectralMeasure, f: Function, lower: Eigenpairs, interval: tuple[float, float], zero: float
) -> Estimate:
    """Count eigenvalues; where probes agree since none of them resolves the interval, nothing is known of the error."""
    if lower.complete and bool(lower.converged[0]) and float(lower.values[0]) - float(lower.residuals[0]) > zero:
        return Estimate(0.0, 0.0, converged=True)
    found = measure.total(f)
    if found.standard_error == 0 and measure.hidden(*interval) > _NONE:
        return replace(found, standard_error=None, dof=None, converged=False)
    return found


def _definite(lower: Eigenpairs, nodes: np.ndarray, epsilon: float) -> bool:
    """Whether A + εI is positive definite as far as anything shows, its least eigenvalue with its bound."""
    least = float(lower.values[0]) - float(lower.residuals[0])
    return bool(lower.converged[0]) and least + epsilon > 0 and float(nodes.min()) + epsilon > 0


def _warn(upper: Eigenpairs, lower: Eigenpairs) -> None:
    missing = int((~upper.converged).sum()) + int((~lower.converged).sum())
    if missing or not upper.complete:
        what = f"{missing} eigenpairs of the two ends have not converged" if missing else "copies may have been missed"
        warnings.warn(
            f"{what} within {upper.matvecs} products. Raise max_matvecs, the budget or tol, or ask for fewer.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _check_arguments(
    top: int,
    bottom: int,
    probes: int,
    steps: int,
    rtol: float | None,
    tol: float,
    damping: float | None,
    max_matvecs: int | None,
    max_probes: int,
) -> None:
    least = {"top": (top, 1), "bottom": (bottom, 1), "probes": (probes, 2), "steps": (steps, 2)}
    least["max_probes"] = (max_probes, 2)
    if max_matvecs is not None:
        least["max_matvecs"] = (max_matvecs, top + bottom)
    for name, (count, smallest) in least.items():
        require_whole(name, count)
        if count < smallest:
            raise ArgumentError(f"{name}: expected at least {smallest}, got {count}.")
    for name, number in {"rtol": rtol, "tol": tol, "damping": damping}.items():
        if number is not None and not (math.isfinite(number) and number > 0):
            raise ArgumentError(f"{name}: expected a positive finite number, got {number}.")

"""How far the leading eigenvalues and the trace on these samples are from those on all the data."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_symmetric, require_whole
from thalweg.landscape import Landscape
from thalweg.measures._cross_fitted import Parts, cross_fitted
from thalweg.measures._data_results import DataErrors
from thalweg.measures._dealt import dealt
from thalweg.operators import Operator, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress

Matrix = Callable[[Landscape], Operator]


def data_errors(
    landscape: Landscape,
    k: int = 1,
    *,
    matrix: Matrix = hessian,
    folds: int = 5,
    parts: int = 20,
    tol: float = 1e-3,
    probes: int = 8,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> DataErrors:
    r"""Estimate how far eigenvalues and trace on these samples are from those on all the data they were drawn from.

    With :math:`\hat A = \frac1N \sum_i H_i` on N samples and A on all data, the in-sample maximum
    :math:`\hat\lambda_1 = \max_v v^\top \hat A v` is biased upwards, since λ₁ is convex, and no standard error of
    :math:`\hat v^\top H_i \hat v` over the fitting data shows it. So the samples are cut into K folds, directions are
    fitted on all folds but one and their quotients taken on that one:

    .. math:: q = \frac1K \sum_{j=1}^K \hat v_{-j}^\top \hat A_j\, \hat v_{-j},
              \qquad \mathbb{E}\, q = \mathbb{E}\, \hat v_{-j}^\top A\, \hat v_{-j} \le \lambda_1(A)

    (cross-fitting: Chernozhukov et al., 2018). It is unbiased for the curvature of all data in the fitted direction,
    and hence biased downwards for their λ₁. To second order in the noise both biases are the same number,
    :math:`\sum_{m \ne 1} \mathbb{E}(v_1^\top \hat A v_m)^2 / (\lambda_1 - \lambda_m)`, which falls as 1/N, so that
    they cancel in ``corrected`` = :math:`(K \hat\lambda_1 + (K-1)\, q) / (2K - 1)`. Where the noise moves the direction
    far, as in spiked models (Baik & Silverstein, 2006) of weak spikes, the upward bias is the larger one, and λ₁ lies
    between q and ``corrected``; ``interval`` covers all between them and their standard error. For Gaussian noise
    this follows from :math:`\mathbb{E}\,\hat\lambda_1(\tau) - \lambda_1 = \int_0^\tau g(s) / (2s)\, ds` with τ = 1/N
    (Stein's identity), wherever the expected gap :math:`g = \hat\lambda_1 - q` grows in τ at most linearly.

    Standard errors come from the spread of the held-out quotients over ``parts`` random parts, each weighted by its Σw
    (Cochran, 1977). Directions fitted on overlapping data share noise where the data do not fix them: the interval adds
    up to :math:`K/(K-1)` of the variance there, by Nadeau & Bengio (2003), times 1 − o² for a mean squared overlap o of
    two fits (this factor is empirical). Measured in 400 runs with P = 200 and N = 400, intervals of 95 % cover in 92 %
    where the population is isotropic, 95 % where its spectrum decays, 99 % with one outlier, and nearly always where it
    is a continuum without a gap: there λ₁ lies well between the two, and the interval is wide. The trace is a mean and
    unbiased: its ``data_error`` stands beside the standard error of the probes, and is 0 where their noise hides it.

    Valid for: matrices that are means over independent data items (Hessian, GGN, exact and empirical Fisher), of which
    the data at hand are a random sample; for a large part N/N_all of a finite set, errors are overestimated
    by about :math:`1/\sqrt{1 - N/N_{all}}`. From the second eigenvalue on, the biases have no certain sign: they
    cancel in ``corrected`` where the gaps are wide, and near copies are trusted less. Residuals of the eigenpairs are
    not in the intervals.

    Cost: products of K fits on (K − 1)/K of the data and one on all, together about K times those of
    :func:`thalweg.eigenpairs`; k + ``probes`` more; a copy of the data.

    Args:
        landscape: In eval mode, its batches free to be cut.
        k: How many leading eigenvalues.
        matrix: Makes the operator on a landscape, such as ``tw.ggn`` or a :func:`functools.partial` with an engine.
        folds: K, at least 2.
        parts: Random parts of the data, whole folds of them; their spread makes the standard errors.
        tol: Residual at which an eigenpair counts as converged, relative to ‖A‖.
        probes: For the trace, at least 2.
        generator: Of all draws, the parts' first; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every fit to.

    Raises:
        ArgumentError: If an argument has a wrong value, the landscape is in train mode, or the matrix on all data is
            not the mean of those on the parts.
        DataError: If batches cannot be cut, or a part has no weight.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If eigenpairs have not converged.

    Example:
        >>> import thalweg as tw
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs, targets = torch.randn(400, 3, generator=source), torch.zeros(400, 1)
        >>> model = torch.nn.Linear(3, 1, bias=False)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)])
        >>> found = data_errors(landscape)  # the Hessian is XᵀX/N; on all data it is the identity
        >>> low, high = found.interval()[0].tolist()
        >>> low < 1 < high < float(found.values[0]) + 2 * float(found.standard_errors[0])
        True
    """
    require_landscape(landscape)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    operators, weights = parted(landscape, matrix, folds, parts, source)
    found = cross_fitted(
        operators, k, weights=weights, folds=folds, tol=tol, probes=probes, generator=source, progress=progress
    )
    # One more product made sure that the parts make the whole.
    cost = Cost(matvecs=found.cost.matvecs + 2, losses=1, seconds=time.perf_counter() - started)
    provenance = landscape.provenance(getattr(operators[0].provenance, "engine", None))
    return replace(found, samples=landscape.count, cost=cost, provenance=provenance)


def parted(
    landscape: Landscape, matrix: Matrix, folds: int, parts: int, generator: torch.Generator
) -> tuple[list[Operator], list[float]]:
    """Return the matrices of random parts of the data and their weights.

    Raises:
        ArgumentError: If the matrix on all data is not the mean of those on the parts.
    """
    if not callable(matrix):
        raise ArgumentError(
            f"matrix: expected a function of a landscape, such as tw.hessian, got {type(matrix).__name__}."
        )
    for name, count in {"folds": folds, "parts": parts}.items():
        require_whole(name, count)
    if folds < 2:
        raise ArgumentError(f"folds: expected at least 2, got {folds}.")
    if parts < folds or parts % folds:
        raise ArgumentError(f"parts: expected whole folds, so a multiple of {folds}, got {parts}.")
    landscapes = dealt(landscape, parts, generator)
    operators, weights = [matrix(part) for part in landscapes], [part.weight for part in landscapes]
    for operator in operators:
        require_symmetric(operator)
    _require_mean(matrix(landscape), Parts(operators, weights))
    return operators, weights


def _require_mean(whole: Operator, parts: Parts) -> None:
    """Refuse matrices such as a covariance, which is no mean over the data, or one that is drawn anew."""
    space = whole.space
    probe = space.randn()
    direct = whole @ probe
    gap = space.norm(direct - parts.mean(range(len(parts))) @ probe)
    if gap > 10 * torch.finfo(space.dtype).eps ** 0.5 * space.norm(direct):
        raise ArgumentError(
            "matrix: expected one that is a mean over data items, such as tw.hessian or tw.ggn, but the product on all "
            f"data differs from the mean of those on the parts by {gap / space.norm(direct):.2g} of its norm."
        )

"""The trace of a function of a matrix, by stochastic Lanczos quadrature beside what is known exactly."""

import time
import warnings
from dataclasses import replace

import torch

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._deflation import Known
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._probes import Distribution
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._spectral_measure import Function, measured
from thalweg.krylov._widened import widened
from thalweg.progress import Progress, track


def function_trace(
    operator: SymmetricOperator,
    f: Function,
    *,
    probes: int = 8,
    steps: int = 80,
    known: Eigenpairs | None = None,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Estimate tr f(A) for a function of the eigenvalues (Ubaru, Chen & Saad, 2017).

    .. math:: \operatorname{tr} f(A) \approx \sum_{i \le k} f(\lambda_i)
              + \frac1n \sum_z \lVert z'\rVert^2 \sum_j \tau_j^2(z')\, f(\theta_j(z')), \qquad z' = (I - UU^\top) z

    with the Gauss quadrature of m Lanczos steps from each probe z; the eigenpairs (λ, U) that are known already count
    exactly and leave the probes only the rest, whose spread is what the standard error is made of, by the law of the
    probes as for :func:`trace`.

    Two errors, told apart: that of finite probes is the standard error. That of finite steps falls geometrically for f
    that are smooth on the spectrum; the rules of all and of three quarters of the steps are compared, and
    ``converged`` says whether they differ by less than half of the standard error (or not at all in 10 digits).

    Cost: probes × steps products, fewer where an invariant subspace ends the recurrence; as many vectors of
    memory for up to eight probes, which go in step, or for as many as fit.

    Args:
        operator: The matrix A, (P, P).
        f: Takes eigenvalues, a tensor (m,) in double precision, and returns as many finite numbers.
        probes: Random starts; 0 only if ``known`` holds all P pairs.
        steps: Lanczos steps for each, at most P.
        known: Eigenpairs with their vectors, all converged.
        distribution: "rademacher" or "gaussian".
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Returns:
        The estimate; without a standard error for a single probe, and with 0 where nothing random is left.

    Raises:
        ArgumentError: If an argument has a wrong value, or f returns something else than finite numbers.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If there were too few steps.

    Example:
        >>> diagonal = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> round(function_trace(op, torch.exp, steps=3).value, 6)  # e + e² + e⁴, exact: signs on a diagonal matrix
        64.705488
    """
    require_symmetric(operator)
    operator = widened(operator)
    started, space = time.perf_counter(), operator.space
    basis = Known.of(operator, known)
    _check_arguments(probes, steps, everything=basis.count == space.size)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with track(probes * steps, "function trace", progress) as bar:
        measure = measured(operator, basis, probes, steps, distribution, source, bar, watch=f)
    found = measure.total(f)
    if found.converged is False:
        warnings.warn(
            f"The quadrature of {steps} steps has not settled: a quarter of them changes the result by more than half "
            "of its standard error. Raise steps.",
            ConvergenceWarning,
            stacklevel=2,
        )
    cost = Cost(matvecs=measure.products, seconds=time.perf_counter() - started)
    return replace(found, cost=cost, provenance=operator.provenance)


def _check_arguments(probes: int, steps: int, *, everything: bool) -> None:
    for name, count in {"probes": probes, "steps": steps}.items():
        require_whole(name, count)
    if probes < (0 if everything else 1):
        raise ArgumentError(f"probes: expected at least 1, got {probes}.")
    if steps < 1:
        raise ArgumentError(f"steps: expected at least 1, got {steps}.")

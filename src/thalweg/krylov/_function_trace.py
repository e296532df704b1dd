"""The trace of a function of a matrix, by stochastic Lanczos quadrature beside what is known exactly."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._deflation import Known, without
from thalweg.krylov._gauss import Gauss, gauss
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.krylov._results import Eigenpairs
from thalweg.progress import Progress, track

# A quadrature that a quarter more steps would still change by more than this share of the standard error says so.
_SETTLED = 0.5
Function = Callable[[Tensor], Tensor]


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
    exactly and leave the probes only the rest, whose spread is what the standard error is made of.

    Two errors, told apart: that of finite probes is the standard error. That of finite steps falls geometrically for f
    that are smooth on the spectrum; the rules of all and of three quarters of the steps are compared, and
    ``converged`` says whether they differ by less than half of the standard error (or not at all in 10 digits).

    Cost: probes × steps products, fewer where an invariant subspace ends the recurrence; steps × P numbers of memory.

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
    started, space = time.perf_counter(), operator.space
    basis = Known.of(operator, known)
    _check_arguments(probes, steps, everything=basis.count == space.size)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    found: list[_Sample] = []
    with track(probes * steps, "function trace", progress) as bar:
        for _ in range(probes if basis.count < space.size else 0):
            start = without(space, basis, draw_probes(space, 1, distribution, source))[:, 0]
            mass = space.norm(start) ** 2
            found.append(_Sample.of(gauss(operator, start, min(steps, space.size), bar), mass, f))
    exact = math.fsum(evaluated(f, basis.values.numpy()).tolist()) if basis.count else 0.0
    result = _summed(found, exact)
    if result.converged is False:
        warnings.warn(
            f"The quadrature of {steps} steps has not settled: with a quarter fewer the result differs by "
            f"{_shift(found):.2g}. Raise steps.",
            ConvergenceWarning,
            stacklevel=2,
        )
    products = sum(sample.products for sample in found)
    cost = Cost(matvecs=products, seconds=time.perf_counter() - started)
    return Estimate(
        result.value,
        result.standard_error,
        result.dof,
        converged=result.converged,
        cost=cost,
        provenance=operator.provenance,
    )


@dataclass(frozen=True)
class _Sample:
    """One probe: zᵀ f(A) z by all steps and by three quarters of them."""

    value: float
    coarse: float
    products: int

    @classmethod
    def of(cls, rule: Gauss, mass: float, f: Function) -> "_Sample":
        count = len(rule.matrix)
        value = _integral(rule, None, mass, f)
        # An invariant subspace has no error of steps.
        coarse = value if rule.ended or count < 2 else _integral(rule, count - max(1, count // 4), mass, f)
        return cls(value, coarse, count)


def evaluated(f: Function, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return f at the eigenvalues.

    Raises:
        ArgumentError: If it returns something else than one finite number each.
    """
    given = torch.from_numpy(values)
    found = f(given)
    if not isinstance(found, Tensor) or found.shape != given.shape or found.is_complex():
        got = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ArgumentError(f"f: expected real numbers of shape {tuple(given.shape)}, one an eigenvalue, got {got}.")
    if not bool(found.isfinite().all()):
        where = float(given[~found.isfinite()][0])
        raise ArgumentError(f"f: expected finite numbers, got another at the Ritz value {where:.6g}.")
    result: NDArray[np.float64] = found.detach().double().cpu().numpy()
    return result


def _integral(rule: Gauss, steps: int | None, mass: float, f: Function) -> float:
    nodes, weights = rule.rule(steps)
    return mass * math.fsum((weights * evaluated(f, nodes)).tolist())


def _summed(found: list[_Sample], exact: float) -> Estimate:
    if not found:
        return Estimate(exact, 0.0, converged=True)
    values = [sample.value for sample in found]
    count, mean = len(values), math.fsum(values) / len(values)
    error = None
    if count > 1:
        error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    settled = max(_SETTLED * (error or 0.0), 1e-10 * (abs(exact) + abs(mean)))
    return Estimate(exact + mean, error, count - 1 if count > 1 else None, converged=_shift(found) <= settled)


def _shift(found: list[_Sample]) -> float:
    return abs(math.fsum(sample.value - sample.coarse for sample in found) / len(found))


def _check_arguments(probes: int, steps: int, *, everything: bool) -> None:
    for name, count in {"probes": probes, "steps": steps}.items():
        require_whole(name, count)
    if probes < (0 if everything else 1):
        raise ArgumentError(f"probes: expected at least 1, got {probes}.")
    if steps < 1:
        raise ArgumentError(f"steps: expected at least 1, got {steps}.")

"""The logarithm of a determinant."""

import math

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.krylov._function_trace import function_trace
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._probes import Distribution
from thalweg.krylov._results import Eigenpairs
from thalweg.progress import Progress


def logdet(
    operator: SymmetricOperator,
    *,
    damping: float = 0.0,
    absolute: bool = False,
    probes: int = 8,
    steps: int = 80,
    known: Eigenpairs | None = None,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Estimate :math:`\ln\det(A + \varepsilon I) = \sum_i \ln(\lambda_i + \varepsilon)`, or that of |A|.

    With ``absolute``, :math:`\ln\det(|A| + \varepsilon I) = \sum_i \ln(|\lambda_i| + \varepsilon)`, which an
    indefinite matrix has, too. By :func:`function_trace`, whose costs and errors it shares: the logarithm is smooth
    where eigenvalues stay away from −ε (from 0 for |A|), and needs the more steps the closer they come.

    Args:
        operator: The matrix A, (P, P).
        damping: ε ≥ 0, in units of the eigenvalues.
        absolute: Whether magnitudes count.
        probes: Random starts.
        steps: Lanczos steps for each, at most P.
        known: Eigenpairs with their vectors, which count exactly.
        distribution: "rademacher" or "gaussian".
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value, or a Ritz value shows that A + εI (or |A| + εI) is not
            positive definite.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If there were too few steps.

    Example:
        >>> diagonal = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> round(logdet(op, steps=3).value, 6)  # ln 8, exact: signs on a diagonal matrix
        2.079442
    """
    if isinstance(damping, bool) or not isinstance(damping, (int, float)) or not 0 <= damping < math.inf:
        raise ArgumentError(f"damping: expected a finite number that is not negative, got {damping!r}.")

    def logarithm(values: Tensor) -> Tensor:
        shifted = (values.abs() if absolute else values) + damping
        least = int(shifted.argmin())
        if not float(shifted[least]) > 0:
            advice = (
                "Take damping > 0."
                if absolute
                else f"Take damping above {-float(values.min()):.2g}, or absolute=True for the magnitudes."
            )
            raise ArgumentError(
                "operator: expected a positive definite matrix for its log-determinant, but it has the Ritz value "
                f"{float(values[least]):.6g} with damping {damping:g}. {advice}"
            )
        return shifted.log()

    return function_trace(
        operator,
        logarithm,
        probes=probes,
        steps=steps,
        known=known,
        distribution=distribution,
        generator=generator,
        progress=progress,
    )

"""Flatness as a volume: the log-determinant of the curvature."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import Eigenpairs, eigenpairs, logdet
from thalweg.krylov._operator import require_symmetric, require_whole
from thalweg.krylov._results import Which
from thalweg.landscape import Landscape
from thalweg.measures._log_determinant_results import LogDeterminantFlatness
from thalweg.operators import Operator, dense, hessian, projected
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

Matrix = Callable[[Landscape], Operator]

# The largest matrix that is decomposed whole, whatever the probes would take.
_DENSE = 4096


def log_determinant_flatness(
    landscape: Landscape,
    epsilon: float,
    *,
    k: int | None = None,
    subspace: Float[Tensor, "p m"] | Float[Tensor, " p"] | None = None,
    matrix: Matrix = hessian,
    absolute: bool = False,
    known: int = 20,
    probes: int = 8,
    steps: int = 80,
    tol: float = 1e-4,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> LogDeterminantFlatness:
    r"""Return :math:`\ln\det(A + \varepsilon I)` of the curvature A on a subspace: small where a minimum is wide.

    .. math:: \sum_i \ln(\lambda_i + \varepsilon), \qquad
              \int e^{-\frac{1}{2} n\, \delta^\top (A + \varepsilon I)\, \delta}\, d\delta
              = (2\pi / n)^{d/2} \det(A + \varepsilon I)^{-1/2}

    so that minus half of it is the logarithm of the volume of a quadratic basin, up to what depends on d and n alone.
    The determinant itself is of no use: one flat direction makes it zero, and a saddle has no volume (hence the
    damping, and ``absolute``), and at a million parameters it leaves the range of floating-point numbers. Compare two
    points only at the same ε, on the same subspace or on ones of the same dimension; no choice of ε makes it invariant
    under rescaling of parameters (Dinh et al., 2017).

    Three subspaces: all of it, exactly where P products are no more than those of the probes (``probes`` × ``steps``,
    and P at most 4,096), else by stochastic Lanczos quadrature beside the ``known`` leading eigenpairs, which count
    exactly, while the smallest eigenvalue shows whether A + εI is positive definite; the ``k`` leading eigenvectors,
    each point its own; or a ``subspace`` Q of yours, common to several points, where it is
    :math:`\ln\det(Q^\top A Q + \varepsilon I)`.

    Valid for: A + εI that is positive definite on the subspace; ``absolute`` takes |A| there instead, from its own
    eigenvalues (those of QᵀAQ for a given one). Eigenvalues far below ε say nothing but ln ε.

    Cost: products until the eigenpairs have converged, and for the whole space ``probes`` × ``steps`` more, none where
    ``known`` reaches P; P products alone where that is no more than ``probes`` × ``steps``, with memory for P²
    numbers; for a given subspace of dimension m, m products.

    Args:
        landscape: Where.
        epsilon: ε ≥ 0, in units of the eigenvalues. There is no default that suits two points at once.
        k: Leading eigenvectors to span the subspace with: the largest eigenvalues, or magnitudes with ``absolute``.
        subspace: Orthonormal columns Q, (P, m), or one unit vector.
        matrix: Makes the operator on a landscape, such as ``tw.ggn``, whose log-determinant exists everywhere.
        absolute: Whether magnitudes count.
        known: Leading eigenpairs that count exactly beside probes; P of them make it exact.
        probes: Random starts for the rest.
        steps: Lanczos steps for each, at most P.
        tol: Residual at which an eigenpair counts as converged, relative to ‖A‖.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report to.

    Raises:
        ArgumentError: If an argument has a wrong value, or A + εI is not positive definite on the subspace.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If eigenpairs have not converged, or there were too few steps.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> data = [(torch.diag(torch.tensor([2.0, 4.0], dtype=torch.float64)), torch.zeros(2, 1, dtype=torch.float64))]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), data)  # H = diag(2, 8)
        >>> print(log_determinant_flatness(landscape, 0.0))  # ln 16
        ln det(hessian) = 2.773 on all 2 directions
        >>> print(log_determinant_flatness(landscape, 0.0, k=1))  # ln 8
        ln det(hessian) = 2.079 on the top 1 direction
    """
    require_landscape(landscape)
    _check_arguments(
        epsilon, k, subspace, {"known": known, "probes": probes, "steps": steps}, matrix, absolute=absolute
    )
    started = time.perf_counter()
    operator = matrix(landscape)
    require_symmetric(operator)
    name = getattr(getattr(matrix, "func", matrix), "__name__", "matrix")
    source = torch.Generator().manual_seed(0) if generator is None else generator
    damped = _Damped(float(epsilon), absolute, landscape.precision)
    with track(None, "log-determinant", progress) as bar:
        slack: float | None = 0.0
        if subspace is not None:
            where = "given"
            dimension, found = damped.of_dense(projected(operator, subspace))
        elif k is not None:
            where, dimension = "top", k
            pairs = eigenpairs(operator, k, "LM" if absolute else "LA", tol=tol, generator=source, progress=bar)
            found, slack = damped.of_pairs(pairs)
        elif operator.space.size <= min(probes * steps, _DENSE):
            where = "all"
            dimension, found = damped.of_dense(operator)
            bar.advance(dimension)
        else:
            where, dimension = "all", operator.space.size
            everything = known >= dimension
            which: Which = "BE" if everything else "LM" if absolute else "LA"
            pairs = eigenpairs(operator, min(known, dimension), which, tol=tol, generator=source, progress=bar)
            found, slack = damped.of_pairs(pairs)
            if not everything:
                if not absolute:
                    # What the probes' quadrature does not see of a negative eigenvalue would pass without a word.
                    bottom = eigenpairs(operator, 1, "SA", tol=tol, generator=source, progress=bar)
                    damped.logarithm(bottom.values, bottom.scale)
                    found = replace(found, cost=found.cost + bottom.cost)
                rest = logdet(
                    operator,
                    damping=damped.epsilon,
                    absolute=absolute,
                    probes=probes,
                    steps=min(steps, dimension),
                    known=pairs,
                    generator=source,
                    progress=bar,
                )
                settled = bool(found.converged) and rest.converged is not False
                found = replace(rest, cost=rest.cost + found.cost, converged=settled)
    cost = replace(found.cost, seconds=time.perf_counter() - started)
    found = replace(found, cost=cost, provenance=landscape.provenance(getattr(operator.provenance, "engine", None)))
    return LogDeterminantFlatness(found, slack, damped.epsilon, dimension, where, absolute, name)


@dataclass(frozen=True)
class _Damped:
    """The logarithm of λ + ε, or of |λ| + ε, where it is more than the logarithm of rounding."""

    epsilon: float
    absolute: bool
    precision: float

    def shifted(self, values: Tensor) -> Tensor:
        """Return what is taken the logarithm of."""
        return (values.abs() if self.absolute else values) + self.epsilon

    def of_dense(self, operator: Operator) -> tuple[int, Estimate]:
        """Return the dimension of a matrix, and the sum over all of its eigenvalues, by a product each."""
        values = torch.linalg.eigvalsh(dense(operator).double()).cpu()
        found = self.logarithm(values, float(values.abs().max()))
        return len(values), replace(found, converged=True, cost=Cost(matvecs=len(values)))

    def of_pairs(self, pairs: Eigenpairs) -> tuple[Estimate, float | None]:
        """Return the sum over eigenpairs, and how far their residuals may move it."""
        found = self.logarithm(pairs.values, pairs.scale)
        # ln(x ± r) lies within −ln(1 − r/x) of ln x; where a residual reaches zero there is no bound.
        share = pairs.residuals / self.shifted(pairs.values)
        slack = float(-torch.log1p(-share).sum()) if bool((share < 1).all()) else None
        return replace(found, converged=bool(pairs.converged.all()), cost=pairs.cost), slack

    def logarithm(self, values: Tensor, scale: float) -> Estimate:
        """Return the sum of logarithms of eigenvalues of a matrix of norm ``scale``.

        Raises:
            ArgumentError: If one of them is not above zero by more than rounding.
        """
        shifted = self.shifted(values)
        worst = int(shifted.argmin())
        if not float(shifted[worst]) > self.precision * scale:
            advice = (
                "Take a larger epsilon."
                if self.absolute
                else f"Take epsilon above {max(self.precision * scale, -float(values.min())):.3g}, absolute=True for "
                "the magnitudes, or matrix=tw.ggn."
            )
            raise ArgumentError(
                "epsilon: expected enough damping for a matrix that is positive definite on the subspace beyond "
                f"rounding, got {self.epsilon:g} with the eigenvalue {float(values[worst]):.6g}. {advice}"
            )
        return Estimate(float(shifted.log().sum()), standard_error=0.0)


def _check_arguments(
    epsilon: Any, k: int | None, subspace: Tensor | None, counts: dict[str, int], matrix: Any, *, absolute: Any
) -> None:
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 <= epsilon < math.inf:
        raise ArgumentError(f"epsilon: expected a finite number that is not negative, got {epsilon!r}.")
    if not isinstance(absolute, bool):
        raise ArgumentError(f"absolute: expected True or False, got {absolute!r}.")
    if k is not None and subspace is not None:
        raise ArgumentError("k, subspace: expected one of the two, got both.")
    if subspace is not None and not isinstance(subspace, Tensor):
        raise ArgumentError(f"subspace: expected orthonormal columns (P, m), got {type(subspace).__name__}.")
    for name, count in counts.items():
        require_whole(name, count)
        if count < 1:
            raise ArgumentError(f"{name}: expected at least 1, got {count}.")
    if not callable(matrix):
        raise ArgumentError(
            f"matrix: expected a function of a landscape, such as tw.hessian, got {type(matrix).__name__}."
        )

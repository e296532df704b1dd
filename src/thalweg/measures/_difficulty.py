"""How hard a point is to train at: sharpness, its share of the trace, and the alignment of noise with it."""

import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import eigenpairs, function_trace, trace
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._alignment_sums import AlignmentSums, alignment_sums
from thalweg.measures._difficulty_results import Difficulty
from thalweg.operators import FunctionOperator, Operator, dense, ggn, gradient_covariance, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

Variant = Literal["cosine", "zhu", "topk"]
Denominator = Literal["auto", "ggn", "absolute"]


def difficulty(
    landscape: Landscape,
    variant: Variant = "cosine",
    *,
    denominator: Denominator = "auto",
    k: int | None = None,
    operator: Operator | None = None,
    covariance: Operator | None = None,
    probes: int = 64,
    exact: int = 256,
    tol: float = 1e-3,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Difficulty:
    r"""Return the difficulty index of a point, sharp and noisy directions weighed together.

    .. math:: D(\theta) = \frac{\lambda_{\max}(H)^2}{\operatorname{Tr} H}\; \kappa(\Sigma, H)

    with the covariance Σ of the items' gradients and one of three alignments:

    - "cosine": :math:`\operatorname{Tr}(\Sigma H) / (\|\Sigma\|_F \|H\|_F)` (Thomas et al., 2020), within ±1.
    - "zhu": :math:`P \operatorname{Tr}(H\Sigma) / (\operatorname{Tr} H \operatorname{Tr} \Sigma)` (Zhu et al., 2019),
      1 for noise without a direction.
    - "topk": :math:`\operatorname{Tr}(V_k^\top \Sigma V_k) / \operatorname{Tr} \Sigma`, the share of the noise in the
      span of the k leading eigenvectors of H.

    D has the units of λ: compare it between points of one landscape, not between parametrisations. It is a heuristic,
    and no theorem says that training is harder where it is larger.

    Tr H may be zero or negative. Unless it is positive by its 95 % interval, the trace of the Gauss–Newton matrix takes
    its place in the fraction, or Tr|H| with an operator of one's own; the result says so. "zhu" divides by Tr H once
    more, and then is undefined.

    Cost: for at most ``exact`` parameters P products with each matrix; else ``probes`` with each. Some twenty products
    for λ_max; for "topk" k with Σ. The trace of G takes up to 500, Tr|H| 8 × 80.

    Args:
        landscape: Where.
        variant: The alignment κ: "cosine", "zhu" or "topk".
        denominator: "auto" for Tr H where it is positive; "ggn" or "absolute" for Tr G or Tr|H| in any case.
        k: Eigenvectors of "topk"; 10 by default, or P if that is less. For other variants ``None``.
        operator: H; by default the Hessian of the landscape.
        covariance: Σ; by default the gradient covariance.
        probes: Random vectors of the traces, at least 2.
        exact: Most parameters for which the matrices are formed instead.
        tol: Residual of the eigenvalues, relative to ‖H‖.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every part to.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operators do not fit.
        ObjectiveError: If the objective is a black box, and ``covariance`` is not given.

    Warns:
        ConvergenceWarning: If eigenpairs or a quadrature have not converged.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> inputs = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, 0 * inputs)])
        >>> print(difficulty(landscape))  # with one parameter both are numbers, and the alignment 1
        D = 2.5 (cosine: 1; λ_max²/Tr H)
    """
    require_landscape(landscape)
    _check_arguments(landscape, variant, denominator, k, operator, covariance, probes, exact)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    h = hessian(landscape, engine="double-backward") if operator is None else operator
    s = gradient_covariance(landscape, engine="double-backward") if covariance is None else covariance
    measured, before = (h, s), h.matvecs + s.matvecs
    count = min(10 if k is None else k, landscape.size) if variant == "topk" else 1
    with track(3, "difficulty", progress) as bar:
        if landscape.size <= exact:
            h = _formed(h)
        top = _leading(h, count, tol, source, bar, formed=landscape.size <= exact)
        bar.advance(note="traces")
        sums = alignment_sums(h, s, probes=probes, exact=exact, generator=source)
        hessian_trace = sums.of(lambda t: t[0] * 1.0)
        low = _low(hessian_trace)
        bar.advance(note="denominator")
        replaced, name = _replacement(landscape, denominator, operator, low, h, exact, source, bar)
    taken = (
        sum(matrix.matvecs for matrix in measured)
        - before
        + (0 if replaced is None or name != "Tr G" else replaced.cost.matvecs)
    )
    largest, residual = top.value, top.residual
    share = _share(s, top) if variant == "topk" else None
    reason = _undefined(variant, sums, largest, low)
    alignment = None if _undefined(variant, sums, 1.0, low) else sums.of(lambda t: _alignment(t, variant, h, share))
    index = None
    if reason is None:
        index = _index(sums, largest, variant, h, share, replaced)
    guarded = None
    if replaced is not None and denominator == "auto":
        guarded = f"Tr H = {hessian_trace} is not positive by its error"
    stated = None
    if reason is None and low > 0:
        stated = _index(sums, largest, variant, h, share, None).value
    return Difficulty(
        index=index,
        slack=None if index is None else abs(2 * index.value / largest) * residual,
        variant=variant,
        alignment=alignment,
        largest=largest,
        residual=residual,
        denominator=name,
        trace=hessian_trace if replaced is None else replaced,
        hessian_trace=hessian_trace,
        as_stated=stated,
        reason=reason or guarded,
        cost=Cost(taken, seconds=time.perf_counter() - started),
        provenance=landscape.provenance("double-backward"),
    )


@dataclass(frozen=True)
class _Leading:
    """λ_max, a bound on its error, and the leading eigenvectors (P, k)."""

    value: float
    residual: float
    vectors: Tensor


def _formed(operator: Operator) -> Operator:
    """The same matrix, its products from its entries."""
    matrix = dense(operator)
    matrix = (matrix + matrix.mT) / 2
    return FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=operator.dtype, device=operator.device)


def _leading(h: Operator, count: int, tol: float, source: torch.Generator, bar: Progress, *, formed: bool) -> _Leading:
    if formed:
        matrix = dense(h)
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        return _Leading(float(values[-1]), 0.0, vectors[:, -count:])
    top = eigenpairs(h, count, "LA", tol=tol, generator=source, progress=bar)
    assert top.vectors is not None  # noqa: S101 - they were asked for
    return _Leading(float(top.values[0]), float(top.residuals[0]), top.vectors)


def _low(found: Estimate) -> float:
    interval = found.interval()
    return found.value if interval is None else interval[0]


def _replacement(
    landscape: Landscape,
    denominator: str,
    given: Operator | None,
    low: float,
    h: Operator,
    exact: int,
    source: torch.Generator,
    bar: Progress,
) -> tuple[Estimate | None, str]:
    """Return what stands in the place of Tr H, if something has to, and the name of what λ_max² is divided by."""
    if denominator == "auto" and low > 0:
        return None, "Tr H"
    if denominator == "absolute" or (denominator == "auto" and given is not None):
        if h.shape[0] <= exact:
            matrix = dense(h).double()
            values = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)
            return Estimate(float(values.abs().sum()), standard_error=0.0), "Tr |H|"
        return function_trace(h, torch.abs, generator=source, progress=bar), "Tr |H|"
    g = ggn(landscape, engine="double-backward")
    if g.shape[0] <= exact:
        matrix = dense(g).double()
        return Estimate(float(matrix.trace()), standard_error=0.0, cost=Cost(g.matvecs)), "Tr G"
    return trace(g, generator=source, progress=bar), "Tr G"


def _share(covariance: Operator, top: _Leading) -> float:
    """Tr(VᵀΣV)."""
    return float((top.vectors * (covariance @ top.vectors)).sum())


def _undefined(variant: str, sums: AlignmentSums, largest: float, low: float) -> str | None:
    """Say why there is no index, or nothing."""
    _, noise, _, curved, noisy = sums.values.tolist()
    if noisy <= 0 or noise <= 0:
        return "the gradients of all items are the same, Σ = 0"
    if curved <= 0:
        return "the Hessian is zero"
    if largest <= 0:
        return "no curvature is positive, λ_max ≤ 0"
    if variant == "zhu" and low <= 0:
        return "the ratio of Zhu et al. divides by Tr H, which is not positive by its error; take 'cosine'"
    return None


def _alignment(sums: Tensor, variant: str, h: Operator, share: float | None) -> Tensor:
    trace_h, noise, product, curved, noisy = sums
    if share is not None:
        found = share / noise
    elif variant == "zhu":
        found = h.shape[0] * product / (trace_h * noise)
    else:
        found = product / (noisy * curved).sqrt()
    result: Tensor = found
    return result


def _index(
    sums: AlignmentSums, largest: float, variant: str, h: Operator, share: float | None, replaced: Estimate | None
) -> Estimate:
    """D by the delta method; a replacement of Tr H comes from probes of its own."""

    def value(t: Tensor) -> Tensor:
        below = t[0] if replaced is None else torch.full_like(t[0], replaced.value)
        return largest**2 / below * _alignment(t, variant, h, share)

    found = sums.of(value)
    if replaced is None or not replaced.standard_error or found.standard_error is None:
        return found
    relative = replaced.standard_error / replaced.value
    error = float((found.standard_error**2 + (found.value * relative) ** 2) ** 0.5)
    dofs = [dof for dof in (found.dof, replaced.dof) if dof is not None]
    return Estimate(found.value, error, min(dofs, default=None))


def _check_arguments(
    landscape: Landscape,
    variant: str,
    denominator: str,
    k: int | None,
    operator: Operator | None,
    covariance: Operator | None,
    probes: int,
    exact: int,
) -> None:
    if variant not in ("cosine", "zhu", "topk"):
        raise ArgumentError(f"variant: expected 'cosine', 'zhu' or 'topk', got {variant!r}.")
    if denominator not in ("auto", "ggn", "absolute"):
        raise ArgumentError(f"denominator: expected 'auto', 'ggn' or 'absolute', got {denominator!r}.")
    if k is not None and variant != "topk":
        raise ArgumentError(f"k: expected None with variant={variant!r}, which has no use for it.")
    wholes = {"k": (1 if k is None else k, 1), "probes": (probes, 2), "exact": (exact, 0)}
    for name, (value, least) in wholes.items():
        require_whole(name, value)
        if value < least:
            raise ArgumentError(f"{name}: expected at least {least}, got {value}.")
    if k is not None and k > landscape.size:
        raise ArgumentError(f"k: expected at most the {landscape.size} parameters, got {k}.")
    for name, matrix in (("operator", operator), ("covariance", covariance)):
        if matrix is not None and matrix.shape[0] != landscape.size:
            raise ArgumentError(f"{name}: expected shape ({landscape.size}, {landscape.size}), got {matrix.shape}.")

"""How hard a point is to train at: sharpness, its share of the trace, and the alignment of noise with it."""

import math
import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import eigenpairs, function_trace, trace
from thalweg.krylov._operator import require_whole
from thalweg.krylov._widened import held, widened
from thalweg.landscape import Landscape
from thalweg.measures._alignment import SAME, cosine, norm_of, share, surely_positive, trace_of, zhu
from thalweg.measures._difficulty_results import Difficulty
from thalweg.measures._gradient_noise import require_independent, require_noisy, rounding_of_products
from thalweg.measures._inner_products import InnerProducts, Ratio, inner_products, require_comparable
from thalweg.operators import FunctionOperator, Operator, dense, ggn, gradient_covariance, hessian
from thalweg.operators._composite import require_operator
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
    products: int = 48,
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

    Traces and norms come from the inner products that :func:`alignment` takes, where the computed eigenvectors of H
    count exactly; errors are those of its jackknife, and none for ``products`` from P on.

    Cost: ``products`` products with each matrix, and some twenty for λ_max; P with each if that is at most
    ``products``. For "topk" k with Σ. The trace of G takes up to 500, Tr|H| 8 × 80.

    Args:
        landscape: Where.
        variant: The alignment κ: "cosine", "zhu" or "topk".
        denominator: "auto" for Tr H where it is positive; "ggn" or "absolute" for Tr G or Tr|H| in any case.
        k: Eigenvectors of "topk"; 10 by default, or P if that is less. For other variants ``None``.
        operator: H; by default the Hessian of the landscape.
        covariance: Σ; by default the gradient covariance.
        products: With each matrix for the traces, at least 4 and two more than there are eigenvectors.
        tol: Residual of the eigenvalues, relative to ‖H‖.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every part to.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operators do not fit; without ``covariance`` also if the
            landscape is in train mode or has fewer than two items.
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
    _check_arguments(landscape, variant, denominator, k, operator, covariance)
    if covariance is None:
        require_noisy(landscape)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    h = hessian(landscape, engine="double-backward") if operator is None else operator
    s = gradient_covariance(landscape, engine="double-backward") if covariance is None else covariance
    require_comparable({"operator": h, "covariance": s}, products)
    require_independent(operator=h, covariance=s)
    measured, before, formed = (h, s), h.matvecs + s.matvecs, landscape.size <= products
    count = min(10 if k is None else k, landscape.size) if variant == "topk" else 1
    if not formed and products < count + 2:
        raise ArgumentError(
            f"products: expected at least {count + 2}, two more than the eigenvectors of H, got {products}."
        )
    with track(3, "difficulty", progress) as bar:
        if formed:
            h = _formed(h)
        top = _leading(h, count, tol, source, bar, formed=formed)
        bar.advance(note="traces")
        with track(min(products, landscape.size), "traces", bar) as traces:
            found = inner_products([s, h], top.vectors, products, source, traces)
        inside = _inside(s, top) if variant == "topk" else 0.0
        hessian_trace = trace_of(found, 1)
        bar.advance(note="denominator")
        positive = surely_positive(hessian_trace)
        replaced, name = None, "Tr H"
        if denominator != "auto" or not positive:
            absolute = denominator == "absolute" or (denominator == "auto" and operator is not None)
            replaced, name = _replacement(landscape, h, products, source, bar, absolute=absolute)
    taken = sum(matrix.matvecs for matrix in measured) - before
    if replaced is not None and name == "Tr G":
        taken += replaced.cost.matvecs
    size = landscape.size
    kappa: Ratio = {
        "cosine": lambda cross, _: cosine(cross, 0, 1),
        "zhu": lambda cross, traces: zhu(size, cross, traces, 0, 1),
        "topk": lambda _, traces: share(traces, 0, inside),
    }[variant]
    floor = rounding_of_products(s)
    unaligned = unalignable(found, variant, floor)
    reason = unaligned or ("no curvature is positive, λ_max ≤ 0" if top.value <= 0 else None)
    index = None if reason else difficulty_index(found, top.value, kappa, replaced)
    if index is None:
        reason = reason or f"{name} is not positive"
    elif replaced is not None and denominator == "auto":
        reason = f"Tr H = {hessian_trace} is not positive by its error"
    stated = difficulty_index(found, top.value, kappa) if positive and index is not None else None
    return Difficulty(
        index=index,
        slack=None if index is None else difficulty_slack(index, top.value, top.residual),
        variant=variant,
        alignment=None if unaligned else found.estimate(kappa),
        largest=top.value,
        residual=top.residual,
        denominator=name,
        trace=hessian_trace if replaced is None else replaced,
        hessian_trace=hessian_trace,
        as_stated=None if stated is None else stated.value,
        reason=reason,
        cost=Cost(taken, gradients=int(floor > 0), seconds=time.perf_counter() - started),
        provenance=landscape.provenance("double-backward"),
    )


def difficulty_index(
    found: InnerProducts, largest: float, kappa: Ratio, replaced: Estimate | None = None
) -> Estimate | None:
    """Return D = λ_max²/Tr(H) · κ by the jackknife; a replacement of Tr H comes from probes of its own.

    Args:
        found: Inner products of Σ and H, in this order.
        largest: λ_max > 0.
        kappa: The alignment.
        replaced: What stands in the place of Tr H.
    """

    def value(cross: Tensor, traces: Tensor) -> float | None:
        aligned, below = kappa(cross, traces), float(traces[1]) if replaced is None else replaced.value
        return None if aligned is None or not below > 0 else largest**2 / below * aligned

    index = found.estimate(value)
    if index is None or index.standard_error is None or replaced is None:
        return index
    if replaced.standard_error is None:
        return Estimate(index.value)
    error = math.hypot(index.standard_error, index.value * replaced.standard_error / replaced.value)
    return Estimate(
        index.value, error, min((dof for dof in (index.dof, replaced.dof) if dof is not None), default=None)
    )


def difficulty_slack(index: Estimate, largest: float, residual: float) -> float:
    """Return what an error of λ_max adds to D, to first order."""
    return abs(2 * index.value / largest) * residual


def unalignable(found: InnerProducts, variant: str, floor: float = 0.0) -> str | None:
    """Say why Σ and H have no alignment of this kind, or nothing; Σ is zero where its trace is within the floor."""
    if not norm_of(found, 0).value > 0 or (floor and trace_of(found, 0).value <= floor):
        return SAME
    if not norm_of(found, 1).value > 0:
        return "the Hessian is zero"
    if variant == "zhu" and not surely_positive(trace_of(found, 1)):
        return "the ratio of Zhu et al. divides by Tr H, which is not positive by its error; take 'cosine'"
    if variant != "cosine" and not surely_positive(trace_of(found, 0)):
        return "Tr Σ is not positive by its error; raise products"
    return None


@dataclass(frozen=True)
class _Leading:
    """λ_max, a bound on its error, and the leading eigenvectors (P, k)."""

    value: float
    residual: float
    vectors: Tensor


def _formed(operator: Operator) -> Operator:
    """The same matrix, its products from its entries."""
    matrix = dense(operator).to(held(operator.space).dtype)
    matrix = (matrix + matrix.mT) / 2
    return FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=matrix.dtype, device=operator.device)


def _leading(h: Operator, count: int, tol: float, source: torch.Generator, bar: Progress, *, formed: bool) -> _Leading:
    if formed:
        values, vectors = torch.linalg.eigh(dense(h))
        return _Leading(float(values[-1]), 0.0, vectors[:, -count:])
    top = eigenpairs(h, count, "LA", tol=tol, generator=source, progress=bar)
    assert top.vectors is not None  # noqa: S101 - they were asked for
    return _Leading(float(top.values[0]), float(top.residuals[0]), top.vectors)


def _replacement(
    landscape: Landscape, h: Operator, products: int, source: torch.Generator, bar: Progress, *, absolute: bool
) -> tuple[Estimate, str]:
    """Return what stands in the place of Tr H, and its name."""
    small = landscape.size <= products
    if absolute:
        if small:
            value = float(torch.linalg.eigvalsh(dense(h)).double().abs().sum())
            return Estimate(value, standard_error=0.0), "Tr |H|"
        return function_trace(h, torch.abs, generator=source, progress=bar), "Tr |H|"
    g = ggn(landscape, engine="double-backward")
    if small:
        value = float(dense(g).double().trace())
        return Estimate(value, standard_error=0.0, cost=Cost(g.matvecs)), "Tr G"
    return trace(g, generator=source, progress=bar), "Tr G"


def _inside(covariance: Operator, top: _Leading) -> float:
    """Tr(VᵀΣV)."""
    one = widened(covariance)
    return float(one.space.gram(top.vectors, one @ top.vectors).diagonal().double().sum())


def _check_arguments(
    landscape: Landscape,
    variant: str,
    denominator: str,
    k: int | None,
    operator: Operator | None,
    covariance: Operator | None,
) -> None:
    if variant not in ("cosine", "zhu", "topk"):
        raise ArgumentError(f"variant: expected 'cosine', 'zhu' or 'topk', got {variant!r}.")
    if denominator not in ("auto", "ggn", "absolute"):
        raise ArgumentError(f"denominator: expected 'auto', 'ggn' or 'absolute', got {denominator!r}.")
    if k is not None:
        if variant != "topk":
            raise ArgumentError(f"k: expected None with variant={variant!r}, which has no use for it.")
        require_whole("k", k)
        if k < 1:
            raise ArgumentError(f"k: expected at least 1, got {k}.")
        if k > landscape.size:
            raise ArgumentError(f"k: expected at most the {landscape.size} parameters, got {k}.")
    for name, matrix in (("operator", operator), ("covariance", covariance)):
        if matrix is not None:
            require_operator(matrix, name)
            if matrix.shape[0] != landscape.size:
                raise ArgumentError(f"{name}: expected shape ({landscape.size}, {landscape.size}), got {matrix.shape}.")

"""How the noise of gradients lies to the curvature, or any symmetric matrix to another."""

import math
import time

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._widened import widened
from thalweg.measures._gradient_noise import require_independent, rounding_of_products
from thalweg.measures._inner_products import InnerProducts, inner_products, require_comparable
from thalweg.measures._noise_results import Alignment
from thalweg.operators import Operator
from thalweg.operators._orthonormal import require_orthonormal
from thalweg.progress import Progress, track
from thalweg.vectors import VectorSpace

SAME = "the gradients of all items are the same to rounding, Σ = 0"


def alignment(
    first: Operator,
    second: Operator,
    *,
    top: Eigenpairs | Float[Tensor, " p"] | Float[Tensor, "p k"] | None = None,
    products: int = 48,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Alignment:
    r"""Compare two symmetric matrices, such as a noise covariance A = Σ and a curvature B = H.

    .. math:: \cos = \frac{\operatorname{tr} AB}{\|A\|_F \|B\|_F}, \qquad
              \kappa = \frac{P \operatorname{tr} AB}{\operatorname{tr} A \operatorname{tr} B}, \qquad
              \frac{\sum_k v_k^\top A v_k}{\operatorname{tr} A}

    The cosine (Thomas et al., 2020) is that of the matrices as vectors, in [0, 1] for positive semi-definite ones and
    1 for A ∝ B. The ratio (Zhu et al., 2019) compares with an isotropic A of the same trace, for which it is 1: noise
    climbs so many times faster. It has no bound and grows with P where few directions count. It is ``None`` where a
    trace is not surely positive: take the Gauss-Newton matrix for B there. The share says how much of A lies in
    directions of B, its leading eigenvectors for instance.

    The same random vectors serve all traces, so that the errors of ratios are smaller than those of their parts. What
    sketches of both matrices see, and the given directions, count exactly (Meyer et al., 2021); the jackknife over the
    other vectors gives standard errors, of the vectors alone and not of the data.

    Valid for: matrices that are not zero to rounding, which products do not tell. Of gradient covariances it is known:
    where tr Σ is within a hundred roundings of ‖ḡ‖², ratios are ``None`` and ``reason`` says so.

    Cost: ``products`` products with each matrix, P if that is less, when everything is exact; memory of about a third
    as many vectors. A gradient for each gradient covariance.

    Args:
        first: A, (P, P), positive semi-definite for the names to fit.
        second: B, (P, P).
        top: Directions for the share: eigenpairs of B, or orthonormal columns, shape (P,) or (P, k).
        products: With each matrix, at least 4 and two more than there are directions.
        generator: Of random vectors; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value, the operators act on different spaces, or one is made of the
            gradients of single items that have none, through batch norm in train mode.
        NonFiniteError: If a product is not finite.

    Example:
        >>> import thalweg as tw
        >>> a, b = torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
        >>> found = alignment(tw.FunctionOperator(lambda v: a * v, 2), tw.FunctionOperator(lambda v: b * v, 2))
        >>> round(found.cosine.value, 6), round(found.zhu.value, 6)  # 24/25, 2·24/49
        (0.96, 0.979592)
    """
    require_comparable({"first": first, "second": second}, products)
    require_independent(first=first, second=second)
    one = widened(first)
    columns, values = directions(one.space, top)
    started = time.perf_counter()
    with track(min(products, first.space.size), "alignment", progress) as bar:
        found = inner_products([first, second], columns, products, generator, bar)
        quotients = None if columns is None else one.space.gram(columns, one @ columns).diagonal().double().cpu()
    floors = [rounding_of_products(matrix) for matrix in (first, second)]
    zero = any(floor and trace_of(found, place).value <= floor for place, floor in enumerate(floors))
    made = 2 * found.made + (0 if columns is None else columns.shape[1])
    cost = Cost(matvecs=made, gradients=sum(floor > 0 for floor in floors), seconds=time.perf_counter() - started)
    return aligned(found, first.space.size, quotients, values, cost, first.provenance, SAME if zero else None)


def aligned(
    found: InnerProducts,
    size: int,
    quotients: Tensor | None,
    values: Tensor | None,
    cost: Cost,
    provenance: Provenance | None,
    reason: str | None = None,
) -> Alignment:
    """Say what inner products of A and B, in this order, tell about them.

    Args:
        found: The inner products.
        size: P.
        quotients: vᵀAv of directions, shape (k,).
        values: Eigenvalues of B that belong to them.
        cost: What they took.
        provenance: How products with A are computed.
        reason: Why ratios would be made of rounding; ``None`` where they are not.
    """
    share = None if quotients is None else share_of(found, 0, float(quotients.sum()))
    return Alignment(
        cosine=None if reason else found.estimate(lambda cross, _: cosine(cross, 0, 1)),
        zhu=None if reason else zhu_of(found, size, 0, 1),
        inner=_required(found.estimate(lambda cross, _: float(cross[0, 1]))),
        first_trace=trace_of(found, 0),
        second_trace=trace_of(found, 1),
        first_norm=norm_of(found, 0),
        second_norm=norm_of(found, 1),
        multiple=None if reason else found.estimate(lambda cross, _: multiple(cross, 0, 1)),
        residual=None if reason else residual_of(found, 0, 1),
        quotients=quotients,
        values=values,
        top_share=None if reason else share,
        top_null=None if quotients is None else len(quotients) / size,
        cost=cost,
        provenance=provenance,
        reason=reason,
    )


def directions(space: VectorSpace, top: Eigenpairs | Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return orthonormal columns (P, k) and the eigenvalues that belong to them.

    Raises:
        ArgumentError: If they are not orthonormal, do not fit the space, or there are none.
    """
    if top is None:
        return None, None
    if not isinstance(top, Eigenpairs):
        return require_orthonormal(space, top, "top"), None
    if top.vectors is None:
        raise ArgumentError("top: expected eigenpairs with vectors, got some without.")
    return require_orthonormal(space, top.vectors, "top"), top.values.double().cpu()


def cosine(cross: Tensor, i: int, j: int) -> float | None:
    """Return tr A_iA_j/(‖A_i‖_F ‖A_j‖_F)."""
    scale = _root(float(cross[i, i])) * _root(float(cross[j, j]))
    # Rounding leaves the interval by a few units in the last place.
    return None if not scale > 0 else max(-1.0, min(1.0, float(cross[i, j]) / scale))


def multiple(cross: Tensor, i: int, j: int) -> float | None:
    """Return the c that minimises ‖A_i − cA_j‖_F."""
    return None if not float(cross[j, j]) > 0 else float(cross[i, j] / cross[j, j])


def residual_of(found: InnerProducts, i: int, j: int, factor: float | None = None) -> Estimate | None:
    """Return ‖A_i − cA_j‖_F/‖A_i‖_F, at the best c or a given one."""

    def residual(cross: Tensor, traces: Tensor) -> float | None:
        del traces
        best = multiple(cross, i, j) if factor is None else factor
        if best is None or not float(cross[i, i]) > 0:
            return None
        return _root(float((cross[i, i] - 2 * best * cross[i, j] + best**2 * cross[j, j]) / cross[i, i]))

    return found.estimate(residual)


def trace_of(found: InnerProducts, i: int) -> Estimate:
    """Return tr A_i."""
    return _required(found.estimate(lambda _, traces: float(traces[i])))


def norm_of(found: InnerProducts, i: int) -> Estimate:
    """Return ‖A_i‖_F."""
    return _required(found.estimate(lambda cross, _: _root(float(cross[i, i]))))


def surely_positive(estimate: Estimate) -> bool:
    """Whether the 95 % interval lies above zero; a ratio to what may be zero says nothing."""
    interval = estimate.interval()
    return estimate.value > 0 and (interval is None or interval[0] > 0)


def zhu(size: int, cross: Tensor, traces: Tensor, i: int, j: int) -> float | None:
    """Return P·tr A_iA_j/(tr A_i · tr A_j)."""
    below = float(traces[i] * traces[j])
    return None if not below > 0 else size * float(cross[i, j]) / below


def zhu_of(found: InnerProducts, size: int, i: int, j: int) -> Estimate | None:
    """Return P·tr A_iA_j/(tr A_i · tr A_j), unless a trace may be zero."""
    if not (surely_positive(trace_of(found, i)) and surely_positive(trace_of(found, j))):
        return None
    return found.estimate(lambda cross, traces: zhu(size, cross, traces, i, j))


def share(traces: Tensor, i: int, inside: float) -> float | None:
    """Return a part of tr A_i as a share."""
    return None if not float(traces[i]) > 0 else inside / float(traces[i])


def share_of(found: InnerProducts, i: int, inside: float) -> Estimate | None:
    """Return a part of tr A_i as a share, unless tr A_i may be zero."""
    if not surely_positive(trace_of(found, i)):
        return None
    return found.estimate(lambda _, traces: share(traces, i, inside))


def _root(value: float) -> float:
    return math.sqrt(max(0.0, value))


def _required(estimate: Estimate | None) -> Estimate:
    assert estimate is not None  # noqa: S101 - sums always have a value
    return estimate

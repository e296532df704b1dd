"""How noisy stochastic gradients are."""

import math
import time
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import Eigenpairs, eigenpairs
from thalweg.krylov._operator import require_whole
from thalweg.krylov._widened import held, widened
from thalweg.landscape import Landscape
from thalweg.measures._inner_products import InnerProducts, inner_products, require_comparable
from thalweg.measures._item_gradients import Distances, Way, distances
from thalweg.measures._noise_results import GradientNoise
from thalweg.operators import Composite, Curvature, Operator, gradient_covariance
from thalweg.operators._covariance import dependent, require_items
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

_ROUNDINGS = 100
_OF_ITEMS = ("gradient covariance", "empirical fisher")


def gradient_noise(
    landscape: Landscape,
    *,
    curvature: Operator | None = None,
    top: int = 0,
    products: int = 48,
    memory: int | Literal["auto"] = "auto",
    way: Way = "auto",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> GradientNoise:
    r"""Measure the noise of single items' gradients g_i, and the batch sizes at which it equals the signal.

    .. math:: \operatorname{tr} \Sigma = \frac1N \sum_i \|g_i - \bar g\|^2, \qquad
              B_\text{simple} = \frac{\operatorname{tr} \Sigma}{\|\bar g\|^2}, \qquad
              B_\text{noise} = \frac{\operatorname{tr} H\Sigma}{\bar g^\top H \bar g}

    (McCandlish et al., 2018). Batches much smaller than B_noise make steps of noise, much larger ones are wasted;
    B_simple is the same where H is a multiple of the identity.

    Σ is that of one item. A minibatch of B has Σ/B, or less without replacement: :func:`minibatch_covariance`.

    tr Σ is exact for these data: no probes, one pass, with an error that says how it would differ on other data of the
    same kind. ‖ḡ‖² holds the noise that is left in the mean of N items: its expectation is that of all data plus
    tr Σ/N. ``population_scale`` corrects for it, and equals the estimate by batches of 1 and N of McCandlish et al.;
    it is ``None`` where what is left of ‖ḡ‖² is not positive. Errors of the scales are of first order, and say little
    where ``signal`` is not several errors away from tr Σ/N.

    The items' gradients are never held together: items go in groups by vectorised derivatives, or one by one, whichever
    is faster. Of linear layers not even those of one item are formed (‖δaᵀ‖ = ‖δ‖‖a‖; Goodfellow, 2015). With ``way``
    the result says which it was. An estimate of tr Σ by two random products costs as much as all that, and misses by
    some √(1/d) where d eigenvalues hold the trace.

    Valid for: gradients that differ. Where all are the same to s digits, the square of their differences has 2s digits
    less than the landscape's type; groups that are seen to lose them are given up for items one by one, from each of
    which the mean is subtracted before anything is squared, and which lose s. What differs within a hundred roundings
    is the same, with tr Σ = 0. Products with Σ see no tr Σ below a hundred roundings of ‖ḡ‖²: there ``top`` and what
    needs a curvature are ``None``.

    Cost: two gradients, the second of single items (1 to 3 times the first), or N backward passes where items cannot go
    together or batches are of up to four; with ``curvature`` as many products with it and with Σ as ``products``, and
    one; with ``top`` those of :func:`thalweg.eigenpairs`.

    Args:
        landscape: In eval mode, with at least two items that its objective lets be seen.
        curvature: H for B_noise, such as ``tw.hessian(landscape)``.
        top: How many leading eigenpairs of Σ.
        products: Products with H and with Σ that tr HΣ may take; exact if they are P.
        memory: Bytes for the gradients and graphs of some items, or "auto" for half of what is free.
        way: "together" in groups wherever that is right, or "one by one"; "auto" looks at the clock, so that the last
            bits may differ from run to run.
        generator: Of random vectors; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every item to.

    Raises:
        ArgumentError: If an argument has a wrong value, the landscape is in train mode or has fewer than two items.
        MemoryBudgetError: If ``memory`` does not hold the gradient of one item.
        NonFiniteError: If a loss or gradient is not finite.
        ObjectiveError: If the objective is a black box.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> inputs, targets = torch.ones(2, 1), torch.tensor([[1.0], [3.0]])  # gradients −1 and −3
        >>> found = gradient_noise(tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)]))
        >>> found.trace.value, found.signal.value, found.scale.value
        (1.0, 4.0, 0.25)
    """
    require_noisy(landscape)
    require_whole("top", top)
    if top < 0:
        raise ArgumentError(f"top: expected at least 0, got {top}.")
    if top > landscape.size:
        raise ArgumentError(f"top: expected at most the {landscape.size} parameters, got {top}.")
    started, space = time.perf_counter(), held(landscape.space)
    covariance = gradient_covariance(landscape)
    if curvature is not None:
        require_comparable({"landscape": covariance, "curvature": curvature}, products)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with track(landscape.count, "gradient noise", progress) as bar:
        # Squares of half precision would be of no use.
        mean = landscape.gradient().to(space.dtype)
        found = distances(landscape, mean, memory, bar, way)
        signal = space.norm(mean) ** 2
        # Products with a Σ that is zero to their rounding show nothing else.
        known = float(found.squares.mean()) > rounding_of(landscape, signal)
        pairs = eigenpairs(covariance, top, generator=source, progress=bar) if top and known else None
        inner = None
        if curvature is not None and known:
            inner = inner_products([covariance, curvature], _vectors(pairs), products, source, bar)
    along = None if curvature is None or inner is None else space.dot(mean, widened(curvature) @ mean)
    traced = None if inner is None else inner.estimate(lambda cross, _: float(cross[0, 1]))
    made = 0 if inner is None else 2 * inner.made + 1
    cost = Cost(
        made + (0 if pairs is None else pairs.matvecs),
        gradients=2 + int(inner is not None or pairs is not None),
        seconds=time.perf_counter() - started,
    )
    weighted = None if inner is None or along is None or along <= 0 else _scaled(inner, along)
    engine = covariance.provenance.engine if inner is not None or pairs is not None else None
    return replace(
        scales(found, signal, landscape.count, landscape.precision),
        curvature_trace=traced,
        curvature_scale=weighted,
        top=pairs,
        cost=cost,
        provenance=landscape.provenance(engine),
    )


def require_noisy(landscape: Landscape) -> None:
    """Refuse a landscape whose items have no gradients of their own, or no noise.

    Raises:
        ArgumentError: If it is in train mode, or has fewer than two items.
        ObjectiveError: If the objective is a black box.
    """
    require_landscape(landscape)
    require_items(landscape, "gradient noise")
    require_separate(landscape)
    if landscape.count < 2:
        raise ArgumentError(
            f"landscape: expected at least 2 data items, since one has no noise, got {landscape.count}."
        )


def require_separate(landscape: Landscape) -> None:
    """Refuse a landscape whose items have no gradients of their own.

    Raises:
        ArgumentError: If it is in train mode.
    """
    if landscape.mode == "train":
        raise ArgumentError(
            "landscape: expected one with mode='eval', got mode='train', where the batch is the unit: through batch "
            "norm an item's loss depends on the other items, and it has no gradient of its own. Build the landscape "
            "with mode='eval', which uses the running statistics."
        )


def require_independent(**operators: Operator) -> None:
    """Refuse matrices made of items' gradients where no item has one of its own.

    Raises:
        ArgumentError: If one is of a landscape with batch norm in train mode.
    """
    for name, operator in operators.items():
        if isinstance(operator, Curvature) and operator.kind in _OF_ITEMS and dependent(operator.landscape):
            raise ArgumentError(
                f"{name}: expected a {operator.kind} in eval mode, got one with batch norm in train mode, where an "
                "item's loss depends on the other items, and it has no gradient of its own. Build the landscape with "
                "mode='eval', which uses the running statistics."
            )


def _vectors(pairs: Eigenpairs | None) -> Tensor | None:
    return None if pairs is None else pairs.vectors


def _scaled(inner: InnerProducts, along: float) -> Estimate | None:
    return inner.estimate(lambda cross, _: float(cross[0, 1]) / along)


def rounding_of(landscape: Landscape, signal: float) -> float:
    """Return the tr Σ up to which products with Σ are rounding: the mean is subtracted from what it cancels."""
    return _ROUNDINGS * landscape.precision * signal


def rounding_of_products(operator: Operator) -> float:
    """The same for a matrix, 0 for one that is no gradient covariance, nor a multiple or a compression of one."""
    if isinstance(operator, Composite):
        factor = operator.factor
        # What changes the sign has a negative trace, which is no rounding.
        return 0.0 if factor is None or factor <= 0 else factor * rounding_of_products(operator.parts[0])
    if not isinstance(operator, Curvature) or operator.kind != "gradient covariance":
        return 0.0
    landscape = operator.landscape
    return rounding_of(landscape, landscape.space.norm(landscape.gradient()) ** 2)


def scales(found: Distances, signal: float, count: int, eps: float = 0.0) -> GradientNoise:
    """Tr Σ and the scales, with errors of first order from the influence of every item on tr Σ and on ‖ḡ‖².

    Args:
        found: Of the items' gradients from the mean.
        signal: ‖ḡ‖².
        count: N.
        eps: Unit roundoff of the gradients; distances within a hundred of these are zero.
    """
    if float(found.squares.mean()) <= (_ROUNDINGS * eps) ** 2 * signal:
        found = replace(found, squares=torch.zeros_like(found.squares), along=torch.zeros_like(found.along))
    trace = float(found.squares.mean())
    # Removing what an item adds: d_i − tr Σ of the trace, 2 (g_i − ḡ)ᵀḡ of the signal.
    on_trace, on_signal = found.squares - trace, 2 * found.along

    def estimate(value: float, influence: Tensor) -> Estimate:
        error = math.sqrt(float(influence.square().sum()) / (count * (count - 1)))
        return Estimate(value, standard_error=0.0, data_error=error)

    scale = population = None
    if signal > 0:
        scale = estimate(trace / signal, on_trace / signal - on_signal * (trace / signal**2))
    unbiased = trace * count / (count - 1)
    left = signal - unbiased / count
    if left > 0:
        of_trace = on_trace * (count / (count - 1))
        of_signal = on_signal - of_trace / count
        population = estimate(unbiased / left, of_trace / left - of_signal * (unbiased / left**2))
    return GradientNoise(
        trace=estimate(trace, on_trace),
        signal=estimate(signal, on_signal),
        scale=scale,
        population_scale=population,
        curvature_trace=None,
        curvature_scale=None,
        top=None,
        samples=count,
        way=found.way,
        cost=Cost(),
    )

"""The noise of small batches: of their gradients, and of their curvature in one direction."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches
from thalweg.errors import DataError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._widened import held, widened
from thalweg.landscape import Landscape
from thalweg.landscape._batches import rows_of
from thalweg.measures import GradientNoise, gradient_noise
from thalweg.measures._dealt import hands
from thalweg.measures._inner_products import inner_products
from thalweg.operators import Operator, gradient_covariance, hessian
from thalweg.progress import Progress, track

# Batches that the items are dealt into where there are more items.
_GRADIENTS, _PRODUCTS = 256, 32
# Products with H and with Σ for their common trace.
_COMMON = 24


@dataclass(frozen=True)
class BatchNoise:
    """The covariance Σ of the items' gradients, as far as a diagnosis needs it.

    Attributes:
        gradients: Tr Σ and the scales.
        along: uᵀΣu for the vectors that were asked about.
        curvature: Tr(HΣ); ``None`` where it was not asked for.
        diagonal: Σ_ii, shape (P,); ``None`` where it was not asked for or the data cannot be cut.
        uncut: Why they cannot.
        cost: What it took, beside products with H.
    """

    gradients: GradientNoise
    along: list[float]
    curvature: Estimate | None
    diagonal: Tensor | None
    uncut: str | None
    cost: Cost


def batch_noise(
    landscape: Landscape,
    gradient: Float[Tensor, " p"],
    vectors: Float[Tensor, "p k"],
    operator: Operator | None,
    generator: torch.Generator,
    bar: Progress,
    *,
    diagonal: bool,
) -> BatchNoise:
    """Look at the gradients of all items.

    Args:
        landscape: In eval mode, of at least two items.
        gradient: ∇L, of single precision at least.
        vectors: Leading eigenvectors of H, along which the noise is wanted.
        operator: H, where Tr(HΣ) is wanted.
        generator: Of random vectors and of the order of the items.
        bar: Told of items and products.
        diagonal: Whether Σ_ii is wanted.
    """
    found = gradient_noise(landscape, way="together", progress=bar)
    covariance = gradient_covariance(landscape, engine="double-backward")
    noisy = widened(covariance)
    along = noisy.space.gram(vectors, noisy @ vectors).diagonal().tolist()
    curvature = None
    if operator is not None:
        with track(min(_COMMON, landscape.size), "trace of HΣ", bar) as products:
            inner = inner_products([covariance, operator], vectors, _COMMON, generator, products)
        curvature = inner.estimate(lambda cross, _: float(cross[0, 1]))
    cost = found.cost + Cost(covariance.matvecs, gradients=int(diagonal))
    squares = uncut = None
    if diagonal:
        try:
            squares = _diagonal(landscape, gradient, generator)
        except DataError as error:
            uncut = str(error)
    return BatchNoise(found, along, curvature, squares, uncut, cost)


def _diagonal(landscape: Landscape, gradient: Float[Tensor, " p"], generator: torch.Generator) -> Float[Tensor, " p"]:
    """Return Σ_ii from the gradient of every item, or of many equal small batches, each once.

    A batch of s items drawn without replacement has a gradient of covariance (Σ/s)·(N − s)/(N − 1).
    """
    count = landscape.count
    size = max(1, math.ceil(count / _GRADIENTS))
    scale = size * (count - 1) / (count - size)
    batches, squares = Minibatches(landscape, size, generator), torch.zeros_like(gradient)
    with landscape.reading():
        theta = landscape.theta
        for _ in range(batches.steps):
            deviation = batches.slope(theta)[1].to(gradient.dtype) - gradient
            squares.addcmul_(deviation, deviation, value=scale)
    return squares / batches.steps


def curvature_spread(
    landscape: Landscape, direction: Float[Tensor, " p"], product: Float[Tensor, " p"], generator: torch.Generator
) -> Estimate:
    r"""Estimate mean ‖H_i v‖² − ‖H v‖² over the items, from the Hessians of parts of the data.

    Like gradients, :math:`H_i = (N/\sum_j w_j) \sum_{j \in i} w_j \nabla^2 \ell_j`: zero for an item without weight.

    Args:
        landscape: In eval mode, of at least two items.
        direction: v, of single precision at least.
        product: H v.
        generator: Of the parts.
    """
    count, squares, shares = landscape.count, list[float](), list[float]()
    parts, space = min(_PRODUCTS, count), held(landscape.space)
    for hand in hands(landscape, parts, generator):
        size = sum(rows_of(batch, "landscape") for batch in hand)
        # Divided by the weight of all data, so that a part may have none.
        seen = landscape.seen_as(landscape.objective, hand)
        part = seen if landscape.microbatch is None else seen.in_pieces(landscape.microbatch)
        operator = widened(hessian(part, engine="double-backward"))
        squares.append(space.norm((operator @ direction) * (count / size) - product) ** 2)
        shares.append((count - size) / (size * (count - 1)))
    share = sum(shares) / parts
    return _mean([square / share for square in squares], whole=parts == count)


def _mean(values: list[float], *, whole: bool) -> Estimate:
    """The mean, exact where the values are those of all items."""
    n = len(values)
    mean = math.fsum(values) / n
    if whole:
        return Estimate(mean, standard_error=0.0)
    if n < 2:
        return Estimate(mean)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Estimate(mean, standard_error=math.sqrt(variance / n), dof=n - 1)

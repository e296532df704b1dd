"""The noise of small batches: of their gradients, and of their curvature in one direction."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches
from thalweg.estimate import Estimate
from thalweg.landscape import Landscape
from thalweg.measures._dealt import dealt
from thalweg.operators import Operator, hessian

# Batches that the items are dealt into where there are more items.
_GRADIENTS, _PRODUCTS = 256, 32


@dataclass(frozen=True)
class GradientNoise:
    """The covariance Σ of the items' gradients, as far as a diagnosis needs it.

    Attributes:
        trace: Tr Σ.
        diagonal: Σ_ii, shape (P,).
        along: uᵀΣu for the vectors that were asked about.
        curvature: Tr(HΣ); ``None`` where it was not asked for.
        gradients: Gradients of small batches, in full gradients.
    """

    trace: Estimate
    diagonal: Tensor
    along: list[float]
    curvature: Estimate | None
    gradients: int


def gradient_noise(
    landscape: Landscape,
    gradient: Float[Tensor, " p"],
    vectors: Float[Tensor, "p k"],
    operator: Operator | None,
    generator: torch.Generator,
    *,
    directions: int = 16,
) -> GradientNoise:
    """Look at the gradient of every item, or of many equal small batches, each once.

    A batch of s items drawn without replacement has a gradient of covariance (Σ/s)·(N − s)/(N − 1).

    Args:
        landscape: Of at least two items.
        gradient: ∇L.
        vectors: Directions along which the noise is wanted.
        operator: H, where Tr(HΣ) is wanted.
        generator: Of the order of the items.
        directions: Deviations that are multiplied for Tr(HΣ), at most.
    """
    space, count = landscape.space, landscape.count
    size = max(1, math.ceil(count / _GRADIENTS))
    scale = size * (count - 1) / (count - size)
    batches = Minibatches(landscape, size, generator)
    squares, diagonal = list[float](), torch.zeros_like(gradient)
    along, kept = torch.zeros(vectors.shape[1], dtype=torch.float64), list[Tensor]()
    with landscape.reading():
        theta = landscape.theta
        for _ in range(batches.steps):
            deviation = batches.slope(theta)[1] - gradient
            squares.append(scale * space.norm(deviation) ** 2)
            diagonal.addcmul_(deviation, deviation, value=scale)
            along += scale * space.dots(vectors, deviation).double().square().cpu()
            if operator is not None and len(kept) < directions:
                kept.append(deviation)
    curvature = None
    if operator is not None:
        products = operator @ torch.stack(kept).mT
        forms = [scale * space.dot(v, w) for v, w in zip(kept, products.mT, strict=True)]
        curvature = _mean(forms, whole=len(kept) == count)
    n = batches.steps
    trace = _mean(squares, whole=size == 1)
    return GradientNoise(trace, diagonal / n, (along / n).tolist(), curvature, 1)


def curvature_spread(
    landscape: Landscape, direction: Float[Tensor, " p"], product: Float[Tensor, " p"], generator: torch.Generator
) -> Estimate:
    """Estimate mean ‖H_i v‖² − ‖H v‖² over the items, from the Hessians of parts of the data.

    Args:
        landscape: In eval mode, of at least two items.
        direction: v.
        product: H v.
        generator: Of the parts.
    """
    count, squares, shares = landscape.count, list[float](), list[float]()
    parts = min(_PRODUCTS, count)
    for part in dealt(landscape, parts, generator):
        deviation = hessian(part, engine="double-backward") @ direction - product
        squares.append(landscape.space.norm(deviation) ** 2)
        shares.append((count - part.count) / (part.count * (count - 1)))
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

"""The curvature of a layer, relative to its weights."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._hutchinson import trace
from thalweg.krylov._operator import require_symmetric, require_whole
from thalweg.landscape import Landscape
from thalweg.operators import Operator, hessian
from thalweg.operators._composite import Composite
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track
from thalweg.vectors import VectorSpace

_BLOCK = 8


def relative_flatness(
    landscape: Landscape,
    layer: str,
    *,
    matrix: Callable[[Landscape], Operator] = hessian,
    rtol: float = 0.05,
    probes: int | None = None,
    exact: int = 128,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Return the relative flatness of a layer (Petzka et al., 2021), which is small where the loss is flat.

    .. math:: \kappa = \sum_{s, s'} \langle w_s, w_{s'} \rangle \operatorname{tr} H_{s s'}
              = \operatorname{tr} \bigl((W W^\top \otimes I)\, H\bigr)

    for a weight matrix with rows :math:`w_s`, one for each neuron, and the blocks :math:`H_{s s'}` of the layer's own
    Hessian. With :math:`W = U S V^\top` of rank r it is the trace of :math:`B^\top H B` with BZ = USZ, of only
    r × inputs dimensions, whose products cost one product with H each: exact by as many products where these are at
    most ``exact``, by Hutchinson's probes otherwise.

    Invariant where scale moves between ReLU layers, which changes the curvature of the weights alone at will (Dinh et
    al., 2017): for a whole layer, and for each of its neurons on its own; for its inputs only by one common factor.
    A curvature, no bound on how far the loss rises; away from minima it can be negative.

    Petzka et al. define it for matrices; a convolution's weight is read as outputs × (inputs × window), and biases
    have none.

    Cost: products with the layer's matrix: r × inputs of them where that is at most ``exact``, else as for
    :func:`thalweg.trace`.

    Args:
        landscape: Where to measure.
        layer: The name of the layer's weight, one of ``landscape.layout.names``, of at least two axes.
        matrix: Makes the operator on the landscape of the layer alone, ``tw.ggn`` for one that is never negative.
        rtol: Half-width of the 95 % interval to reach with probes, relative to |κ|. Ignored where ``probes`` is given.
        probes: A fixed number of probes, at least 2.
        exact: The most products to be exact for; 0 never is.
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every block of products to.

    Raises:
        ArgumentError: If an argument has a wrong value, or there is no such weight.
        NonFiniteError: If a product is not finite.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = model.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(x, torch.zeros(2, 1).double())])  # H = ½ I
        >>> print(relative_flatness(landscape, "weight"))  # ‖w‖² tr H
        25
    """
    require_landscape(landscape)
    require_whole("exact", exact)
    if exact < 0:
        raise ArgumentError(f"exact: expected at least 0, got {exact}.")
    if not callable(matrix):
        raise ArgumentError(
            f"matrix: expected a function of a landscape, such as tw.hessian, got {type(matrix).__name__}."
        )
    started = time.perf_counter()
    weight = _weight(landscape, layer)
    operator = matrix(landscape.restricted([layer]))
    require_symmetric(operator)
    if operator.space.size != weight.numel():
        raise ArgumentError(
            f"matrix: expected an operator of shape {(weight.numel(),) * 2} for {layer}, got {operator.shape}."
        )
    root = _root(weight)
    if root.shape[1] == 0:
        return Estimate(0.0, 0.0, provenance=operator.provenance)
    inner = _seen_by(operator, root, weight.shape[1])
    if inner.space.size <= exact:
        found = _whole(inner, progress)
    else:
        found = trace(inner, rtol=rtol, probes=probes, generator=generator, progress=progress)
    cost = Cost(matvecs=operator.matvecs, seconds=time.perf_counter() - started)
    return replace(found, cost=cost, provenance=operator.provenance)


def _weight(landscape: Landscape, layer: str) -> Tensor:
    parts = landscape.split(landscape.theta)
    if layer not in parts:
        raise ArgumentError(f"layer: expected the name of a weight, got {layer!r}. There are {', '.join(parts)}.")
    weight = parts[layer]
    if weight.ndim < 2:
        raise ArgumentError(
            f"layer: expected a weight of at least two axes, outputs first, got {layer} of shape {tuple(weight.shape)}."
        )
    return weight.reshape(weight.shape[0], -1)


def _root(weight: Tensor) -> Tensor:
    """R of full rank with R Rᵀ = W Wᵀ, (outputs, r)."""
    # Not every device has double precision.
    left, values, _ = torch.linalg.svd(weight.cpu().double(), full_matrices=False)
    kept = values > values.max() * max(weight.shape) * torch.finfo(weight.dtype).eps
    root: Tensor = (left[:, kept] * values[kept]).to(weight)
    return root


def _seen_by(operator: Operator, root: Tensor, inputs: int) -> Composite:
    """BᵀHB for BZ = RZ, Z of shape (r, inputs)."""
    outputs, rank = root.shape
    space = operator.space

    def product(block: Tensor) -> Tensor:
        count = block.shape[1]
        moved = torch.matmul(root, block.mT.reshape(count, rank, inputs)).reshape(count, outputs * inputs)
        image = (operator @ moved.mT).mT.reshape(count, outputs, inputs)
        return torch.matmul(root.mT, image).reshape(count, rank * inputs).mT

    inner = VectorSpace(rank * inputs, space.dtype, space.device)
    return Composite(inner, (operator,), product, None, f"relative flatness({operator!r})")


def _whole(operator: Composite, progress: bool | Progress) -> Estimate:
    """The trace entry by entry."""
    space, total = operator.space, 0.0
    with track(space.size, "relative flatness", progress) as bar:
        for start in range(0, space.size, _BLOCK):
            count = min(_BLOCK, space.size - start)
            columns = space.zeros(count)
            rows = torch.arange(count, device=space.device)
            columns[start + rows, rows] = 1
            image = operator @ columns
            total += float(image[start + rows, rows].cpu().double().sum())
            bar.advance(count)
    return Estimate(total, 0.0)

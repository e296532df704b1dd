"""The generalized Gauss–Newton matrix, and what the Hessian has beyond it."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import gradients_of
from thalweg.operators._curvature import Curvature, EngineName, Way
from thalweg.operators._form import Congruence, Leaves, SecondDerivative, Values
from thalweg.operators._outputs import Structure, require_convex
from thalweg.operators._require import require_landscape


def ggn(
    landscape: Landscape,
    *,
    engine: EngineName = "auto",
    memory: int | Literal["auto"] = "auto",
    keep: bool = True,
) -> Curvature:
    r"""Return the generalized Gauss–Newton matrix as an operator (Schraudolph, 2002).

    .. math:: G = \frac{1}{\sum_j w_j} \sum_j w_j\, J_j^\top\, \nabla_f^2 \ell_j\, J_j

    over the terms j, with the Jacobian J_j of the outputs f that the term depends on. It is the Hessian of the loss of
    the linearised model, positive semi-definite for terms that are convex in the outputs, and the Hessian itself for
    linear models. For likelihoods it equals the exact Fisher (Martens, 2020).

    Cost of a product: J v and its image back, about 1.3 gradients while graphs are kept, 0.4 more where they have to
    be rebuilt.

    Args:
        landscape: Where to differentiate; its objective declares ``convex``.
        engine: "double-backward", "forward-over-reverse", or "auto", which tries them and keeps the fastest.
        memory: Bytes that products may hold beyond the landscape and their vectors: kept graphs, and what passes
            through them; "auto" for half of what is free at the first product. Micro-batches are cut to fit.
        keep: Whether graphs are kept for later products while the memory lasts.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DifferentiationError: From a product, if an operation of the model has no derivative of the kind needed.
        MemoryBudgetError: From a product, if ``memory`` does not hold one sample.
        ObjectiveError: If the objective does not declare its terms convex in the outputs.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> inputs = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> ggn(tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(2, 1))])).dense()  # XᵀX/2
        tensor([[ 5.,  7.],
                [ 7., 10.]])
    """
    require_landscape(landscape)
    require_convex(landscape, "generalized Gauss–Newton matrix")
    return Curvature("ggn", landscape, gauss_newton_form(landscape), Way(engine, memory, keep))


def residual(
    landscape: Landscape,
    *,
    engine: EngineName = "auto",
    memory: int | Literal["auto"] = "auto",
    keep: bool = True,
) -> Curvature:
    r"""Return what the Hessian has beyond the Gauss–Newton matrix, R = H − G, as an operator.

    .. math:: R = \frac{1}{\sum_j w_j} \sum_j w_j \sum_c \frac{\partial \ell_j}{\partial f_c} \nabla^2 f_c

    the curvature of the outputs weighted by the slopes of the loss, which vanishes where the slopes do. It is computed
    as it stands here, not as a difference. Cost of a product: that of the Hessian.

    Args:
        landscape: Where to differentiate; its objective declares ``convex``.
        engine: "double-backward", "forward-over-reverse", or "auto", which tries them and keeps the fastest.
        memory: Bytes that products may hold beyond the landscape and their vectors: kept graphs, and what passes
            through them; "auto" for half of what is free at the first product. Micro-batches are cut to fit.
        keep: Whether graphs are kept for later products while the memory lasts.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DifferentiationError: From a product, if an operation of the model has no derivative of the kind needed.
        MemoryBudgetError: From a product, if ``memory`` does not hold one sample.
        ObjectiveError: If the objective does not declare its terms convex in the outputs.

    Example:
        >>> import thalweg as tw
        >>> a, b = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
        >>> model = torch.nn.Sequential(a, b)
        >>> for layer in model:
        ...     _ = torch.nn.init.constant_(layer.weight, 2.0)
        >>> one = torch.ones(1, 1)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, one)])
        >>> residual(landscape).dense()  # (ab − 1)·[[0, 1], [1, 0]]
        tensor([[0., 3.],
                [3., 0.]])
    """
    require_landscape(landscape)
    require_convex(landscape, "residual part H − G")
    structure = Structure()

    def scalar(leaves: Leaves, batch: Batch) -> Tensor:
        values = structure.taken_apart(landscape.outputs(leaves, batch))
        slopes = gradients_of(*_loss(landscape, structure, tuple(value.detach() for value in values), batch))
        pairs = zip(values, slopes, strict=True)
        return sum((value * slope).sum() for value, slope in pairs if slope is not None)  # type: ignore[return-value]  # a tensor

    return Curvature("residual", landscape, SecondDerivative(scalar), Way(engine, memory, keep))


def gauss_newton_form(landscape: Landscape) -> Congruence:
    """The matrix as a form: outputs, and the Hessian of the loss in them."""
    structure = Structure()

    def values(leaves: Leaves, batch: Batch) -> Values:
        return structure.taken_apart(landscape.outputs(leaves, batch))

    def middle(outputs: Values, batch: Batch) -> Callable[[Values], Values]:
        loss, inputs = _loss(landscape, structure, outputs, batch)
        slopes = gradients_of(loss, inputs, create_graph=True)
        moving = [(i, slope) for i, slope in enumerate(slopes) if slope is not None and slope.requires_grad]

        def multiplied(tangents: Values) -> Values:
            if not moving:
                return tuple(map(torch.zeros_like, tangents))
            images = torch.autograd.grad(
                [slope for _, slope in moving],
                inputs,
                [tangents[i] for i, _ in moving],
                retain_graph=True,
                allow_unused=True,
            )
            return tuple(torch.zeros_like(t) if i is None else i for t, i in zip(tangents, images, strict=True))

        return multiplied

    return Congruence(values, middle)


def _loss(landscape: Landscape, structure: Structure, values: Values, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Σ wℓ as a function of the outputs, which become leaves."""
    inputs = [value.requires_grad_() for value in values]
    return landscape.terms_of(structure.filled(tuple(inputs)), batch).weighted_sum(), inputs

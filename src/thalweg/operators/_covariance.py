"""The covariance of the gradients of single data items: the noise of stochastic gradients."""

import warnings
from typing import Literal

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.errors import DependentItemsWarning, ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.operators._curvature import Curvature, EngineName, Way
from thalweg.operators._form import Congruence, Leaves, Values, identity
from thalweg.operators._require import require_landscape


def gradient_covariance(
    landscape: Landscape,
    *,
    engine: EngineName = "auto",
    memory: int | Literal["auto"] = "auto",
    keep: bool = True,
) -> Curvature:
    r"""Return the covariance of the data items' gradients as an operator.

    .. math:: \Sigma = \frac1N \sum_i g_i g_i^\top - \nabla L\, \nabla L^\top,
              \qquad g_i = \frac{N}{\sum_j w_j} \sum_{j \in i} w_j \nabla \ell_j

    with the items' gradients g_i scaled so that their mean is ∇L, also where items have several terms or masked ones.
    The normalisation is that of the population, 1/N. A mini-batch of B items drawn with replacement has a gradient of
    covariance Σ/B; without replacement (Σ/B)·(N − B)/(N − 1).

    No gradient of a single item is ever formed: Σ v is J v over the items' losses and its image back. Its rank is
    below N: see :func:`gradient_gram` for the other side of the same numbers.

    Valid for: gradients that differ. The mean is subtracted after the sum, so that where all gᵢ are the same to s
    digits the result has 2s digits less than the type holds; measure with ``dtype=torch.float64`` there. Landscapes in
    eval mode: in train mode items act on each other through batch norm, and g_i is the derivative of ℓ_i with what the
    other items of its batch do to it, no gradient of one item: a warning says so, and the measures of noise refuse
    it. Build the landscape with ``mode="eval"``.

    Cost of a product: that of the GGN, and one gradient at the first.

    Args:
        landscape: Where to differentiate; its objective lets single items be seen.
        engine: "double-backward", "forward-over-reverse", or "auto", which tries them and keeps the fastest.
        memory: Bytes that products may hold beyond the landscape and their vectors: kept graphs, and what passes
            through them; "auto" for half of what is free at the first product. Micro-batches are cut to fit.
        keep: Whether graphs are kept for later products while the memory lasts.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DifferentiationError: From a product, if an operation of the model has no derivative of the kind needed.
        MemoryBudgetError: From a product, if ``memory`` does not hold one sample.
        ObjectiveError: If the objective is a black box.

    Warns:
        DependentItemsWarning: If the model has batch norm in train mode.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> inputs, targets = torch.ones(2, 1), torch.tensor([[1.0], [3.0]])
        >>> gradient_covariance(tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)])).dense()
        tensor([[1.]])
    """
    require_landscape(landscape)
    require_items(landscape, "gradient covariance")
    warn_of_dependence(landscape)
    mean: list[Tensor] = []

    def centred(vectors: Tensor, product: Tensor, passes: Landscape) -> Tensor:
        if not mean:
            mean.append(passes.gradient())
        # In the layout of the product: each column contiguous.
        return product.mT.addr_(landscape.space.dots(vectors, mean[0]), mean[0], alpha=-1).mT

    return Curvature(
        "gradient covariance", landscape, items_form(landscape), Way(engine, memory, keep), correction=centred
    )


def require_items(landscape: Landscape, matrix: str) -> None:
    """Check that single data items can be seen.

    Raises:
        ObjectiveError: If the objective is a black box.
    """
    if not landscape.objective.splits:
        raise ObjectiveError(
            f"objective: expected one whose data items can be seen for the {matrix}, and {landscape.objective.name} is "
            "a black box. Use an objective with terms, see thalweg.objectives."
        )


def second_moment(landscape: Landscape) -> Curvature:
    """Return Σ + ∇L∇Lᵀ, the mean of g_i g_iᵀ over the data items, without a difference of larger numbers.

    Raises:
        ObjectiveError: If the objective is a black box.
    """
    require_items(landscape, "second moment of gradients")
    return Curvature("second moment of gradients", landscape, items_form(landscape), Way())


def dependent(landscape: Landscape) -> bool:
    """Whether data items act on one another, through batch norm in train mode."""
    return landscape.mode == "train" and any(isinstance(part, _BatchNorm) for part in landscape.model.modules())


def warn_of_dependence(landscape: Landscape) -> None:
    """Warn where no item has a gradient of its own.

    Warns:
        DependentItemsWarning: If the model has batch norm in train mode.
    """
    if dependent(landscape):
        warnings.warn(
            "Through batch norm in train mode an item's loss depends on the other items of its batch, and it has no "
            "gradient of its own: what is made of items changes with the batches. Build the landscape with "
            "mode='eval', which uses the running statistics.",
            DependentItemsWarning,
            stacklevel=3,
        )


def items_form(landscape: Landscape) -> Congruence:
    """Losses of the items as values, scaled so that JᵀJ / Σw is the uncentred second moment."""
    scale = (landscape.count / landscape.weight) ** 0.5

    def values(leaves: Leaves, batch: Batch) -> Values:
        return (scale * landscape.terms(leaves, batch).item_sums(),)

    return Congruence(values, identity)

"""The Hessian of a landscape."""

from typing import Literal

from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.operators._curvature import Curvature, EngineName, Way
from thalweg.operators._form import Leaves, SecondDerivative
from thalweg.operators._require import require_landscape


def hessian(
    landscape: Landscape,
    *,
    engine: EngineName = "auto",
    memory: int | Literal["auto"] = "auto",
    keep: bool = True,
) -> Curvature:
    r"""Return the Hessian :math:`H = \nabla^2 L(\theta)` of a landscape as an operator.

    H is the almost-everywhere Hessian that automatic differentiation defines: at the kinks of a piecewise linear
    network it does not contain the curvature that finite differences see.

    Cost of a product: a backward pass through the graph of the gradient, about 1.5 to 2.5 gradients while graphs
    are kept, about one gradient more where they have to be rebuilt.

    Args:
        landscape: Where to differentiate; it stays what it is.
        engine: "double-backward", "forward-over-reverse", "finite-differences" (inexact: see
            ``.error`` after a product), or "auto", which tries the exact ones and keeps the fastest.
        memory: Bytes that products may hold beyond the landscape and their vectors: kept graphs, and what passes
            through them; "auto" for half of what is free at the first product. Micro-batches are cut to fit.
        keep: Whether graphs are kept for later products while the memory lasts.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DifferentiationError: From a product, if an operation of the model has no derivative of the kind needed.
        MemoryBudgetError: From a product, if ``memory`` does not hold one sample.

    Example:
        >>> import thalweg as tw
        >>> a, b = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
        >>> model = torch.nn.Sequential(a, b)
        >>> for layer in model:
        ...     _ = torch.nn.init.ones_(layer.weight)
        >>> one = torch.ones(1, 1)
        >>> hessian(tw.Landscape(model, tw.objectives.squared_error(), [(one, one)])).dense()  # ½(ab − 1)² at (1, 1)
        tensor([[1., 1.],
                [1., 1.]])
    """
    require_landscape(landscape)

    def scalar(leaves: Leaves, batch: Batch) -> Tensor:
        return landscape.terms(leaves, batch).weighted_sum()

    return Curvature("hessian", landscape, SecondDerivative(scalar), Way(engine, memory, keep))

"""The length of the gradient."""

import time

from thalweg.estimate import Cost, Estimate
from thalweg.landscape import Landscape
from thalweg.operators._require import require_landscape


def gradient_norm(landscape: Landscape) -> Estimate:
    r"""Return :math:`\|\nabla L(\theta)\|`, the Euclidean norm over the selected parameters.

    It is zero at every critical point, saddles included. In units of loss per unit of parameter it
    depends on how the model is parametrised: compare it with the loss that is left, not between models.

    Cost: one gradient. The value is exact for these data (``standard_error`` is 0).

    Args:
        landscape: Where to measure.

    Raises:
        ArgumentError: If ``landscape`` is none.
        NonFiniteError: If a loss or the gradient is not finite.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> print(gradient_norm(tw.Landscape(model, tw.objectives.mse(), [(torch.eye(2), torch.zeros(2, 1))])))
        1.414
    """
    require_landscape(landscape)
    started = time.perf_counter()
    norm = landscape.space.norm(landscape.gradient())
    cost = Cost(gradients=1, seconds=time.perf_counter() - started)
    return Estimate(norm, standard_error=0.0, cost=cost, provenance=landscape.provenance())

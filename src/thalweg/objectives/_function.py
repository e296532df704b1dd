"""A loss of which nothing is known but its value."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ObjectiveError
from thalweg.objectives._objective import Batch, Objective, Outputs


def from_function(loss: Callable[[Callable[..., Any], Batch], Tensor], count: Callable[[Batch], float]) -> Objective:
    r"""Wrap a black box: ``loss(model, batch)``, the mean over the batch, and ``count(batch)``, of how many terms.

    :math:`L = \sum_b n_b \ell_b / \sum_b n_b`. Only what needs the loss as a whole can be computed (loss,
    gradient, Hessian); the GGN, the Fisher and the gradient noise need to see the terms. A batch is one
    term here and is never cut into micro-batches, since the box may couple its samples.

    Args:
        loss: Returns a scalar tensor.
        count: Returns a number, the weight of the batch in the mean.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = [torch.ones(3, 1, dtype=torch.float64), 2 * torch.ones(1, 1, dtype=torch.float64)]
        >>> objective = from_function(lambda model, x: model(x).square().mean(), len)
        >>> tw.hessian(tw.Landscape(model, objective, data)).dense()  # 2 (3·1 + 1·4)/4
        tensor([[3.5000]], dtype=torch.float64)
    """

    def outputs(model: Callable[..., Any], batch: Batch) -> Outputs:
        value = loss(model, batch)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ObjectiveError(f"loss: expected a scalar tensor, the mean over the batch, got {got}.")
        return value.reshape(1)

    return Objective(
        name=getattr(loss, "__name__", "function"),
        outputs=outputs,
        terms=lambda outputs, _: outputs,
        weights=lambda batch: torch.tensor([float(count(batch))], dtype=torch.float64),
        splits=False,
    )

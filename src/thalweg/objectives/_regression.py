"""Squared errors in the two conventions that differ by a factor."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from thalweg.objectives._objective import Objective, Outputs, call, pair, same_shape


def mse() -> Objective:
    r"""Mean squared error as torch defines it, :math:`\ell = (f - y)^2`, one term an entry.

    Batches are pairs (inputs, targets) of one output shape; the mean runs over all entries and there is no
    factor ½ (``torch.nn.MSELoss``). Convex. As a likelihood its variance is ½ an entry, so that the exact
    Fisher equals the GGN. See :func:`squared_error` for the convention of the theory.

    Example:
        >>> mse().terms(torch.tensor([[1.0, 2.0]]), (None, torch.tensor([[0.0, 0.0]])))
        tensor([[1., 4.]])
    """
    name = "mse"

    def score(outputs: Outputs, targets: Tensor) -> Tensor:
        return (same_shape(outputs, targets, name) - targets).square()

    return Objective(
        name=name,
        outputs=lambda model, batch: call(model, pair(batch, name)[0]),
        terms=lambda outputs, batch: score(outputs, pair(batch, name)[1]),
        draw=_gaussian(variance=0.5),
        score=score,
        convex=True,
    )


def squared_error() -> Objective:
    r"""Half the squared error summed over outputs, :math:`\ell = \tfrac12 \lVert f - y \rVert^2`, one term a sample.

    Batches are pairs (inputs, targets) of one output shape (N, …); the mean runs over samples. Convex. As a
    likelihood its variance is 1 an output, so that the exact Fisher equals the GGN.

    Example:
        >>> squared_error().terms(torch.tensor([[1.0, 2.0]]), (None, torch.tensor([[0.0, 0.0]])))
        tensor([2.5000])
    """
    name = "squared_error"

    def score(outputs: Outputs, targets: Tensor) -> Tensor:
        squares = (same_shape(outputs, targets, name) - targets).square()
        # The sum over no axes is the sum over all of them: outputs of one axis are one number a sample.
        return (squares if squares.ndim < 2 else squares.flatten(start_dim=1).sum(dim=1)) / 2

    return Objective(
        name=name,
        outputs=lambda model, batch: call(model, pair(batch, name)[0]),
        terms=lambda outputs, batch: score(outputs, pair(batch, name)[1]),
        draw=_gaussian(variance=1.0),
        score=score,
        convex=True,
    )


def _gaussian(variance: float) -> Callable[[Outputs, torch.Generator], Tensor]:
    def draw(outputs: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(outputs.shape, dtype=outputs.dtype, device=outputs.device, generator=generator)
        return outputs + math.sqrt(variance) * noise

    return draw

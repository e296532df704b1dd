"""The rectifier, which has no second derivative to be taken."""

from typing import Any

import torch
from torch import Tensor

from thalweg.landscape._atomic import atomic


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0); its slope counts as a constant, as it does to PyTorch, which fills and adds zeros to say so."""
    result: Tensor = _Rectified.apply(x)  # type: ignore[no-untyped-call]  # torch's
    return result


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        result = x.clamp_min(0)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> Tensor:
        return _pulled(u, *ctx.saved_tensors)


@atomic
def _pulled(u: Tensor, result: Tensor) -> Tensor:
    # Detached, so that the way back through the slope is not even tried.
    slope: Tensor = torch.ops.aten.threshold_backward(u, result.detach(), 0)
    return slope

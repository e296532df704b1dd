"""A naive twin: the Hessian of one flat function of all data at once, entry by entry.

Not by ``torch.func.hessian``: through layer norm and batch statistics its matrix is not even symmetric (torch 2.13;
PyTorch's issues 196699 and 196700 report the same of second forward derivatives). The
battery holds both against finite differences.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


def dense_hessian(
    model: nn.Module, loss: Callable[[Callable[..., Any], Any], Tensor], batches: Sequence[Any], total: float
) -> Tensor:
    """∇² of Σ_b loss(model, b) / total over all parameters in order, nothing shared with the library.

    ``loss`` returns the sum over a batch; modes are those that the model is in.
    """
    named = dict(model.named_parameters())
    shapes = [parameter.shape for parameter in named.values()]
    flat = torch.cat([parameter.detach().flatten() for parameter in named.values()])
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def value(vector: Tensor) -> Tensor:
        parts = vector.split([shape.numel() for shape in shapes])
        tensors = {name: part.view(shape) for name, part, shape in zip(named, parts, shapes, strict=True)}

        def call(*args: Any, **kwargs: Any) -> Any:
            return functional_call(model, {**tensors, **{k: b.clone() for k, b in buffers.items()}}, args, kwargs)

        return sum(loss(call, batch) for batch in batches) / total  # type: ignore[return-value]  # a tensor

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.autograd.functional.hessian(value, flat)

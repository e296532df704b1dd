"""Naive twins: curvature matrices of one flat function of all data at once, entry by entry.

Not by ``torch.func.hessian``: through layer norm and batch statistics its matrix is not even symmetric (torch 2.13;
PyTorch's issues 196699 and 196700 report the same of second forward derivatives). The
battery holds both against finite differences.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

Model = Callable[..., Any]


def dense_hessian(
    model: nn.Module, loss: Callable[[Model, Any], Tensor], batches: Sequence[Any], total: float
) -> Tensor:
    """∇² of Σ_b loss(model, b) / total over all parameters in order, nothing shared with the library.

    ``loss`` returns the sum over a batch; modes are those that the model is in.
    """

    def value(vector: Tensor) -> Tensor:
        return sum(loss(_at(model, vector), batch) for batch in batches) / total  # type: ignore[return-value]  # a tensor

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.autograd.functional.hessian(value, _flat(model))


def jacobian(model: nn.Module, function: Callable[[Model, Any], Tensor], batch: Any) -> Tensor:
    """Rows: the gradient of each entry of a function of the model on a batch, one backward pass each."""
    flat = _flat(model).requires_grad_()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        values = function(_at(model, flat), batch).flatten()
        rows = [torch.autograd.grad(value, flat, retain_graph=True, allow_unused=True)[0] for value in values]
    return torch.stack([torch.zeros_like(flat) if row is None else row for row in rows]).detach()


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def _at(model: nn.Module, vector: Tensor) -> Model:
    """The model as a function, at another point."""
    named = dict(model.named_parameters())
    shapes = [parameter.shape for parameter in named.values()]
    parts = vector.split([shape.numel() for shape in shapes])
    tensors = {name: part.view(shape) for name, part, shape in zip(named, parts, shapes, strict=True)}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def call(*args: Any, **kwargs: Any) -> Any:
        return functional_call(model, {**tensors, **{k: b.clone() for k, b in buffers.items()}}, args, kwargs)

    return call

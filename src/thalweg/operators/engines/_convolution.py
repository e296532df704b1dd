"""Convolutions whose backward pass is differentiated as the linear map that it is."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thalweg.landscape._atomic import atomic
from thalweg.operators.engines._elementary import Functions

Ints = tuple[int, ...]


# PyTorch's name for the first argument, which may be given by it.
def _convolved(
    function: Callable[..., Tensor],
    axes: int,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Ints = 1,
    padding: int | Ints | str = 0,
    dilation: int | Ints = 1,
    groups: int = 1,
) -> Tensor:
    odd = input.ndim != axes + 2 or input.dtype != weight.dtype or torch.is_autocast_enabled(input.device.type)
    if odd or isinstance(padding, str):
        return function(input, weight, bias, stride, padding, dilation, groups)
    settings = (*(_tuple(value, axes) for value in (stride, padding, dilation)), groups)
    result: Tensor = _Convolution.apply(input, weight, settings)  # type: ignore[no-untyped-call]  # torch's
    return result if bias is None else result + bias.view(-1, *(1,) * axes)


Settings = tuple[Ints, Ints, Ints, int]


class _Convolution(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, settings: Settings) -> Tensor:
        return _convolve(inputs, weight, settings)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004 - torch's signature
        ctx.save_for_backward(*inputs[:2])
        ctx.settings = inputs[2]

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = (tensor.detach() for tensor in ctx.saved_tensors)
        by_inputs, by_weight, _ = ctx.needs_input_grad
        return (
            _ByInputs.apply(cotangent, inputs, weight, ctx.settings) if by_inputs else None,  # type: ignore[no-untyped-call]
            _ByWeight.apply(cotangent, inputs, weight, ctx.settings) if by_weight else None,  # type: ignore[no-untyped-call]
            None,
        )


class _ByInputs(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(cotangent: Tensor, inputs: Tensor, weight: Tensor, settings: Settings) -> Tensor:
        return _backward(cotangent, inputs, weight, settings, by_weight=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[2])
        ctx.settings = inputs[3]

    @staticmethod
    def backward(ctx: Any, tangent: Tensor) -> tuple[Tensor | None, ...]:
        return _convolve(tangent, ctx.saved_tensors[0], ctx.settings), None, None, None


class _ByWeight(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(cotangent: Tensor, inputs: Tensor, weight: Tensor, settings: Settings) -> Tensor:
        return _backward(cotangent, inputs, weight, settings, by_weight=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[1])
        ctx.settings = inputs[3]

    @staticmethod
    def backward(ctx: Any, tangent: Tensor) -> tuple[Tensor | None, ...]:
        return _convolve(ctx.saved_tensors[0], tangent, ctx.settings), None, None, None


@atomic
def _convolve(inputs: Tensor, weight: Tensor, settings: Settings) -> Tensor:
    stride, padding, dilation, groups = settings
    return torch.convolution(inputs, weight, None, stride, padding, dilation, False, _zeros(stride), groups)


@atomic
def _backward(cotangent: Tensor, inputs: Tensor, weight: Tensor, settings: Settings, *, by_weight: bool) -> Tensor:
    stride, padding, dilation, groups = settings
    mask = [not by_weight, by_weight, False]
    found = torch.ops.aten.convolution_backward(
        cotangent, inputs, weight, None, stride, padding, dilation, False, _zeros(stride), groups, mask
    )
    result: Tensor = found[int(by_weight)]
    return result


def _zeros(stride: Ints) -> Ints:
    return (0,) * len(stride)


def _tuple(value: int | Ints, axes: int) -> Ints:
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) if len(value) == axes else tuple(value) * axes


# For u ↦ Jᵀu and its derivative J v nothing else is needed. PyTorch's own derivative of the backward pass also computes
# those by inputs and weights, whoever asks: four convolutions where two are wanted (torch 2.6 to 2.13).
LINEAR_CONVOLUTIONS: Functions = {
    function: functools.partial(_convolved, function, axes)
    for axes, function in enumerate((torch.conv1d, torch.conv2d, torch.conv3d), start=1)
}

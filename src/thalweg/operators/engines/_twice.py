"""Functions whose second derivative PyTorch puts together from many small operations, in fewer."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from thalweg.operators.engines._activation import gelu, silu
from thalweg.operators.engines._elementary import Functions
from thalweg.operators.engines._layer_norm import layer_norm
from thalweg.operators.engines._rectifier import relu


def _plain(*tensors: Tensor | None) -> bool:
    """Whether the kernels here compute in the type that the tensors have, and that type is accurate enough."""
    given = [tensor for tensor in tensors if tensor is not None]
    first = given[0]
    accurate = first.dtype in (torch.float32, torch.float64) and all(tensor.dtype == first.dtype for tensor in given)
    return accurate and not torch.is_autocast_enabled(first.device.type)


# PyTorch's names for the arguments, which may be given by them.
def _gelu(linear: bool, input: Tensor, *, approximate: str = "none") -> Tensor:  # noqa: A002
    if not _plain(input) or approximate not in ("none", "tanh"):
        return functional.gelu(input, approximate=approximate)
    return gelu(input, approximate=approximate, linear=linear)


def _silu(linear: bool, input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002
    if inplace or not _plain(input):
        return functional.silu(input, inplace)
    return silu(input, linear=linear)


def _layer_norm(
    linear: bool,
    input: Tensor,  # noqa: A002
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    if not _plain(input, weight, bias):
        return functional.layer_norm(input, normalized_shape, weight, bias, eps)
    return layer_norm(input, tuple(normalized_shape), weight, bias, eps, linear=linear)


def _group_norm(
    linear: bool,
    input: Tensor,  # noqa: A002
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    if input.ndim < 2 or not input.numel() or input.shape[1] % num_groups or not _plain(input, weight, bias):
        return functional.group_norm(input, num_groups, weight, bias, eps)
    # A layer norm of every group; PyTorch's own second derivative cannot be vectorised (torch 2.13).
    rows = input.reshape(len(input), num_groups, -1)
    result = layer_norm(rows, rows.shape[2:], None, None, eps, linear=linear).view(input.shape)
    shape = (-1, *(1,) * (input.ndim - 2))
    result = result if weight is None else result * weight.view(shape)
    return result if bias is None else result + bias.view(shape)


def _relu(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002
    return functional.relu(input, inplace) if inplace else relu(input)


def twice_backward(*, linear: bool) -> Functions:
    """Return what to put in the place of activations and layer norm where a backward pass is differentiated.

    PyTorch's own second derivatives of GELU and layer norm took 35 % of a product with the Hessian of a small GPT, and
    the zeros of ReLU's 4 % of one of a perceptron (torch 2.13).

    Args:
        linear: Whether only the derivative by what the backward pass is given is asked for, as for J v.
    """
    own: dict[Callable[..., Any], Callable[..., Tensor]] = {
        functional.gelu: _gelu,
        functional.silu: _silu,
        functional.layer_norm: _layer_norm,
        functional.group_norm: _group_norm,
    }
    rectifiers: dict[Callable[..., Any], Callable[..., Tensor]] = {
        functional.relu: _relu,
        torch.relu: relu,
        Tensor.relu: relu,
    }
    return {**{function: functools.partial(other, linear) for function, other in own.items()}, **rectifiers}

"""Functions of PyTorch whose derivatives are wrong or missing, written in operations that have the right ones."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

# A function of PyTorch's, and what to call in its place.
Functions = Mapping[Callable[..., Any], Callable[..., Any]]


@contextmanager
def elementary(others: Functions | None = None) -> Iterator[None]:
    """Inside, these functions have the values that they always have, and derivatives that are right.

    ==========================  =======================================  ========================================
    function                    what PyTorch 2.6 to 2.13 does            what is done here
    ==========================  =======================================  ========================================
    weight norm                 second derivatives are wrong, as if       v · (g / ‖v‖)
                                ‖v‖ were constant; no forward ones
    embedding, ``padding_idx``  backward leaves the padding row out,      the row is constant both ways
                                forward does not: JᵀJ, jvp of the
                                gradient are not symmetric
    hard sigmoid                no second derivative                      relu6(x + 3) / 6
    Huber, soft margin loss     no forward derivative of the gradient     their formulas
    RReLU in eval mode          no vectorised forward derivative          leaky ReLU
    attention                   fused kernels have neither                the math kernel
    LSTM, GRU, RNN              those of oneDNN and cuDNN have no         PyTorch's own kernels
                                forward derivative, cuDNN's no second
    batch, instance norm        cuDNN's gradient has no forward           PyTorch's own kernels, in the type of
                                derivative; in bfloat16 with wider         the statistics
                                statistics the tangent is of their type
    batch norm in eval mode     slow to differentiate twice               a scale and a shift
    ==========================  =======================================  ========================================

    Only calls from Python are seen, not those inside TorchScript. The choice of kernels is the process's, as
    :func:`torch.nn.attention.sdpa_kernel` makes it, and is given back at the end.

    Args:
        others: More functions to put in the place of PyTorch's.

    Example:
        >>> v, g = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])
        >>> curve = lambda v: torch._weight_norm(v, g)[0, 0]  # v₁/‖v‖, whose second derivative by v₁ is −3 v₁v₂²/‖v‖⁵
        >>> with elementary():
        ...     torch.autograd.functional.hessian(curve, v)[0, 0, 0, 0]
        tensor(-0.0461)
    """
    with _InTheirPlace({**_OWN, **(others or {})}), sdpa_kernel(SDPBackend.MATH):
        yield


class _InTheirPlace(TorchFunctionMode):
    """Puts own functions in the place of PyTorch's, in this thread alone."""

    def __init__(self, own: Functions) -> None:
        self._own = own

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self._own.get(function, function)(*args, **(kwargs or {}))


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


# PyTorch's names. Sparse gradients have no graph to go on from, and dense ones hold the same numbers.
def _embedding(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,  # noqa: ARG001
) -> Tensor:
    rows = functional.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    if padding_idx is None:
        return rows
    padding = (input == padding_idx % len(weight)).unsqueeze(-1)
    return torch.where(padding, rows.detach(), rows)


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002
    result = functional.relu6(input + 3) / 6
    return input.copy_(result) if inplace else result


def _rrelu(
    input: Tensor,  # noqa: A002
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    if training:
        return functional.rrelu(input, lower, upper, training, inplace)
    return functional.leaky_relu(input, (lower + upper) / 2, inplace)


def _huber_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    gap = input - target
    size = gap.abs()
    terms = torch.where(size < delta, gap * gap / 2, delta * (size - delta / 2))
    return _reduced(terms if weight is None else weight * terms, reduction)


def _soft_margin_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    return _reduced(-functional.logsigmoid(target * input), reduction)


def _reduced(terms: Tensor, reduction: str) -> Tensor:
    return terms.mean() if reduction == "mean" else terms.sum() if reduction == "sum" else terms


def _by_own_kernels(function: Callable[..., Any]) -> Callable[..., Any]:
    libraries: tuple[Any, Any] = (torch.backends.cudnn, torch.backends.mkldnn)

    def call(*args: Any, **kwargs: Any) -> Any:
        before = [library.enabled for library in libraries]
        try:
            for library in libraries:
                library.enabled = False
            return function(*args, **kwargs)
        finally:
            for library, enabled in zip(libraries, before, strict=True):
                library.enabled = enabled

    return call


def _batch_norm(
    input: Tensor,  # noqa: A002
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if training or running_mean is None or running_var is None:
        kind = input.dtype if running_mean is None else torch.promote_types(input.dtype, running_mean.dtype)
        kernel, wide = _by_own_kernels(functional.batch_norm), input.to(kind)
        return kernel(wide, running_mean, running_var, weight, bias, training, momentum, eps).to(input.dtype)  # type: ignore[no-any-return]
    scale = (running_var + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    shape = (-1, *(1,) * (input.ndim - 2))
    return (input * scale.view(shape) + shift.view(shape)).to(input.dtype)


_IN_LIBRARIES = (functional.instance_norm, torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)

_OWN: Functions = {
    torch._weight_norm: _weight_norm,  # noqa: SLF001 - what parametrizations.weight_norm calls
    functional.embedding: _embedding,
    functional.hardsigmoid: _hardsigmoid,
    functional.rrelu: _rrelu,
    functional.huber_loss: _huber_loss,
    functional.soft_margin_loss: _soft_margin_loss,
    functional.batch_norm: _batch_norm,
    **{function: _by_own_kernels(function) for function in _IN_LIBRARIES},
}

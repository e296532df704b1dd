"""Smooth activations whose two derivatives are taken once, and only multiplied with after that."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thalweg.landscape._atomic import atomic

# From x to σ(x), σ'(x) and σ''(x), entry by entry.
Jet = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]

_SLOPE, _CUBE = math.sqrt(2 / math.pi), 0.044715


def gelu(x: Tensor, *, approximate: str, linear: bool) -> Tensor:
    """The Gaussian error linear unit x Φ(x), or its approximation "tanh" (Hendrycks & Gimpel, 2016).

    Args:
        x: Where.
        approximate: "none" or "tanh".
        linear: Whether its backward pass depends on what it is given alone, and x counts as a constant there.
    """
    return _applied(_tanh_gelu_jet if approximate == "tanh" else _gelu_jet, x, linear)


def silu(x: Tensor, *, linear: bool) -> Tensor:
    """The sigmoid linear unit, x / (1 + exp(−x)); ``linear`` as in :func:`gelu`."""
    return _applied(_silu_jet, x, linear)


def _applied(jet: Jet, x: Tensor, linear: bool) -> Tensor:
    result: Tensor = (_Sloped if linear else _Value).apply(x, jet)  # type: ignore[no-untyped-call]  # torch's
    return result


class _Sloped(torch.autograd.Function):
    """The map from x to σ(x), whose slope is a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, jet: Jet) -> Tensor:
        value, first, _ = jet(x)
        ctx.save_for_backward(first)
        return value

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None]:
        return _times(u, ctx.saved_tensors[0]), None


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, jet: Jet) -> Tensor:
        value, first, second = jet(x)
        ctx.save_for_backward(x, first)
        ctx.jet = jet
        # Wanted once, by the backward pass that builds a graph, and not to be held longer.
        ctx.second = second if ctx.needs_input_grad[0] else None
        return value

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None]:
        x, first = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return _times(u, first), None
        second, ctx.second = ctx.second, None
        if second is None:
            with torch.no_grad():
                second = ctx.jet(x)[2]
        return _Pulled.apply(u, x, first, second), None  # type: ignore[no-untyped-call]


class _Pulled(torch.autograd.Function):
    """The map from u and x to u σ'(x)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, x: Tensor, first: Tensor, second: Tensor) -> Tensor:  # noqa: ARG004 - for the graph
        ctx.save_for_backward(first, second * u if ctx.needs_input_grad[1] else None)
        return u * first

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        by_u, by_x = ctx.saved_tensors
        pulled = _times(v, by_u) if ctx.needs_input_grad[0] else None
        return pulled, None if by_x is None else _times(v, by_x), None, None


@atomic
def _times(first: Tensor, second: Tensor) -> Tensor:
    return first * second


def _gelu_jet(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # x Φ, Φ + x φ and (2 − x²) φ.
    below = x.mul(math.sqrt(0.5)).erf_().add_(1).mul_(0.5)
    square = x.square()
    density = square.mul(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
    second = square.neg_().add_(2).mul_(density)
    return x * below, below.addcmul_(x, density), second


def _tanh_gelu_jet(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # With s = (1 + tanh z)/2 = 1 / (1 + exp(−2 z)), z = k (x + c x³), e = s (1 − s) and r = 2 z' = 2 k (1 + 3 c x²):
    # x s, s + x e r and e (2 r + (1 − 2 s) x r² + 12 k c x²).
    square = x.square()
    rise = square.mul(6 * _CUBE * _SLOPE).add_(2 * _SLOPE)
    s, rest = _logistic(square.mul(2 * _CUBE * _SLOPE).add_(2 * _SLOPE).mul_(x))
    slope, along = s * rest, x * rise
    bend = rest.sub_(s).mul_(along).add_(2).mul_(rise).add_(square, alpha=12 * _CUBE * _SLOPE).mul_(slope)
    return x * s, s.addcmul_(slope, along), bend


def _silu_jet(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # x s, s + x e and e (2 + x (1 − 2 s)), where e = s (1 − s).
    s, rest = _logistic(x)
    slope = s * rest
    return x * s, s.addcmul(slope, x), rest.sub_(s).mul_(x).add_(2).mul_(slope)


def _logistic(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return s = 1 / (1 + exp(−x)) and 1 − s, each to its last digits."""
    return x.sigmoid(), x.neg().sigmoid_()

"""Layer normalisation whose backward pass is differentiated by the kernel of the backward pass itself."""

from typing import Any

import torch
from torch import Tensor

from thalweg.landscape._atomic import atomic

Shape = tuple[int, ...]

_kernel = torch.ops.aten.native_layer_norm_backward


def layer_norm(
    x: Tensor, shape: Shape, weight: Tensor | None, bias: Tensor | None, eps: float, *, linear: bool
) -> Tensor:
    r"""Return w x̂ + b with :math:`\hat x = r (x - \bar x)`, r the inverse standard deviation, over the last axes.

    The Jacobian of x̂ is symmetric, :math:`P u = r (u - \bar u - \hat x\, \overline{\hat x u})`, and what PyTorch
    calls the backward kernel computes it. So do its derivatives: of :math:`\langle v, P \hat u \rangle` with
    :math:`\hat u = w u`, by x,

    .. math:: -r \left(\overline{\hat x \hat u}\, P v + \overline{\hat x v}\, P \hat u
              + \overline{v\, P \hat u}\, \hat x\right).
    With ``linear`` the backward pass depends on u alone, and x and w count as constants there.
    """
    result: Tensor = _Value.apply(x, weight, bias, shape, eps, linear)  # type: ignore[no-untyped-call]  # torch's
    return result


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Shape, eps: float, linear: bool
    ) -> Tensor:
        value, mean, scale = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, scale)
        ctx.shape, ctx.linear = shape, linear
        return value

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        mask = list(ctx.needs_input_grad[:3])
        return (*_pulled(ctx.shape, mask, ctx.linear, u, *ctx.saved_tensors), None, None, None)


class _Pulled(torch.autograd.Function):
    """The backward pass: (u, x, w) to (P(wu), Σ u x̂, Σ u), the sums over all but the last axes."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        scale: Tensor,
        shape: Shape,
        mask: list[bool],
    ) -> tuple[Tensor | None, ...]:
        ctx.shape = shape
        ctx.set_materialize_grads(False)
        found = _kernel(u, x, shape, mean, scale, weight, bias, mask)
        along = None
        if mask[0] and ctx.needs_input_grad[1]:
            along = _mean((x - mean).mul_(scale).mul_(u if weight is None else u * weight), shape).mul_(-scale)
        ctx.save_for_backward(u, x, weight, mean, scale, None if along is None else found[0], along)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, a: Tensor | None, b: Tensor | None) -> tuple[Tensor | None, ...]:
        """Given tangents v of x, a of w and b of the bias."""
        by_u, by_x, by_weight = _pulled_twice(ctx.shape, ctx.needs_input_grad[1:3], v, a, b, *ctx.saved_tensors)
        return by_u, by_x, by_weight, None, None, None, None, None


@atomic
def _pulled(
    shape: Shape,
    mask: list[bool],
    linear: bool,
    u: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    scale: Tensor,
) -> list[Tensor | None]:
    if not torch.is_grad_enabled():
        found = _kernel(u, x, shape, mean, scale, weight, bias, mask)
    else:
        if linear:
            x, weight = x.detach(), None if weight is None else weight.detach()
        found = _Pulled.apply(u, x, weight, bias, mean, scale, shape, mask)  # type: ignore[no-untyped-call]
    return [part if wanted else None for part, wanted in zip(found, mask, strict=True)]


@atomic
def _pulled_twice(
    shape: Shape,
    wanted: tuple[bool, bool],
    v: Tensor | None,
    a: Tensor | None,
    b: Tensor | None,
    u: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    pulled: Tensor | None,
    along: Tensor | None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    by_x_wanted, by_weight_wanted = wanted

    def projected(h: Tensor) -> Tensor:
        found: Tensor = _kernel(h, x, shape, mean, scale, None, None, [True, False, False])[0]
        return found

    by_u: Tensor | None = None
    by_x: Tensor | None = None
    by_weight: Tensor | None = None
    standard = (x - mean).mul_(scale)
    if v is not None:
        moved = projected(v)
        by_u = moved if weight is None else moved * weight
        if pulled is not None and along is not None:
            # Means over a row commute with P, so that P of the vectors at hand is enough.
            by_x = (moved * along).addcmul(pulled, _mean(standard * v, shape) * -scale)
            by_x = by_x.addcmul(standard, _mean(pulled * v, shape) * -scale)
        if weight is not None and by_weight_wanted:
            by_weight = (u * moved).sum(tuple(range(u.ndim - len(shape))))
    if a is not None:
        by_u = standard * a if by_u is None else by_u.addcmul(standard, a)
        if by_x_wanted:
            from_weight = projected(u * a)
            by_x = from_weight if by_x is None else by_x + from_weight
    if b is not None:
        by_u = b.expand_as(u) if by_u is None else by_u + b
    return by_u, by_x, by_weight


def _mean(values: Tensor, shape: Shape) -> Tensor:
    return values.mean(tuple(range(-len(shape), 0)), keepdim=True)

"""Operations that sum over axes of several arguments: products of matrices, convolutions, attention."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from thalweg.paths._axes import Axis, Fixed
from thalweg.paths._units import Units

Axes = list[Axis]
aten = torch.ops.aten


class NotUnderstood(Exception):  # noqa: N818 - no error: the axes are frozen
    """A rule does not know this use of its operation."""


def argument_names(target: Any) -> list[str]:
    """Return the names of an operation's arguments."""
    return [argument.name for argument in target._schema.arguments]  # noqa: SLF001 - the only place that says it


def contracted(units: Units, ours: Axis, theirs: Axis, batch: Axes) -> None:
    """Sum over an axis of two arguments, entry by entry along axes that both have."""
    units.unify(ours, theirs)
    units.summed([ours], batch)


def _mm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    (rows, ours), (theirs, columns) = axes(given[0]), axes(given[1])
    contracted(units, ours, theirs, [])
    return [rows, columns]


def _bmm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    (batch, rows, ours), (other, theirs, columns) = axes(given[0]), axes(given[1])
    units.unify(batch, other)
    contracted(units, ours, theirs, [batch])
    return [batch, rows, columns]


def _mv(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    (rows, ours), (theirs,) = axes(given[0]), axes(given[1])
    contracted(units, ours, theirs, [])
    return [rows]


def _dot(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    contracted(units, axes(given[0])[0], axes(given[1])[0], [])
    return []


def _added_to(product: Callable[..., Axes]) -> Callable[..., Axes]:
    """``addmm(bias, a, b)`` and its like."""

    def rule(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
        out = product(units, given[1:3], node, axes)
        for ours, theirs in zip(reversed(out), reversed(axes(given[0])), strict=False):
            if theirs.size == ours.size:
                units.unify(ours, theirs)
        return out

    return rule


def _convolution(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """Channels are summed over, each group by itself; pixels stay where they are."""
    data, weight, transposed, groups = axes(given[0]), axes(given[1]), bool(given[6]), int(given[8])
    if transposed and groups > 1:
        raise NotUnderstood
    channels, (first, second, *kernel), pixels = data[1], weight, data[2:]
    for axis in (*kernel, *pixels):
        units.fix(axis)
    inputs, outputs = (first, second) if transposed else (second, first)
    if groups == 1:
        contracted(units, channels, inputs, [])
    else:
        group, inside = units.split(channels, groups)
        other, _ = units.split(outputs, groups)
        units.unify(group, other)
        if inside.size > 1:
            contracted(units, inside, inputs, [group])
    if transposed:
        outputs = second
    if isinstance(given[2], fx.Node):
        units.unify(outputs, axes(given[2])[0])
    return [data[0], outputs, *map(Fixed, node.meta["val"].shape[2:])]


def _attention(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """softmax(q kᵀ) v: heads are batch axes, units of a head are summed over in q and k."""
    named: dict[str, Any] = {**dict(zip(argument_names(node.target), given, strict=False)), **node.kwargs}
    if named.get("dropout_p", 0.0) > 0:
        raise NotUnderstood
    query, key, value = (axes(one) for one in given[:3])
    for ours, theirs, others in zip(query[:-2], key[:-2], value[:-2], strict=True):
        if theirs.size != others.size or ours.size % theirs.size:
            raise NotUnderstood
        # Several heads of the queries may share one of the keys and values.
        units.unify(units.split(ours, theirs.size)[0], theirs)
        units.unify(theirs, others)
    contracted(units, query[-1], key[-1], query[:-2])
    contracted(units, key[-2], value[-2], query[:-2])
    mask = named.get("attn_mask", named.get("attn_bias"))
    if isinstance(mask, fx.Node):
        scores = [*query[:-1], key[-2]]
        for ours, theirs in zip(reversed(scores), reversed(axes(mask)), strict=False):
            if theirs.size == ours.size:
                units.unify(ours, theirs)
    if named.get("is_causal"):
        units.fix(query[-2])
        units.fix(key[-2])
    out = [*query[:-1], value[-1]]
    found = node.meta["val"]
    if isinstance(found, Tensor):
        return out
    return [out, *([list(map(Fixed, one.shape)) if isinstance(one, Tensor) else [] for one in found[1:]])]


def _overloads(rule: Callable[..., Any], *names: str) -> dict[Any, Callable[..., Any]]:
    return {getattr(aten, name): rule for name in names if hasattr(aten, name)}


CONTRACTIONS: dict[Any, Callable[..., Any]] = {
    **_overloads(_mm, "mm"),
    **_overloads(_bmm, "bmm"),
    **_overloads(_mv, "mv"),
    **_overloads(_dot, "dot", "vdot"),
    **_overloads(_added_to(_mm), "addmm"),
    **_overloads(_added_to(_bmm), "baddbmm"),
    **_overloads(_added_to(_mv), "addmv"),
    **_overloads(_convolution, "convolution", "_convolution"),
    **_overloads(
        _attention,
        "scaled_dot_product_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    ),
}

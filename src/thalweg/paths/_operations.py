"""What PyTorch's elementary operations do to the axes of their arguments.

A rule reads the axes of an operation's arguments, says which of them must be permuted alike, and returns the axes of
the result. An operation without a rule freezes what flows into it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from thalweg.paths._axes import Axis, Fixed
from thalweg.paths._contractions import CONTRACTIONS, NotUnderstood
from thalweg.paths._reshaping import RESHAPING
from thalweg.paths._units import Units

Axes = list[Axis]
Rule = Callable[[Units, "list[Any]", fx.Node, Callable[[Any], Axes]], Any]

aten = torch.ops.aten


def elementwise(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """Entry by entry, with broadcasting: axes at the same place from the end are permuted alike."""
    shape = shapes(node)
    out: list[Axis | None] = [None] * len(shape)
    for argument in given:
        for one in argument if isinstance(argument, (list, tuple)) else (argument,):
            if isinstance(one, fx.Node) and isinstance(one.meta["val"], Tensor):
                for place, axis in enumerate(reversed(axes(one)), 1):
                    if axis.size == 1 and shape[-place] != 1:
                        continue
                    there = out[-place]
                    if there is None:
                        out[-place] = axis
                    else:
                        units.unify(there, axis)
    return [Fixed(size) if axis is None else axis for axis, size in zip(out, shape, strict=True)]


def _same(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units, node
    return axes(given[0])


def _reduced(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """Sums, means, maxima: the reduced axes are gone, or of size one."""
    del units
    kept = axes(given[0])
    dims = given[1] if len(given) > 1 else None
    if isinstance(dims, fx.Node):
        raise NotUnderstood
    if dims is None or dims == [] or isinstance(dims, (bool, torch.dtype)):
        dims = range(len(kept))
    gone = {dim % len(kept) for dim in ([dims] if isinstance(dims, int) else dims)} if kept else set()

    def left(rank: int) -> Axes:
        if rank == len(kept):
            return [Fixed(1) if place in gone else axis for place, axis in enumerate(kept)]
        return [axis for place, axis in enumerate(kept) if place not in gone]

    return each(node, lambda value: left(value.ndim))


def _norm_of(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """``linalg_vector_norm(x, ord, dim)``."""
    return _reduced(units, [given[0], *given[2:3]], node, axes)


def _ordered(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """Along one axis, or some, the order matters; the others are left alone."""
    kept = axes(given[0])
    for dim in [given[1]] if isinstance(given[1], int) else given[1]:
        units.fix(kept[dim])
        kept[dim] = Fixed(kept[dim].size)
    return each(node, lambda value: kept[: value.ndim])


def _triangle(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    return _ordered(units, [given[0], [-2, -1]], node, axes)


def _extreme(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """``max(x, dim)`` tells values and their places: the places have an order, unless nobody asks for them."""
    if any(user.args[1] == 1 and user.users for user in node.users):
        _ordered(units, given[:2], node, axes)
    return _reduced(units, given, node, axes)


def _spatial(count: int) -> Rule:
    """The last axes are pixels; the others are left alone."""

    def rule(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
        kept = axes(given[0])
        for axis in kept[-count:]:
            units.fix(axis)
        return each(node, lambda value: [*kept[:-count], *map(Fixed, value.shape[-count:])])

    return rule


def _batch_norm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """Each channel has its own weight, bias, mean and variance."""
    kept = axes(given[0])
    for vector in given[1:5]:
        if isinstance(vector, fx.Node):
            units.unify(kept[1], axes(vector)[0])
    return each(node, lambda value: kept if value.ndim == len(kept) else [kept[1]] * value.ndim)


def _layer_norm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """Statistics over the last axes do not see their order; weights and biases have them, too."""
    kept = axes(given[0])
    for tensor in given[2:4]:
        if isinstance(tensor, fx.Node):
            for ours, theirs in zip(reversed(kept), reversed(axes(tensor)), strict=False):
                units.unify(ours, theirs)
    return each(node, lambda value: [ax if ax.size == n else Fixed(n) for ax, n in zip(kept, value.shape, strict=True)])


def _group_norm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Any:
    """Channels stay with those that they are normalised with; groups may trade places."""
    kept = axes(given[0])
    channels, groups = int(given[4]), int(given[6])
    if 1 < groups < channels:
        units.split(kept[1], groups)
    for vector in given[1:3]:
        if isinstance(vector, fx.Node):
            units.unify(kept[1], axes(vector)[0])
    return each(node, lambda value: kept if value.ndim == len(kept) else list(map(Fixed, value.shape)))


def _embedding(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """Rows by their number: their order matters."""
    del node
    rows, columns = axes(given[0])
    units.fix(rows)
    return [*axes(given[1]), columns]


def _indexed(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """``x[i, j, …]`` by tensors of whole numbers at neighbouring places: the order of those axes matters."""
    kept, by = axes(given[0]), given[1]
    places = [place for place, one in enumerate(by) if one is not None]
    if any(by[place].meta["val"].dtype in (torch.bool, torch.uint8) for place in places):
        raise NotUnderstood
    if places != list(range(places[0], places[-1] + 1)):
        raise NotUnderstood
    for place in places:
        units.fix(kept[place])
        for axis in axes(by[place]):
            units.fix(axis)
    shape = shapes(node)[places[0] : len(shapes(node)) - (len(kept) - 1 - places[-1])]
    return [*kept[: places[0]], *map(Fixed, shape), *kept[places[-1] + 1 :]]


def _filled(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """The same number everywhere: any order will do."""
    del given, axes
    return [units.new(size) for size in shapes(node)]


def _prelu(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """One slope, or one a channel."""
    del node
    kept, slope = axes(given[0]), axes(given[1])
    if len(slope) == 1 and slope[0].size > 1:
        units.unify(kept[1], slope[0])
    elif len(slope) > 1:
        for ours, theirs in zip(kept, slope, strict=True):
            if theirs.size > 1:
                units.unify(ours, theirs)
    return kept


def _glu(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """The first half times the sigmoid of the second."""
    del node
    kept = axes(given[0])
    dim = given[1] if len(given) > 1 else -1
    first, second = units.cut(kept[dim], kept[dim].size // 2)
    units.unify(first, second)
    kept[dim] = first
    return kept


def _weight_norm(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> list[Axes]:
    """Directions times lengths, one for each index along an axis; the norms over the others see no order."""
    kept, scales = axes(given[0]), axes(given[1])
    dim = given[2] if len(given) > 2 else 0
    units.unify(kept[dim], scales[dim])
    del node
    return [kept, scales]


def shapes(node: fx.Node) -> Sequence[int]:
    """Return the shape of what an operation returns."""
    value = node.meta["val"]
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def each(node: fx.Node, build: Callable[[Tensor], Axes]) -> Any:
    """Return axes for each tensor that an operation returns."""
    value = node.meta["val"]
    if isinstance(value, Tensor):
        return build(value)
    return [build(one) if isinstance(one, Tensor) and one.numel() else [] for one in value]


def _overloads(rule: Rule, *names: str) -> dict[Any, Rule]:
    return {getattr(aten, name): rule for name in names if hasattr(aten, name)}


RULES: dict[Any, Rule] = {
    **RESHAPING,
    **CONTRACTIONS,
    **_overloads(elementwise, "copy_", "copy"),
    **_overloads(
        _same, "clone", "_to_copy", "detach", "detach_", "alias", "lift_fresh_copy", "lift_fresh", "contiguous",
        "fill_", "zero_", "_softmax", "_log_softmax", "_safe_softmax", "positive",
    ),
    **_overloads(
        _reduced, "sum", "mean", "amax", "amin", "var", "std", "var_mean", "logsumexp", "prod", "any", "all", "max",
        "min",
    ),
    **_overloads(_norm_of, "linalg_vector_norm"),
    **_overloads(_ordered, "cumsum", "cumprod", "flip"),
    **_overloads(_triangle, "tril", "triu"),
    **_overloads(
        _spatial(2), "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d",
        "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "mkldnn_max_pool2d",
    ),
    **_overloads(
        _spatial(3), "max_pool3d_with_indices", "avg_pool3d", "_adaptive_avg_pool3d", "adaptive_max_pool3d",
        "upsample_nearest3d", "upsample_trilinear3d",
    ),
    **_overloads(_spatial(1), "avg_pool1d", "adaptive_avg_pool1d", "upsample_nearest1d", "upsample_linear1d"),
    **_overloads(
        _batch_norm, "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training", "_batch_norm_with_update", "_batch_norm_no_update", "miopen_batch_norm",
    ),
    **_overloads(_layer_norm, "native_layer_norm", "_fused_rms_norm"),
    **_overloads(_group_norm, "native_group_norm"),
    **_overloads(_embedding, "embedding"),
    **_overloads(_indexed, "index"),
    **_overloads(
        _filled, "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full",
    ),
    **_overloads(_prelu, "prelu", "_prelu_kernel"),
    **_overloads(_glu, "glu"),
    **_overloads(_weight_norm, "_weight_norm_interface"),
    **{getattr(aten, name).dim: _extreme for name in ("max", "min")},
}  # fmt: skip


def rule_for(target: Any) -> Rule | None:
    """Return the rule of an operation, ``None`` where there is none."""
    found = RULES.get(target) or RULES.get(getattr(target, "overloadpacket", None))
    tags = getattr(target, "tags", ())
    if found is None and torch.Tag.pointwise in tags and torch.Tag.nondeterministic_seeded not in tags:
        return elementwise
    return found

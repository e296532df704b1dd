"""Operations that move entries and compute nothing: views, permutations, slices, concatenations."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from thalweg.paths._axes import Axis, Blocks, Fixed, Product, chosen, resolved, within_block
from thalweg.paths._contractions import NotUnderstood
from thalweg.paths._units import Units

Axes = list[Axis]
aten = torch.ops.aten


def _view(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """Neighbouring axes are merged and split again, where their sizes allow it."""
    before, after = axes(given[0]), list(node.meta["val"].shape)
    out, place = list[Axis](), 0
    while place < len(before) or len(out) < len(after):
        parts, have, want, sizes = list[Axis](), 1, 1, list[int]()
        while True:
            if have <= want and place < len(before) and (have < want or not parts):
                parts.append(before[place])
                have *= before[place].size
                place += 1
            elif len(out) + len(sizes) < len(after):
                sizes.append(after[len(out) + len(sizes)])
                want *= sizes[-1]
            if have == want and (sizes or len(out) == len(after)):
                break
            if place == len(before) and len(out) + len(sizes) == len(after):
                break
        out += _divided(units, resolved(Product(tuple(parts))), sizes)
    return out


def _divided(units: Units, axis: Axis, sizes: list[int]) -> Axes:
    out = list[Axis]()
    for size in sizes[:-1]:
        first, axis = units.split(axis, size)
        out.append(first)
    return [*out, axis] if sizes else []


def _transposed(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units, node
    out = axes(given[0])
    one, other = given[1], given[2]
    out[one], out[other] = out[other], out[one]
    return out


def _turned(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units, node
    return axes(given[0])[::-1]


def _permuted(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units, node
    before = axes(given[0])
    return [before[dim] for dim in given[1]]


def _squeezed(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units, node
    before = axes(given[0])
    dims = range(len(before)) if len(given) == 1 else [given[1]] if isinstance(given[1], int) else given[1]
    gone = {dim % len(before) for dim in dims} if before else set()
    return [axis for place, axis in enumerate(before) if axis.size != 1 or place not in gone]


def _unsqueezed(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del units
    out = axes(given[0])
    out.insert(given[1] % node.meta["val"].ndim, Fixed(1))
    return out


def _expanded(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """Copies of the same may be put in any order."""
    before, shape = axes(given[0]), node.meta["val"].shape
    before = [Fixed(1)] * (len(shape) - len(before)) + before
    return [axis if axis.size == size else units.new(size) for axis, size in zip(before, shape, strict=True)]


def _repeated(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    before, times = axes(given[0]), given[1]
    before = [Fixed(1)] * (len(times) - len(before)) + before
    return [resolved(Product((units.new(n), axis))) for n, axis in zip(times, before, strict=True)]


def _range(units: Units, before: Axes, dim: int, start: int, stop: int) -> Axes:
    """Entries from start to stop along one axis; what varies with its blocks is that of the block."""
    axis = before[dim]
    if start == 0 and stop == axis.size:
        return list(before)
    rest = units.cut(axis, start)[1] if start else axis
    piece = units.cut(rest, stop - start)[0] if stop < axis.size else rest
    blocks = within_block(axis, start, stop - start)
    return [piece if place == dim % len(before) else chosen(other, blocks) for place, other in enumerate(before)]


def _selected(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    del node
    before, dim, index = axes(given[0]), given[1], given[2]
    dim %= len(before)
    index %= before[dim].size
    out = _range(units, before, dim, index, index + 1)
    del out[dim]
    return out


def _unbound(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> list[Axes]:
    dim = given[1] if len(given) > 1 else 0
    return [_selected(units, [given[0], dim, k], node, axes) for k in range(len(node.meta["val"]))]


def _sliced(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    before = axes(given[0])
    dim, start, stop, step = given[1:] + [0, None, None, 1][len(given) - 1 :]
    size = before[dim].size
    start, stop, step = slice(start, stop, step).indices(size)
    if step != 1:
        units.fix(before[dim])
        before[dim] = Fixed(node.meta["val"].shape[dim])
        return before
    if stop <= start:
        raise NotUnderstood
    return _range(units, before, dim, start, stop)


def _parted(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> list[Axes]:
    """``split``, by one size or by many."""
    dim, out, start = (given[2] if len(given) > 2 else 0), list[Axes](), 0
    for part in node.meta["val"]:
        size = part.shape[dim]
        out.append(_range(units, axes(given[0]), dim, start, start + size))
        start += size
    return out


def _joined(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """``cat``: the axes other than the joined one are permuted alike."""
    del node
    parts = [axes(one) for one in given[0] if tuple(one.meta["val"].shape) != (0,)]
    dim = (given[1] if len(given) > 1 else 0) % len(parts[0])
    for other in parts[1:]:
        for place, (ours, theirs) in enumerate(zip(parts[0], other, strict=True)):
            if place != dim:
                units.unify(ours, theirs)
    out = list(parts[0])
    out[dim] = resolved(Blocks(None, tuple(part[dim] for part in parts)))
    return out


def _stacked(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    parts = [axes(one) for one in given[0]]
    for other in parts[1:]:
        for ours, theirs in zip(parts[0], other, strict=True):
            units.unify(ours, theirs)
    out = list(parts[0])
    out.insert((given[1] if len(given) > 1 else 0) % node.meta["val"].ndim, Fixed(len(parts)))
    return out


def _padded(units: Units, given: list[Any], node: fx.Node, axes: Callable[[Any], Axes]) -> Axes:
    """The new entries are all the same: any order of theirs will do."""
    del node
    out, pads = axes(given[0]), given[1]
    for place in range(len(pads) // 2):
        before, after = pads[2 * place : 2 * place + 2]
        if before < 0 or after < 0:
            raise NotUnderstood
        parts = [units.new(before)] * bool(before) + [out[-1 - place]] + [units.new(after)] * bool(after)
        out[-1 - place] = resolved(Blocks(None, tuple(parts)))
    return out


def _overloads(rule: Callable[..., Any], *names: str) -> dict[Any, Callable[..., Any]]:
    return {getattr(aten, name): rule for name in names if hasattr(aten, name)}


RESHAPING: dict[Any, Callable[..., Any]] = {
    **_overloads(_view, "view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy"),
    **_overloads(_transposed, "transpose", "transpose_"),
    **_overloads(_turned, "t", "numpy_T"),
    **_overloads(_permuted, "permute"),
    **_overloads(_squeezed, "squeeze"),
    **_overloads(_unsqueezed, "unsqueeze"),
    **_overloads(_expanded, "expand"),
    **_overloads(_repeated, "repeat"),
    **_overloads(_selected, "select"),
    **_overloads(_unbound, "unbind"),
    **_overloads(_sliced, "slice"),
    **_overloads(_parted, "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"),
    **_overloads(_joined, "cat"),
    **_overloads(_stacked, "stack"),
    **_overloads(_padded, "constant_pad_nd"),
}

"""Where the units of a group stand along an axis, and what a permutation of theirs does to it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.paths._permutation_results import AxisUnits, HiddenUnits, PermutationSymmetry

Permutations = Mapping[str, Tensor]


@dataclass(frozen=True)
class Run:
    """A part of an axis that has one entry for each tuple of units.

    Attributes:
        names: The groups whose units are counted, outermost first; ``None`` for what has a fixed order.
        places: Where the entries are, one axis for each of ``names``.
    """

    names: tuple[str | None, ...]
    places: Tensor


def runs(text: str, sizes: Mapping[str, int]) -> list[Run]:
    """Read the units of an axis: its runs, whose places together are 0, 1, ….

    Args:
        text: Of an :class:`AxisUnits`.
        sizes: Of all groups.

    Example:
        >>> [(run.names, run.places.tolist()) for run in runs("1 + a × 2", {"a": 2})]
        [((None,), [0]), (('a', None), [[1, 2], [3, 4]])]
    """
    found, start = list[Run](), 0
    for summand in _pieces(text, " + "):
        parts = [Run((), torch.zeros((), dtype=torch.long))]
        for factor in _pieces(summand, " × "):
            inner = _factor(factor, sizes)
            size = sum(run.places.numel() for run in inner)
            parts = [_pairs(one, other, size) for one in parts for other in inner]
        found += [Run(part.names, part.places + start) for part in parts]
        start += sum(part.places.numel() for part in parts)
    return found


def _factor(text: str, sizes: Mapping[str, int]) -> list[Run]:
    if text.startswith("("):
        return runs(text[1:-1], sizes)
    if text in sizes:
        return [Run((text,), torch.arange(sizes[text]))]
    return [Run((None,), torch.arange(int(text)))]


def _pairs(one: Run, other: Run, size: int) -> Run:
    first = one.places.reshape(one.places.shape + (1,) * other.places.ndim)
    return Run((*one.names, *other.names), first * size + other.places)


def _pieces(text: str, separator: str) -> Iterator[str]:
    depth = start = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth and text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]


def identity(symmetry: PermutationSymmetry) -> dict[str, Tensor]:
    """Return the permutation of each group that moves nothing: shape (size,), or (copies, size) within another."""
    return {group.name: _order(group, torch.arange(group.size)) for group in symmetry.groups}


def shuffled(symmetry: PermutationSymmetry, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a permutation of each group."""

    def draw(group: HiddenUnits) -> Tensor:
        orders = [torch.randperm(group.size, generator=generator) for _ in range(group.copies)]
        return orders[0] if group.within is None else torch.stack(orders)

    return {group.name: draw(group) for group in symmetry.groups}


def _order(group: HiddenUnits, order: Tensor) -> Tensor:
    return order if group.within is None else order.expand(group.copies, -1).clone()


def sources(axis: AxisUnits, groups: Mapping[str, HiddenUnits], permutations: Permutations) -> Tensor:
    """Return where each entry along an axis comes from.

    A permutation says for each place which unit comes to stand there. Within another group it is the permutation of
    the place where the outer unit comes to stand.
    """
    parts = runs(axis.units, {name: group.size for name, group in groups.items()})
    out = torch.empty(sum(part.places.numel() for part in parts), dtype=torch.long)
    for part in parts:
        index = list[Tensor]()
        rank = len(part.names)
        for place, (name, size) in enumerate(zip(part.names, part.places.shape, strict=True)):
            shape = [1] * rank
            shape[place] = size
            if name is None:
                index.append(torch.arange(size).reshape(shape))
                continue
            order, outer = permutations[name].cpu(), groups[name].within
            if outer is None:
                index.append(order.reshape(shape))
                continue
            at = part.names.index(outer)
            shape[at] = part.places.shape[at]
            index.append((order if at < place else order.T).reshape(shape))
        out[part.places.reshape(-1)] = part.places[tuple(index)].reshape(-1)
    return out


def moved(
    tensors: Mapping[str, Tensor],
    symmetry: PermutationSymmetry,
    permutations: Permutations,
    *,
    without: tuple[str, int] | None = None,
) -> dict[str, Tensor]:
    """Return tensors with their axes permuted, all but one axis if it is named."""
    groups = {group.name: group for group in symmetry.groups}
    out = dict(tensors)
    for axis in symmetry.axes:
        if axis.tensor in out and (axis.tensor, axis.axis) != without:
            order = sources(axis, groups, permutations).to(out[axis.tensor].device)
            out[axis.tensor] = out[axis.tensor].index_select(axis.axis, order)
    return out


def units_of(symmetry: PermutationSymmetry) -> int:
    """Return how many units there are in all groups."""
    return sum(math.prod((group.size, group.copies)) for group in symmetry.groups)

"""Axes of tensors written in hidden units.

The indices of an axis stand for units. An axis is one of

- ``Fixed``: its order matters (inputs, outputs, pixels, whatever is not understood);
- ``Unit``: a group of interchangeable units, of which more may become known (it is *bound* to another axis then);
- ``Product``: all pairs of units, row-major, as after a flattening (channels × pixels, heads × units of a head);
- ``Blocks``: one axis after another, as after a concatenation (queries, keys, values);
- ``Family``: one axis for each block of another axis of the same tensor.

A unit may be *within* others: then it has a permutation of its own for each index of those (the units of a head).
"""

import math
from dataclasses import dataclass
from typing import TypeAlias


class Unit:
    """A group of units; bound to what it turned out to be, or to nothing.

    Attributes:
        size: How many.
        bound: What is known now.
        within: Groups for each index of which these are permuted in another way; ``None`` if nothing speaks against
            any, but none is known.
    """

    __slots__ = ("bound", "size", "within")

    def __init__(self, size: int, within: "frozenset[Unit] | None" = None) -> None:
        self.size = size
        self.bound: Axis | None = None
        self.within = within


@dataclass(frozen=True, eq=False)
class Fixed:
    """An axis whose order matters."""

    size: int


@dataclass(frozen=True, eq=False)
class Product:
    """All tuples of units, the last running fastest."""

    parts: "tuple[Axis, ...]"

    @property
    def size(self) -> int:
        """Number of tuples."""
        return math.prod(part.size for part in self.parts)


@dataclass(frozen=True, eq=False)
class Blocks:
    """One axis after another; ``key`` is the unit that was cut into them."""

    key: Unit | None
    parts: "tuple[Axis, ...]"

    @property
    def size(self) -> int:
        """Sum of the parts."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, eq=False)
class Family:
    """One axis for each block of ``key``."""

    key: Unit
    members: "tuple[Axis, ...]"

    @property
    def size(self) -> int:
        """That of each member."""
        return self.members[0].size


Axis: TypeAlias = Unit | Fixed | Product | Blocks | Family


def resolved(axis: Axis) -> Axis:
    """Return what is known of an axis: products flat, units without bounds."""
    if isinstance(axis, Unit):
        return axis if axis.bound is None else resolved(axis.bound)
    if isinstance(axis, Product):
        parts = list[Axis]()
        for part in map(resolved, axis.parts):
            for piece in part.parts if isinstance(part, Product) else (part,):
                if isinstance(piece, Fixed) and parts and isinstance(parts[-1], Fixed):
                    parts[-1] = Fixed(parts[-1].size * piece.size)
                elif piece.size > 1:
                    parts.append(piece)
        return Fixed(1) if not parts else parts[0] if len(parts) == 1 else Product(tuple(parts))
    if isinstance(axis, Blocks):
        pieces = tuple(map(resolved, axis.parts))
        if len(pieces) == 1:
            return pieces[0]
        if axis.key is None and all(isinstance(part, Fixed) for part in pieces):
            return Fixed(axis.size)
        return Blocks(axis.key, pieces)
    if isinstance(axis, Family):
        found = tuple(map(resolved, axis.members))
        alike = all(one is found[0] for one in found) or all(isinstance(one, Fixed) for one in found)
        return found[0] if alike else Family(axis.key, found)
    return axis


def members(axis: Axis) -> set[Unit]:
    """Return the units without bounds in an axis."""
    axis = resolved(axis)
    if isinstance(axis, Unit):
        return {axis}
    parts = axis.members if isinstance(axis, Family) else () if isinstance(axis, Fixed) else axis.parts
    return set().union(*map(members, parts))


def outer_units(unit: Unit) -> frozenset[Unit]:
    """Return the groups, as they are known now, for each index of which a unit has a permutation of its own."""
    return frozenset().union(*map(members, unit.within or ())) - {unit}


def walks(axis: Axis) -> list[list[Unit]]:
    """List the units that an index of the axis passes, for each of its blocks."""
    axis = resolved(axis)
    if isinstance(axis, Unit):
        return [[axis]]
    if isinstance(axis, Product):
        found: list[list[Unit]] = [[]]
        for part in axis.parts:
            found = [[*before, *after] for before in found for after in walks(part)]
        return found
    if isinstance(axis, Fixed):
        return [[]]
    return [walk for part in (axis.members if isinstance(axis, Family) else axis.parts) for walk in walks(part)]


def within_block(axis: Axis, start: int, size: int) -> dict[Unit, int]:
    """Say which block of the units cut in ``axis`` the indices from ``start`` lie in."""
    chosen_blocks = dict[Unit, int]()
    axis = resolved(axis)
    while isinstance(axis, Blocks):
        for place, part in enumerate(axis.parts):
            if start >= 0 and start + size <= part.size:
                if axis.key is not None:
                    chosen_blocks[axis.key] = place
                axis = part
                break
            start -= part.size
        else:
            break
    return chosen_blocks


def chosen(axis: Axis, blocks: dict[Unit, int]) -> Axis:
    """Return an axis where units that vary with these blocks are those of the block."""
    axis = resolved(axis)
    if isinstance(axis, Family):
        if axis.key in blocks:
            return chosen(axis.members[blocks[axis.key]], blocks)
        return Family(axis.key, tuple(chosen(member, blocks) for member in axis.members))
    if isinstance(axis, Product):
        return resolved(Product(tuple(chosen(part, blocks) for part in axis.parts)))
    if isinstance(axis, Blocks):
        return Blocks(axis.key, tuple(chosen(part, blocks) for part in axis.parts))
    return axis


def named(axis: Axis) -> set[Unit]:
    """Return the units without bounds in an axis, and those that were cut into its blocks."""
    axis = resolved(axis)
    if isinstance(axis, Blocks):
        keys = set() if axis.key is None else {axis.key}
        return keys.union(*map(named, axis.parts))
    if isinstance(axis, Product):
        return set().union(*map(named, axis.parts))
    return members(axis)


def once(unit: Unit, others: list[list[list[Unit]]]) -> bool:
    """Whether a unit is on exactly one of several axes, given by their walks, and there once in each block."""
    holding = [paths for paths in others if any(unit in walk for walk in paths)]
    return len(holding) == 1 and all(walk.count(unit) == 1 for walk in holding[0])

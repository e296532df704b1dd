"""What is found out about the units of a network while it is followed."""

from thalweg.paths._axes import (
    Axis,
    Blocks,
    Family,
    Fixed,
    Product,
    Unit,
    chosen,
    members,
    named,
    once,
    outer_units,
    resolved,
    walks,
    within_block,
)


class Units:
    """All units of one network; methods say what is found out about them.

    What cannot hold for permuted units freezes them: the order of an axis then matters. ``lost`` counts the units that
    were frozen since it was last set to zero.
    """

    def __init__(self) -> None:
        self._all: list[Unit] = []
        self.lost = 0

    def new(self, size: int, within: frozenset[Unit] | None = None) -> Axis:
        """Return units that nothing is known of; a single one is fixed."""
        if size == 1:
            return Fixed(1)
        unit = Unit(size, within)
        self._all.append(unit)
        return unit

    # ------------------------------------------------------------------ equal axes

    def unify(self, a: Axis, b: Axis) -> None:
        """Both axes are permuted alike from now on."""
        a, b = resolved(a), resolved(b)
        if a is b or (isinstance(a, Fixed) and isinstance(b, Fixed)):
            return
        if isinstance(a, Unit):
            self._bind(a, b)
        elif isinstance(b, Unit):
            self._bind(b, a)
        elif isinstance(a, Family) and isinstance(b, Family) and a.key is b.key:
            for one, other in zip(a.members, b.members, strict=True):
                self.unify(one, other)
        elif isinstance(a, Family):
            for member in a.members:
                self.unify(member, b)
        elif isinstance(b, Family):
            self.unify(b, a)
        elif isinstance(a, Fixed):
            self.fix(b)
        elif isinstance(b, Fixed):
            self.fix(a)
        elif isinstance(a, Product) and isinstance(b, Product):
            self._match(list(a.parts), list(b.parts))
        elif isinstance(a, Blocks):
            self._lay(list(a.parts), b)
        else:
            self.unify(b, a)

    def _bind(self, unit: Unit, axis: Axis) -> None:
        inside = members(axis)
        if unit in inside:
            self.freeze(axis)
            return
        if unit.within is not None:
            outer = outer_units(unit)
            for part in inside:
                allowed = outer | (inside - {part})
                part.within = frozenset(allowed if part.within is None else outer_units(part) & allowed)
        unit.bound = axis

    def _match(self, ours: list[Axis], theirs: list[Axis]) -> None:
        while ours and theirs:
            a, b = ours.pop(0), theirs.pop(0)
            if a.size > b.size:
                (a, rest) = self.split(a, b.size)
                ours.insert(0, rest)
            elif b.size > a.size:
                (b, rest) = self.split(b, a.size)
                theirs.insert(0, rest)
            if a.size != b.size:
                for part in (a, b, *ours, *theirs):
                    self.freeze(part)
                return
            self.unify(a, b)

    def _lay(self, blocks: list[Axis], axis: Axis) -> None:
        rest = axis
        for block in blocks[:-1]:
            piece, rest = self.cut(rest, block.size)
            self.unify(block, piece)
        self.unify(blocks[-1], rest)

    # ------------------------------------------------------------------ parts of axes

    def split(self, axis: Axis, first: int) -> tuple[Axis, Axis]:
        """Write an axis as ``first`` × the rest."""
        axis = resolved(axis)
        if first in (1, axis.size):
            return (Fixed(1), axis) if first == 1 else (axis, Fixed(1))
        rest, left = divmod(axis.size, first)
        if not left:
            if isinstance(axis, Unit):
                outer = Unit(first, axis.within)
                inner = Unit(rest, (axis.within or frozenset()) | {outer})
                self._all += [outer, inner]
                axis.bound = Product((outer, inner))
                return outer, inner
            if isinstance(axis, Family):
                pairs = [self.split(member, first) for member in axis.members]
                return Family(axis.key, tuple(a for a, _ in pairs)), Family(axis.key, tuple(b for _, b in pairs))
            if isinstance(axis, Product):
                return self._split_product(axis, first)
            if isinstance(axis, Blocks) and all(part.size % rest == 0 for part in axis.parts):
                key = Unit(first)
                self._all.append(key)
                pairs = [self.split(part, part.size // rest) for part in axis.parts]
                key.bound = Blocks(key, tuple(a for a, _ in pairs))
                return key, Family(key, tuple(b for _, b in pairs))
        self.freeze(axis)
        # A first factor that does not divide the size is the caller's to notice.
        return (Fixed(first), Fixed(rest)) if not left else (axis, Fixed(1))

    def _split_product(self, axis: Product, first: int) -> tuple[Axis, Axis]:
        taken, parts, total = list[Axis](), list(axis.parts), first
        while parts and first % parts[0].size == 0 and first > 1:
            first //= parts[0].size
            taken.append(parts.pop(0))
        if first > 1:
            if parts[0].size % first:
                self.freeze(axis)
                return Fixed(total), Fixed(axis.size // total)
            outer, parts[0] = self.split(parts[0], first)
            taken.append(outer)
        return resolved(Product(tuple(taken))), resolved(Product(tuple(parts)))

    def cut(self, axis: Axis, at: int) -> tuple[Axis, Axis]:
        """Write an axis as its first ``at`` units and the rest."""
        axis = resolved(axis)
        if isinstance(axis, Unit):
            return self._cut_unit(axis, at)
        if isinstance(axis, Blocks):
            first, parts = list[Axis](), list(axis.parts)
            while parts and parts[0].size <= at:
                at -= parts[0].size
                first.append(parts.pop(0))
            if at:
                piece, parts[0] = self.cut(parts[0], at)
                first.append(piece)
            return resolved(Blocks(None, tuple(first))), resolved(Blocks(None, tuple(parts)))
        if isinstance(axis, Product):
            head, rest = axis.parts[0], Product(axis.parts[1:])
            if at % rest.size == 0:
                pieces = self.cut(head, at // rest.size)
                low, high = (
                    resolved(Product((piece, chosen(rest, within_block(head, start, piece.size)))))
                    for piece, start in zip(pieces, (0, at // rest.size), strict=True)
                )
                return low, high
        self.freeze(axis)
        return Fixed(at), Fixed(axis.size - at)

    def _cut_unit(self, unit: Unit, at: int) -> tuple[Axis, Axis]:
        pieces = self.new(at, unit.within), self.new(unit.size - at, unit.within)
        bound_to = [piece if isinstance(piece, Unit) else None for piece in pieces]
        varied = [other for other in self._all if other.bound is None and unit in outer_units(other)]
        before = {other: outer_units(other) for other in varied}
        split = {other: tuple(Unit(other.size) for _ in pieces) for other in varied}
        for other, copies in split.items():
            for place, (copy, piece) in enumerate(zip(copies, bound_to, strict=True)):
                outer = {split[one][place] if one in split else one for one in before[other] - {unit}}
                copy.within = frozenset(outer if piece is None else outer | {piece})
            self._all += copies
            other.bound = Family(unit, copies)
        unit.bound = Blocks(unit, pieces)
        return pieces

    # ------------------------------------------------------------------ what does not hold

    def fix(self, axis: Axis) -> None:
        """The order of this axis matters."""
        for unit in members(axis):
            unit.bound = Fixed(unit.size)

    def freeze(self, axis: Axis) -> None:
        """The order of this axis is kept, since what happens to it is not understood; that is counted."""
        self.lost += sum(unit.size for unit in members(axis))
        self.fix(axis)

    def summed(self, axes: list[Axis], along: list[Axis]) -> None:
        """These axes are summed over together, entry by entry along others: what they may vary with is among both."""
        near = set().union(*(named(axis) for axis in (*axes, *along)))
        for axis in axes:
            self._restrict(axis, near)

    def carried(self, axes: list[Axis]) -> bool:
        """In a tensor with these axes units vary only with what is there, once; return whether that was news."""
        paths = [walks(axis) for axis in axes]
        names = [named(axis) for axis in axes]
        news = False
        for place, axis in enumerate(axes):
            for unit in members(axis):
                elsewhere = [
                    other
                    for other in outer_units(unit)
                    if not all(walk.count(other) == 1 for walk in paths[place] if unit in walk)
                    and not once(other, [found for k, found in enumerate(paths) if k != place])
                ]
                if elsewhere:
                    unit.within = outer_units(unit).difference(elsewhere)
                    news = True
            there = set().union(*names)
            news |= self._collapse(axis, there)
        return news

    def _restrict(self, axis: Axis, near: set[Unit]) -> None:
        for unit in members(axis):
            unit.within = None if unit.within is None else outer_units(unit) & near
        self._collapse(axis, near)

    def _collapse(self, axis: Axis, near: set[Unit]) -> bool:
        axis = resolved(axis)
        if isinstance(axis, (Product, Blocks)):
            return sum(self._collapse(part, near) for part in axis.parts) > 0
        if isinstance(axis, Family):
            deeper = sum(self._collapse(member, near | {axis.key}) for member in axis.members) > 0
            if axis.key in near:
                return deeper
            several = len({frozenset(members(member)) for member in axis.members}) > 1
            for member in axis.members[1:]:
                self.unify(axis.members[0], member)
            return deeper or several
        return False

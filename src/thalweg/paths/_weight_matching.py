"""Put the hidden units of one network in the order in which their weights resemble another's."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.paths._assignment import Gains, add_products, best_order, blocks, no_gains
from thalweg.paths._layout import identity, runs, shuffled, sources
from thalweg.paths._permutation_results import AxisUnits, HiddenUnits, PermutationSymmetry

Tensors = Mapping[str, Tensor]
Order = dict[str, Tensor]


@dataclass
class Match:
    """Orders of all groups, and the squared distance of the weights after each sweep."""

    order: Order
    history: list[float]


class Matcher:
    """Two networks' weights and the symmetry between them."""

    def __init__(self, ours: Tensors, theirs: Tensors, symmetry: PermutationSymmetry) -> None:
        self.ours, self.theirs, self.symmetry = ours, theirs, symmetry
        self.groups = {group.name: group for group in symmetry.groups}
        self.sizes = {name: group.size for name, group in self.groups.items()}
        self.axes: dict[str, list[AxisUnits]] = {}
        for axis in symmetry.axes:
            if axis.tensor in ours:
                self.axes.setdefault(axis.tensor, []).append(axis)
        self.runs = {id(axis): runs(axis.units, self.sizes) for held in self.axes.values() for axis in held}
        self.blocks = blocks(symmetry)
        self.of = {root.name: [root.name, *(one.name for one in inner)] for root, inner in self.blocks}

    def names(self, axis: AxisUnits) -> set[str]:
        """Return the groups along an axis."""
        return {name for run in self.runs[id(axis)] for name in run.names if name is not None}

    def touched(self, root: str) -> list[str]:
        """Return the tensors that a group and those within it are part of."""
        own = set(self.of[root])
        return [name for name, axes in self.axes.items() if any(own & self.names(axis) for axis in axes)]

    def placed(self, tensor: str, order: Mapping[str, Tensor], skip: AxisUnits | None = None) -> Tensor:
        """Return a tensor of the second network in an order, one axis left out."""
        out = self.theirs[tensor]
        for axis in self.axes.get(tensor, ()):
            if axis is not skip:
                out = out.index_select(axis.axis, sources(axis, self.groups, order).to(out.device))
        return out

    def distance(self, order: Mapping[str, Tensor], tensors: list[str] | None = None) -> float:
        """Return ‖θ − Pθ'‖² over some tensors, or all."""
        chosen = self.ours if tensors is None else tensors
        return sum(float((self.ours[name] - self.placed(name, order)).double().square().sum()) for name in chosen)

    def gains(self, root: HiddenUnits, inner: tuple[HiddenUnits, ...], order: Order, known: set[str] | None) -> Gains:
        """Return the inner products of weights for all pairs of units, the other groups in a given order.

        Where the order of another axis is not known yet, its entries are compared sorted by size, which is the
        same in any order.
        """
        found = no_gains(root, inner)
        still = {**order, **{name: identity(self.symmetry)[name] for name in self.of[root.name]}}
        for tensor in self.touched(root.name):
            for axis in self.axes[tensor]:
                if root.name not in self.names(axis):
                    continue
                theirs = self.placed(tensor, order, skip=axis)
                theirs = theirs.index_select(axis.axis, sources(axis, self.groups, still).to(theirs.device))
                a, b = self.ours[tensor].movedim(axis.axis, 0), theirs.movedim(axis.axis, 0)
                if known is not None:
                    unknown = [
                        other.axis + (other.axis < axis.axis)
                        for other in self.axes[tensor]
                        if other is not axis and not self.names(other) <= known
                    ]
                    a, b = _sorted(a, unknown), _sorted(b, unknown)
                for run in self.runs[id(axis)]:
                    if root.name in run.names:
                        add_products(found, run.names, a[run.places.to(a.device)], b[run.places.to(b.device)])
        return found

    def improved(self, root: HiddenUnits, inner: tuple[HiddenUnits, ...], order: Order) -> bool:
        """Put one group in its best order, the others held, if that brings the weights nearer."""
        candidate = {**order, **best_order(self.gains(root, inner, order, None))}
        if all(bool((candidate[name] == order[name]).all()) for name in self.of[root.name]):
            return False
        tensors = self.touched(root.name)
        before, after = self.distance(order, tensors), self.distance(candidate, tensors)
        # A group on two axes of a tensor makes the problem quadratic, and its linear part may lead astray.
        if not after < before - 1e-12 * abs(before):
            return False
        order.update(candidate)
        return True

    def recognised(self) -> Order:
        """Order the groups one after the other, by what does not depend on those that are not in order yet."""
        order, known = identity(self.symmetry), set[str]()
        for root, inner in self.blocks:
            order.update(best_order(self.gains(root, inner, order, known)))
            known |= set(self.of[root.name])
        return order

    def descend(self, order: Order, sweeps: int, generator: torch.Generator) -> Match:
        """Improve group after group in random order until none can be."""
        history = [self.distance(order)]
        for _ in range(sweeps):
            turns = torch.randperm(len(self.blocks), generator=generator).tolist()
            moved = [self.improved(root, inner, order) for root, inner in (self.blocks[turn] for turn in turns)]
            if not any(moved):
                break
            history.append(self.distance(order))
        return Match(order, history)


def match_weights(
    ours: Tensors,
    theirs: Tensors,
    symmetry: PermutationSymmetry,
    *,
    restarts: int,
    sweeps: int,
    generator: torch.Generator,
) -> Match:
    """Return the best match of several: from where they stand, from what units look like, and from random orders."""
    matcher = Matcher(ours, theirs, symmetry)
    best = matcher.descend(matcher.recognised(), sweeps, generator)
    for start in range(1, restarts):
        if best.history[-1] == 0:
            break
        order = identity(symmetry) if start == 1 else shuffled(symmetry, generator)
        best = min(best, matcher.descend(order, sweeps, generator), key=lambda match: match.history[-1])
    return best


def _sorted(value: Tensor, unknown: list[int]) -> Tensor:
    if not unknown:
        return value
    kept = [place for place in range(value.ndim) if place not in unknown]
    return value.permute(*kept, *unknown).flatten(len(kept)).sort(-1).values

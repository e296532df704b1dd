"""Put the hidden units of one network in the order in which their activations resemble another's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.paths._activations import layers, over_batches, record, standing
from thalweg.paths._assignment import Gains, best_order, blocks, no_gains
from thalweg.paths._layout import Run, identity, runs
from thalweg.paths._permutation_results import HiddenUnits, PermutationSymmetry
from thalweg.paths._propagation import propagate
from thalweg.paths._trace import movable
from thalweg.paths._weight_matching import Matcher, Order

# The most that weights count for, in units of a correlation: above its rounding, and below what tells units apart.
_TIES = 1e-4
_SWEEPS = 20


@dataclass
class Moments:
    """Sums over all samples of what two networks have at one place, for one block of groups.

    Attributes:
        root: The group, with those within it.
        names: The groups of the axes, one or two: units, or units within units.
        count: Samples.
        sums: Σ a and Σ b.
        squares: Σ a² and Σ b².
        products: Σ a bᵀ.
    """

    root: str
    names: tuple[str, ...]
    count: int = 0
    sums: list[Tensor] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)
    products: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        """Count the samples of one batch, each network's of shape (n, samples)."""
        self.count += ours.shape[1]
        sums, squares = [x.sum(1) for x in (ours, theirs)], [x.square().sum(1) for x in (ours, theirs)]
        products = ours @ theirs.T
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)] if self.sums else sums
        self.squares = [a + b for a, b in zip(self.squares, squares, strict=True)] if self.squares else squares
        self.products = self.products.to(products.device) + products

    def correlations(self) -> Tensor:
        """Return the correlation of each unit of one network with each of the other; 0 for units that never vary."""
        means = [total / self.count for total in self.sums]
        pairs = zip(self.squares, means, strict=True)
        variances = [(square / self.count - mean.square()).clamp(min=0) for square, mean in pairs]
        small = [torch.finfo(v.dtype).eps * s / self.count for v, s in zip(variances, self.squares, strict=True)]
        scales = [torch.where(v > 100 * s, v.rsqrt(), 0.0) for v, s in zip(variances, small, strict=True)]
        covariance = self.products / self.count - means[0][:, None] * means[1]
        return (covariance * scales[0][:, None] * scales[1]).cpu()


def match_activations(reference: Landscape, other: Landscape, symmetry: PermutationSymmetry) -> dict[str, Tensor]:
    """Return the order with the largest sum of correlations between what layers read and write (Li et al., 2015)."""
    sizes = {group.name: group.size for group in symmetry.groups}
    pairs = blocks(symmetry)
    moments = dict[tuple[str, int, int, str], Moments]()
    with reference.reading():
        ours, theirs = standing(reference), standing(other)
        places: dict[str, list[tuple[int, int, Run]]] | None = None
        for found in over_batches(reference):
            if places is None:
                # Names of operations are the same in every graph of one model.
                labels = propagate(found, movable(reference))[3]
                seen = dict.fromkeys(name for layer in layers(found) for name in layer[:2])
                places = {name: _places(labels[name], sizes) for name in seen}
            keep = set(places)
            a, b = record(found, ours, keep), record(found, theirs, keep)
            for name, there in places.items():
                for axis, number, run in there:
                    _add(moments, (name, axis, number), run, pairs, a[name].movedim(axis, 0), b[name].movedim(axis, 0))
    correlations, order = dict[str, Gains](), identity(symmetry)
    for root, inner in pairs:
        gains = correlations[root.name] = no_gains(root, inner)
        for held in moments.values():
            if held.root == root.name:
                _gain(gains, held)
        order.update(best_order(gains))
    matcher = Matcher(reference.split(reference.theta), other.split(other.theta), symmetry)
    return _ties_broken(correlations, order, matcher)


def _ties_broken(correlations: Mapping[str, Gains], order: Order, matcher: Matcher) -> Order:
    """Put units in the order of their weights wherever correlations leave it open: dead units, or equal ones."""
    known: set[str] | None = set()
    for _ in range(_SWEEPS):
        before = {name: value.clone() for name, value in order.items()}
        for root, inner in matcher.blocks:
            weights = matcher.gains(root, inner, order, known)
            order.update(best_order(_with_share(correlations[root.name], weights)))
            if known is not None:
                known |= set(matcher.of[root.name])
        if known is None and all(bool((before[name] == value).all()) for name, value in order.items()):
            break
        # The first sweep recognises units whose neighbours are in no order yet.
        known = None
    return order


def _with_share(gains: Gains, weights: Gains) -> Gains:
    """Add a small share of what is gained by weights, too small to matter where activations differ."""
    tables = [weights.direct, *weights.nested.values()]
    largest = max((float(table.abs().max()) for table in tables if table.numel()), default=0.0)
    share = _TIES / largest if largest > 0 else 0.0
    nested = {name: table + share * weights.nested[name] for name, table in gains.nested.items()}
    return Gains(gains.group, gains.inner, gains.direct + share * weights.direct, nested)


def _places(labels: list[str | None], sizes: Mapping[str, int]) -> list[tuple[int, int, Run]]:
    found = list[tuple[int, int, Run]]()
    for axis, text in enumerate(labels):
        if text is not None and not text.isdigit():
            words = set(text.replace("(", "").replace(")", "").split(" ")) - {"+", "×"}
            if all(word in sizes or word.isdigit() for word in words):
                found += [(axis, number, run) for number, run in enumerate(runs(text, sizes))]
    return found


def _add(
    moments: dict[tuple[str, int, int, str], Moments],
    key: tuple[str, int, int],
    run: Run,
    pairs: list[tuple[HiddenUnits, tuple[HiddenUnits, ...]]],
    ours: Tensor,
    theirs: Tensor,
) -> None:
    for root, inner in pairs:
        own = {None, root.name, *(one.name for one in inner)}
        # Beside units of another group, whose order is not known yet, there is nothing to compare.
        if root.name not in run.names or not own.issuperset(run.names):
            continue
        within = next((one.name for one in inner if one.name in run.names), None)
        names = (root.name,) if within is None else (root.name, within)
        front = [run.names.index(name) for name in names]
        width = root.size if within is None else root.size * run.places.shape[front[1]]
        a, b = (
            value[run.places.to(value.device)].movedim(front, list(range(len(front)))).reshape(width, -1).double()
            for value in (ours, theirs)
        )
        moments.setdefault((*key, root.name), Moments(root.name, names)).add(a, b)


def _gain(gains: Gains, found: Moments) -> None:
    table = found.correlations()
    if len(found.names) == 1:
        gains.direct += table
        return
    n, m = gains.group.size, table.shape[0] // gains.group.size
    gains.nested[found.names[1]] += table.reshape(n, m, n, m).transpose(1, 2)

"""What is said of the shape of sub-level sets."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.estimate import Cost
from thalweg.record import Record

_NAMES = (("component", "components"), ("loop", "loops"), ("cavity", "cavities"))


@dataclass(frozen=True)
class Persistence(Record):
    """What appears and disappears in {L ≤ c} as the level c rises.

    Features of dimension 0 are components, each born at a minimum; of dimension 1 loops, each born at a saddle and
    filled at a maximum; of dimension 2 cavities. An essential feature never disappears.

    Attributes:
        dimension: Of each feature that dies, shape (n,); sorted, the most persistent first within each.
        birth: Level at which it appears, shape (n,), float64.
        death: Level at which it disappears, shape (n,).
        birth_at: Where it appears, shape (n, d): indices into the grid; of a graph, the two ends of an edge, or the
            same vertex twice.
        death_at: Where it disappears, shape (n, d).
        essential_dimension: Of each feature that does not die, shape (m,); one component if all is connected.
        essential_birth: Shape (m,).
        essential_at: Shape (m, d).
        shape: Of the grid, or (vertices,) of a graph.
        limits: The smallest and the largest finite loss.
        excluded: Points of the grid, or vertices and edges of the graph, whose loss is not finite; they are in no
            sub-level set.
        threshold: Features that last no longer are left out.
        oscillation: The largest difference of loss between two corners of one cell of the grid; ``None`` without such.
            If the loss within each cell stays between those of its corners, births and deaths on the continuous
            plane are within it of these (cells with an excluded corner aside).
        cost: What it took; no pass over the data.
    """

    dimension: Tensor
    birth: Tensor
    death: Tensor
    birth_at: Tensor
    death_at: Tensor
    essential_dimension: Tensor
    essential_birth: Tensor
    essential_at: Tensor
    shape: tuple[int, ...]
    limits: tuple[float, float]
    excluded: int = 0
    threshold: float = 0.0
    oscillation: float | None = None
    cost: Cost = Cost()

    def pairs(self, dimension: int = 0) -> Tensor:
        """Return (birth, death) of the features of a dimension that die, shape (k, 2), the most persistent first."""
        return torch.stack([self.birth, self.death], dim=1)[self.dimension == dimension]

    def essential(self, dimension: int = 0) -> Tensor:
        """Return the births of the features of a dimension that never die, shape (k,)."""
        return self.essential_birth[self.essential_dimension == dimension]

    def count(self, dimension: int = 0, *, above: float = 0.0) -> int:
        """Return how many features of a dimension last longer than ``above``; essential ones always count."""
        pairs = self.pairs(dimension)
        return int((pairs[:, 1] - pairs[:, 0] > above).sum()) + len(self.essential(dimension))

    def __str__(self) -> str:
        highest = max([0, *self.dimension.tolist(), *self.essential_dimension.tolist()])
        parts = []
        for k in range(highest + 1):
            pairs, endless = self.pairs(k), len(self.essential(k))
            total = len(pairs) + endless
            if not total:
                continue
            one, several = _NAMES[k] if k < len(_NAMES) else ("feature", "features")
            said = f"H{k}: {total} {one if total == 1 else several}"
            if endless:
                said += f", {endless} essential"
            if len(pairs):
                said += f", persistence up to {float(pairs[0, 1] - pairs[0, 0]):.4g}"
            parts.append(said)
        return "; ".join(parts) + _left_out(self.excluded)


@dataclass(frozen=True)
class MergeTree(Record):
    """How the components of {L ≤ c} join as the level c rises: minima are leaves, and join at saddles.

    Attributes:
        level: Loss at each node, shape (n,), float64: first the minima, deepest first, then the saddles, lowest first.
        position: Where each node is, shape (n, d): indices into the grid; of a graph, the two ends of an edge, or the
            same vertex twice.
        parent: The saddle at which the component of each node joins another, shape (n,); −1 where it never does.
        merges: The saddle at which each minimum meets a deeper one, shape (minima,); −1 where it never does.
        basin: Points from which steepest descent on the grid leads to each minimum, shape (minima,); where minima
            below the threshold were left out, with theirs.
        shape: Of the grid, or (vertices,) of a graph.
        limits: The smallest and the largest finite loss.
        excluded: Points of the grid, or vertices and edges of the graph, whose loss is not finite.
        threshold: Minima that last no longer are left out.
        cost: What it took; no pass over the data.
    """

    level: Tensor
    position: Tensor
    parent: Tensor
    merges: Tensor
    basin: Tensor
    shape: tuple[int, ...]
    limits: tuple[float, float]
    excluded: int = 0
    threshold: float = 0.0
    cost: Cost = Cost()

    @property
    def minima(self) -> int:
        """How many leaves there are; their nodes come first."""
        return len(self.merges)

    @property
    def saddles(self) -> int:
        """How many nodes are no leaves."""
        return len(self.level) - self.minima

    def persistence(self) -> tuple[float | None, ...]:
        """Return how far the loss must rise from each minimum to reach a deeper one; ``None`` where it never does."""
        births, joined = self.level[: self.minima].tolist(), self.merges.tolist()
        return tuple(
            float(self.level[at]) - birth if at >= 0 else None for birth, at in zip(births, joined, strict=True)
        )

    def count(self, *, above: float = 0.0) -> int:
        """Return how many minima last longer than ``above``; those that reach no deeper one always count."""
        return sum(lasting is None or lasting > above for lasting in self.persistence())

    def __str__(self) -> str:
        where = " × ".join(map(str, self.shape)) + (" points" if len(self.shape) == 1 else " grid")
        one, other = ("minimum" if self.minima == 1 else "minima"), ("saddle" if self.saddles == 1 else "saddles")
        said = f"{self.minima} {one} and {self.saddles} {other} on {where}"
        if self.minima:
            at = ", ".join(str(index) for index in self.position[0].tolist())
            said += f", the lowest {float(self.level[0]):.4g} at ({at})"
        lasting = [value for value in self.persistence() if value is not None]
        if lasting:
            said += f"; persistence up to {max(lasting):.4g}"
        return said + _left_out(self.excluded)


@dataclass(frozen=True)
class DiagramDistance(Record):
    """How far apart the persistence of two landscapes is, exact to rounding.

    Attributes:
        value: The distance; ``None`` where it is infinite, since different numbers of features never die.
        kind: "bottleneck" or "wasserstein".
        order: Of the Wasserstein distance; ``None`` for the bottleneck distance.
        dimension: Of the features compared.
        scale: "loss": in units of the loss; "range": each landscape in units of the range of its own loss.
        matched: Whether features that never die were matched with one another.
        cost: What it took; no pass over the data.
    """

    value: float | None
    kind: str
    order: float | None
    dimension: int
    scale: str
    matched: bool
    cost: Cost = Cost()

    def __str__(self) -> str:
        name = self.kind if self.order is None else f"{self.kind} (order {self.order:g})"
        value = "infinite" if self.value is None else f"{self.value:.4g}"
        unit = "" if self.scale == "loss" or self.value is None else " of the range"
        return f"{name} distance of H{self.dimension}: {value}{unit}"


def _left_out(excluded: int) -> str:
    return f"; {excluded} not finite and left out" if excluded else ""

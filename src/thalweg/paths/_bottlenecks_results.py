"""What is known of the ways between many minima."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.record import Record


@dataclass(frozen=True)
class PathMaxima(Record):
    """The highest loss on a path between every two of n minima.

    Attributes:
        maxima: Shape (n, n), symmetric; the loss of each minimum on the diagonal; NaN where the loss is not finite
            somewhere on every path, so that none is a way below any level.
        loss: Loss of each minimum, shape (n,).
        excluded: Pairs whose maximum is NaN.
        labels: Names of the minima.
        cost: What all paths took.
        chosen: Number of the path function that found the maximum of each pair, from 0, shape (n, n); −1 where none
            did; ``None`` if it was not kept.
    """

    maxima: Tensor
    loss: Tensor
    excluded: int
    labels: tuple[str, ...]
    cost: Cost
    chosen: Tensor | None = None

    def __str__(self) -> str:
        count = len(self.loss)
        left = f", {self.excluded} of them not finite" if self.excluded else ""
        return f"maxima of {count * (count - 1) // 2} paths between {count} minima{left}"


@dataclass(frozen=True)
class Bottlenecks(Record):
    """The lowest level at which every two minima are known to be connected, by way of the others if that is lower.

    Attributes:
        level: Shape (n, n): the smallest over all ways of the highest loss on the way; the loss of each minimum on the
            diagonal; NaN where no way is known.
        barrier: ``level`` above the higher of the two ends, shape (n, n), 0 on the diagonal.
        direct: The same without other minima in between: what was measured, shape (n, n).
        tree: Pairs of neighbours in a minimum spanning tree, by rising level, shape (m, 2); m = n − 1 where all are
            connected.
        tree_level: Highest loss on the path of each pair in the tree, shape (m,).
        labels: Names of the minima.
        parts: Sets of minima between which no way is known; 1 where all are connected.
    """

    level: Tensor
    barrier: Tensor
    direct: Tensor
    tree: Tensor
    tree_level: Tensor
    labels: tuple[str, ...]
    parts: int

    def way(self, first: int, second: int) -> tuple[int, ...]:
        """Return the minima on the lowest known way from one to another, both included; () where there is none.

        Raises:
            ArgumentError: If one of them is no number of a minimum.
        """
        count = len(self.labels)
        for name, number in (("first", first), ("second", second)):
            if not 0 <= number < count:
                raise ArgumentError(f"{name}: expected a number from 0 to {count - 1}, got {number}.")
        near: dict[int, list[int]] = {i: [] for i in range(count)}
        for i, j in self.tree.tolist():
            near[i].append(j)
            near[j].append(i)
        ways: dict[int, tuple[int, ...]] = {first: (first,)}
        open_ = [first]
        while open_:
            here = open_.pop()
            for other in near[here]:
                if other not in ways:
                    ways[other] = (*ways[here], other)
                    open_.append(other)
        return ways.get(second, ())

    def __str__(self) -> str:
        count = len(self.labels)
        if self.parts > 1:
            return f"{count} minima in {self.parts} parts between which no way is known"
        highest = float(self.tree_level.max()) if count > 1 else float(self.level[0, 0])
        return f"{count} minima, all connected at or below a loss of {highest:.4g}, by the paths known"

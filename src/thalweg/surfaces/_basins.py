"""Which minimum each point of a grid leads down to, and where neighbouring basins touch lowest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Basins:
    """A graph of minima: what sub-level sets of the grid look like, as far as their components go.

    Attributes:
        minima: Flat index of each minimum, deepest first.
        size: Points of each basin.
        edges: Pairs of basins that touch, shape (m, 2), those that touch lowest first.
        saddles: Flat index of the higher point of the lowest step between each pair, shape (m,).
    """

    minima: np.ndarray
    size: np.ndarray
    edges: np.ndarray
    saddles: np.ndarray


def basins(heights: np.ndarray) -> Basins:
    """Follow steepest descent from every finite point, from neighbour to neighbour along the axes.

    Equal values are told apart by their index, so that the answer is one and the same every time (simulation of
    simplicity; Edelsbrunner & Mücke, 1990). A point is connected to its minimum within its own sub-level set, so
    the components of any sub-level set are those of the graph of basins.
    """
    finite = np.isfinite(heights)
    flat = np.flatnonzero(finite)
    rank = np.full(heights.size, heights.size, dtype=np.int64)
    rank[flat[np.argsort(heights.ravel()[flat], kind="stable")]] = np.arange(flat.size)
    steps = list(_steps(finite))
    lowest = np.arange(heights.size)
    for one, other in steps:
        for here, there in ((one, other), (other, one)):
            # Within one axis and direction no point comes twice.
            better = rank[there] < rank[lowest[here]]
            lowest[here[better]] = there[better]
    while True:
        further = lowest[lowest]
        if np.array_equal(further, lowest):
            break
        lowest = further
    minima = np.unique(lowest[flat])
    minima = minima[np.argsort(rank[minima])]
    label = np.full(heights.size, -1, dtype=np.int64)
    label[minima] = np.arange(minima.size)
    label[flat] = label[lowest[flat]]
    edges, saddles = _contacts(label, rank, steps)
    return Basins(minima, np.bincount(label[flat], minlength=minima.size), edges, saddles)


def _contacts(
    label: np.ndarray, rank: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    pairs, upper = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for one, other in steps:
        apart = label[one] != label[other]
        here, there = one[apart], other[apart]
        pairs.append(np.sort(np.stack([label[here], label[there]], axis=1), axis=1))
        upper.append(np.where(rank[here] > rank[there], here, there))
    every, saddle = np.concatenate(pairs), np.concatenate(upper)
    order = np.lexsort((every[:, 1], every[:, 0], rank[saddle]))
    every, saddle = every[order], saddle[order]
    _, first = np.unique(every[:, 0] * (label.max() + 1) + every[:, 1], return_index=True)
    first = np.sort(first)
    return every[first], saddle[first]


def _steps(finite: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, axis by axis, the flat indices of neighbours that are both finite."""
    index = np.arange(finite.size).reshape(finite.shape)
    for axis in range(finite.ndim):
        one = np.take(index, np.arange(finite.shape[axis] - 1), axis=axis).ravel()
        other = np.take(index, np.arange(1, finite.shape[axis]), axis=axis).ravel()
        both = finite.ravel()[one] & finite.ravel()[other]
        yield one[both], other[both]

"""Minima joined in the order of the saddles between them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Joined:
    """A tree whose first nodes are the minima that were kept, deepest first.

    Attributes:
        leaves: Which minima were kept.
        saddles: Which edge made each of the further nodes.
        parent: Of each node, −1 where there is none.
        merges: The node at which each leaf meets a deeper one, −1 where it never does.
        basin: Points that lead to each leaf.
    """

    leaves: np.ndarray
    saddles: np.ndarray
    parent: np.ndarray
    merges: np.ndarray
    basin: np.ndarray


def join(
    births: np.ndarray, size: np.ndarray, edges: np.ndarray, heights: np.ndarray, names: np.ndarray, threshold: float
) -> Joined:
    """Join minima by a union-find, the deeper one of two components living on (the elder rule).

    Args:
        births: Level of each minimum, ascending.
        size: Points that lead to each.
        edges: Pairs of minima, shape (m, 2), in ascending order of height.
        heights: Level of each edge.
        names: Edges of the same name are one saddle: what they join is joined in one node.
        threshold: A component that lasts no longer than this is no branch of its own.
    """
    count = len(births)
    elder, top = list(range(count)), list(range(count))
    # Into which leaf the basin of one that is left out goes.
    into, basin = list(range(count)), size.tolist()
    parent, merges, made = [-1] * count, [-1] * count, list[int]()
    kept = [True] * count
    level, height, name = births.tolist(), heights.tolist(), names.tolist()
    for number, (a, b) in enumerate(edges.tolist()):
        root, other = _root(elder, a), _root(elder, b)
        if root == other:
            continue
        old, young = min(root, other), max(root, other)
        elder[young] = old
        if height[number] - level[young] <= threshold:
            # Its basin goes to the neighbour beyond the saddle, not to the deepest minimum of all.
            into[young], kept[young] = _root(into, a if root == old else b), False
            continue
        node = next(
            (at for at in (top[old], top[young]) if at >= count and name[made[at - count]] == name[number]), None
        )
        if node is None:
            node = count + len(made)
            made.append(number)
            parent.append(-1)
        for child in (top[old], top[young]):
            if child != node:
                parent[child] = node
        merges[young], top[old] = node, node
    for leaf in range(count):
        if not kept[leaf]:
            basin[_root(into, leaf)] += basin[leaf]
    return _numbered(kept, parent, merges, basin, made)


def _root(above: list[int], index: int) -> int:
    while above[index] != index:
        above[index] = above[above[index]]
        index = above[index]
    return index


def _numbered(kept: list[bool], parent: list[int], merges: list[int], basin: list[int], made: list[int]) -> Joined:
    """Close the gaps that minima leave which are not kept."""
    leaves = np.flatnonzero(kept)
    place = np.full(len(parent) + 1, -1, dtype=np.int64)
    place[leaves] = np.arange(len(leaves))
    place[len(kept) : len(parent)] = len(leaves) + np.arange(len(made))
    nodes = [*leaves.tolist(), *range(len(kept), len(parent))]
    return Joined(
        leaves=leaves,
        saddles=np.asarray(made, dtype=np.int64),
        # The last entry stands for −1.
        parent=place[np.asarray(parent, dtype=np.int64)[nodes]],
        merges=place[np.asarray(merges, dtype=np.int64)[leaves]],
        basin=np.asarray(basin, dtype=np.int64)[leaves],
    )

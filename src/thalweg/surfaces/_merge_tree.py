"""Merge trees of grids and graphs."""

import time

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thalweg.estimate import Cost
from thalweg.surfaces._basins import basins
from thalweg.surfaces._graph import graph_of
from thalweg.surfaces._heights import check_threshold, heights_of, limits_of
from thalweg.surfaces._joining import join
from thalweg.surfaces._results import Grid, Line, Surface
from thalweg.surfaces._topology_results import MergeTree


def merge_tree(grid: Surface | Line | Grid | Tensor, *, threshold: float = 0.0) -> MergeTree:
    r"""Return the tree in which the components of the sub-level sets of a grid join.

    .. math:: \{v : L(v) \le c\} \quad\text{with neighbours along the axes, for rising } c

    A component begins at a minimum; where two of them meet, that is a saddle, and the deeper one lives on (the elder
    rule). By how much the loss rises from a minimum to that saddle is its persistence: what it takes to get out of it
    within this section. The tree holds the same pairs as dimension 0 of :func:`persistence`, and needs no extra.

    Values stand at the points of the grid, and neighbours are those along the axes, 2·d of them. Points whose loss is
    not finite are left out and counted; they are walls. Equal values are told apart by their index, so the tree is the
    same every time; minima that are only so told apart (of a plateau) last 0 and are left out.

    Cost: no pass over the data; N log N for N points.

    Valid for: the section, at the resolution of its grid. A minimum of a plane need not be one of the loss: the way
    down may leave the plane. A narrow valley across the axes breaks into shallow minima on a coarse grid, which a
    threshold or a finer grid removes.

    Args:
        grid: A scan, or a tensor of values with any number of axes.
        threshold: Minima that last no longer than this are left out.

    Raises:
        ArgumentError: If no value is finite, a scan is not finished, or an argument has a wrong value.

    Example:
        >>> x = torch.linspace(-2, 2, 9, dtype=torch.float64)
        >>> tree = merge_tree((x**2 - 1) ** 2)  # two wells of depth 0 and a barrier of 1 between them
        >>> print(tree)
        2 minima and 1 saddle on 9 points, the lowest 0 at (2); persistence up to 1
        >>> tree.persistence()
        (None, 1.0)

    Source: Carr, Snoeyink & Axen (2003); Edelsbrunner & Harer (2010).
    """
    started = time.perf_counter()
    check_threshold(threshold)
    heights = heights_of(grid)
    flat, found = heights.ravel(), basins(heights)
    joined = join(flat[found.minima], found.size, found.edges, flat[found.saddles], found.saddles, threshold)
    nodes = np.concatenate([found.minima[joined.leaves], found.saddles[joined.saddles]])
    return MergeTree(
        level=torch.tensor(flat[nodes]),
        position=torch.tensor(np.stack(np.unravel_index(nodes, heights.shape), axis=1)),
        parent=torch.tensor(joined.parent),
        merges=torch.tensor(joined.merges),
        basin=torch.tensor(joined.basin),
        shape=heights.shape,
        limits=limits_of(heights),
        excluded=int((~np.isfinite(heights)).sum()),
        threshold=float(threshold),
        cost=Cost(seconds=time.perf_counter() - started),
    )


def graph_merge_tree(
    values: Float[Tensor, " n"], edges: Int[Tensor, "m 2"], heights: Float[Tensor, " m"], *, threshold: float = 0.0
) -> MergeTree:
    r"""Return the tree in which minima join that are connected by paths.

    A vertex is a minimum with its loss; an edge is a path between two minima with the largest loss on it. A component
    of the sub-level set at c holds the minima of loss ≤ c that paths with maxima ≤ c connect. The persistence of a
    minimum is the lowest rise over which a deeper one can be reached by these paths: its min–max barrier, and an
    upper bound on that over all paths.

    Cost: no pass over the data; m log m for m paths.

    Valid for: the paths given. Minima that no path connects stay apart, which says nothing about other paths.

    Args:
        values: Loss at each minimum, shape (n,); one that is not finite is left out with its edges, and counted.
        edges: The two minima of each path, shape (m, 2), counted from 0; a pair may come more than once.
        heights: The largest loss on each path, ends included, shape (m,); one not finite is left out, and counted.
        threshold: Minima that last no longer than this are left out.

    Raises:
        ArgumentError: If the shapes do not fit, an edge lies below one of its ends, or no value is finite.

    Example:
        >>> values = torch.tensor([0.0, 1.0, 0.5])
        >>> tree = graph_merge_tree(values, torch.tensor([[0, 1], [1, 2], [0, 2]]), torch.tensor([2.0, 3.0, 9.0]))
        >>> tree.level  # three minima, then the saddles: 9 is not needed
        tensor([0.0000, 0.5000, 1.0000, 2.0000, 3.0000], dtype=torch.float64)
        >>> tree.persistence()
        (None, 2.5, 1.0)

    Source: Carr, Snoeyink & Axen (2003).
    """
    started = time.perf_counter()
    check_threshold(threshold)
    graph = graph_of(values, edges, heights)
    size = np.ones(len(graph.values), dtype=np.int64)
    joined = join(graph.values, size, graph.edges, graph.heights, np.arange(len(graph.heights)), threshold)
    ends = graph.vertices[graph.edges[joined.saddles]].reshape(-1, 2)
    level = np.concatenate([graph.values[joined.leaves], graph.heights[joined.saddles]])
    every = np.concatenate([graph.values, graph.heights])
    return MergeTree(
        level=torch.tensor(level),
        position=torch.tensor(np.concatenate([np.repeat(graph.vertices[joined.leaves][:, None], 2, axis=1), ends])),
        parent=torch.tensor(joined.parent),
        merges=torch.tensor(joined.merges),
        basin=torch.tensor(joined.basin),
        shape=(graph.count,),
        limits=limits_of(every),
        excluded=graph.excluded,
        threshold=float(threshold),
        cost=Cost(seconds=time.perf_counter() - started),
    )

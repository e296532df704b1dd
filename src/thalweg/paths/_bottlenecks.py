"""Which of many minima are connected below which level, from the paths between pairs of them."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.paths._alike import require_landscape
from thalweg.paths._bottlenecks_results import Bottlenecks, PathMaxima
from thalweg.paths._linear import linear_path
from thalweg.progress import Progress, track


class Travelled(Protocol):
    """What a path function returns: a scan, a minimum-energy path, or anything else with losses and a cost."""

    @property
    def loss(self) -> Tensor:
        """Losses along the path, its ends among them."""
        ...

    @property
    def cost(self) -> Cost:
        """What it took."""
        ...


PathFunction = Callable[[Landscape, Landscape], Travelled]


def path_maxima(
    minima: Sequence[Landscape],
    path: PathFunction | Sequence[PathFunction] = linear_path,
    *,
    labels: Sequence[str] | None = None,
    progress: bool | Progress = False,
) -> PathMaxima:
    r"""Return the highest loss on a path between every two of several minima.

    .. math:: M_{ij} = \max\Bigl(\max_{\alpha} L\bigl(\theta_{ij}(\alpha)\bigr),\; L_i,\; L_j\Bigr)

    Of several kinds of paths the lowest maximum counts that is finite.

    Cost: n(n − 1)/2 paths of every kind, and n passes.

    Valid for: any paths. The maximum over the points of a path is a lower bound on that of the continuous path. With
    statistics of batch norm that are re-estimated, a path may begin and end below the networks themselves; the losses
    of these count. Batch norm in eval mode: strings and bands keep one landscape's statistics, so that ends with
    others need ``lambda a, b: string_method(a, b.theta)``, a path of a's function alone.

    Args:
        minima: n landscapes, each at a minimum, of the same architecture, data and objective.
        path: From two landscapes to what has ``loss`` and ``cost``: :func:`linear_path`, :func:`string_method`, or a
            function of your own, as ``lambda a, b: curve_scan(train_curve(a, b).curve, a, b)``; or several of them.
        labels: Names of the minima; by default their numbers from 0.
        progress: Whether to show a bar, or what to report every path to.

    Raises:
        ArgumentError: If there are fewer than two minima, or not as many labels, or a path has no losses or cost; and
            whatever ``path`` raises.
        NonFiniteError: If the loss of a minimum is not finite.

    Example:
        >>> class Line(torch.nn.Module):
        ...     def __init__(self, x):
        ...         super().__init__()
        ...         self.x = torch.nn.Parameter(torch.tensor([x], dtype=torch.float64))
        >>> well = tw.objectives.from_function(lambda model, batch: (model.x**2 - 1).square().sum(), lambda b: 1)
        >>> ends = [tw.Landscape(Line(x), well, [torch.zeros(1)]) for x in (-1.0, 1.0)]
        >>> path_maxima(ends).maxima.tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    points = list(minima)
    for place, landscape in enumerate(points):
        require_landscape(f"minima[{place}]", landscape)
    ways = [path] if callable(path) else list(path) if isinstance(path, Sequence) else []
    if not ways or not all(callable(way) for way in ways):
        raise ArgumentError(f"path: expected a function of two landscapes, or several of them, got {path!r}.")
    count = len(points)
    if count < 2:
        raise ArgumentError(f"minima: expected at least two landscapes, got {count}.")
    names = tuple(map(str, range(count))) if labels is None else tuple(labels)
    if len(names) != count:
        raise ArgumentError(f"labels: expected {count}, as there are minima, got {len(names)}.")
    loss = torch.tensor([landscape.loss() for landscape in points], dtype=torch.float64)
    maxima, cost = torch.diag(loss), Cost(losses=count)
    chosen = torch.full((count, count), -1)
    with track(len(ways) * count * (count - 1) // 2, "paths", progress) as bar:
        for i, j in itertools.combinations(range(count), 2):
            best = math.nan
            for number, way in enumerate(ways):
                top, spent = _highest(way(points[i], points[j]))
                top = max(top, float(loss[i]), float(loss[j])) if math.isfinite(top) else math.nan
                if top < best or (math.isnan(best) and not math.isnan(top)):
                    best, chosen[i, j], chosen[j, i] = top, number, number
                cost += spent
                bar.advance(note=f"{names[i]} → {names[j]}: {top:.4g}")
            maxima[i, j] = maxima[j, i] = best
    return PathMaxima(maxima, loss, int(maxima.isnan().sum()) // 2, names, cost, chosen)


def _highest(found: Any) -> tuple[float, Cost]:
    """Return the highest loss on a path, NaN if one is not finite, and what it took."""
    loss, cost = getattr(found, "loss", None), getattr(found, "cost", None)
    if not isinstance(loss, Tensor) or not loss.numel() or not isinstance(cost, Cost):
        raise ArgumentError(
            f"path: expected a function that returns the losses along a path and its cost, got a "
            f"{type(found).__name__}. Measure a curve: lambda a, b: curve_scan(train_curve(a, b).curve, a, b)."
        )
    # max() keeps NaN, and an infinite loss is no height either.
    top = float(loss.double().max())
    return (top if math.isfinite(top) else math.nan), cost


def bottlenecks(barriers: PathMaxima | Float[Tensor, "n n"], *, labels: Sequence[str] | None = None) -> Bottlenecks:
    r"""Return the min–max level between all pairs of minima, from the highest losses on paths between them.

    .. math:: B_{ij} = \min_{i = k_0, k_1, \dots, k_m = j}\; \max_{l} M_{k_{l-1} k_l}

    A way from one minimum to another may lead over others, and the best of all ways lies in a minimum spanning tree
    (Hu, 1961). Two minima are in one connected part of {L ≤ c} as soon as c ≥ B.

    Cost: none; O(n² log n) operations on numbers that are measured already.

    Valid for: an upper bound. Better paths lower it, and the true min–max level is lower or the same; only the sampling
    of the single paths errs to the other side. A high level never shows that two minima are *not* connected.

    Args:
        barriers: From :func:`path_maxima`, or such a matrix: levels (not differences), with the losses of the minima on
            the diagonal, NaN where no path is known.
        labels: Names of the minima; by default those of ``barriers``, or their numbers from 0.

    Raises:
        ArgumentError: If it is no symmetric matrix, the diagonal is not finite, or a path is lower than an end of it.

    Example:
        >>> nan = float("nan")
        >>> found = bottlenecks(torch.tensor([[0.0, 5.0, 1.0], [5.0, 0.0, 2.0], [1.0, 2.0, 0.5]]))
        >>> found.level[0, 1].item(), found.way(0, 1)
        (2.0, (0, 2, 1))
    """
    given = barriers.maxima if isinstance(barriers, PathMaxima) else barriers
    names = barriers.labels if isinstance(barriers, PathMaxima) and labels is None else labels
    direct = _checked(given)
    count = len(direct)
    names = tuple(map(str, range(count))) if names is None else tuple(names)
    if len(names) != count:
        raise ArgumentError(f"labels: expected {count}, as there are minima, got {len(names)}.")
    edges = _tree(direct)
    level = torch.full_like(direct, torch.nan)
    level.diagonal().copy_(direct.diagonal())
    part = {i: [i] for i in range(count)}
    for i, j in edges:
        # Edges come by rising level, so that the one that joins two parts is the highest on all ways between them.
        one, other = part[i], part[j]
        height = direct[i, j]
        rows, columns = torch.tensor(one), torch.tensor(other)
        level[rows[:, None], columns] = height
        level[columns[:, None], rows] = height
        joined = one + other
        part.update(dict.fromkeys(joined, joined))
    loss = direct.diagonal()
    barrier = level - torch.maximum(loss[:, None], loss)
    tree = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
    return Bottlenecks(
        level=level,
        barrier=barrier,
        direct=direct,
        tree=tree,
        tree_level=direct[tree[:, 0], tree[:, 1]],
        labels=names,
        parts=len({id(members) for members in part.values()}),
    )


def _tree(direct: Float[Tensor, "n n"]) -> list[tuple[int, int]]:
    """Edges of a minimum spanning tree, or forest, by rising level."""
    rows, columns = torch.triu_indices(len(direct), len(direct), 1)
    heights = direct[rows, columns]
    known = ~heights.isnan()
    rows, columns, heights = rows[known], columns[known], heights[known]
    # Ranks in place of heights: to scipy a height of 0 is no edge, and the tree is the same.
    ranks = torch.empty(len(heights), dtype=torch.float64)
    order = heights.argsort(stable=True)
    ranks[order] = torch.arange(1.0, len(heights) + 1, dtype=torch.float64)
    graph = csr_matrix((ranks.numpy(), (rows.numpy(), columns.numpy())), shape=tuple(direct.shape))
    found = minimum_spanning_tree(graph).tocoo()
    by_rank = found.data.argsort(kind="stable")
    return [(int(found.row[k]), int(found.col[k])) for k in by_rank]


def _checked(matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    if not isinstance(matrix, Tensor) or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        got = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ArgumentError(f"barriers: expected a square matrix of levels, got {got}.")
    direct = matrix.detach().cpu().double().clone()
    loss = direct.diagonal()
    if not bool(loss.isfinite().all()) or bool(direct.isinf().any()):
        raise ArgumentError("barriers: expected finite losses on the diagonal, and levels that are finite or NaN.")
    if not torch.allclose(direct, direct.mT, rtol=1e-6, atol=0, equal_nan=True):
        raise ArgumentError("barriers: expected a symmetric matrix. Give each pair the lower of its two maxima.")
    ends = torch.maximum(loss[:, None], loss)
    slack = 1e-6 * ends.abs().clamp(min=1e-12)
    lower = direct < ends - slack
    if bool(lower.any()):
        i, j = lower.nonzero()[0].tolist()
        raise ArgumentError(
            f"barriers: expected the highest loss of a path to be at least those of its ends, got {direct[i, j]:g} "
            f"between minima {i} and {j} with {loss[i]:g} and {loss[j]:g}. These are levels, not differences."
        )
    return direct

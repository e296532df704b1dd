"""How far apart two landscapes are by the shape of their sub-level sets."""

import math
import sys
import time
from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.estimate import Cost
from thalweg.memory import free_bytes
from thalweg.surfaces._tda import load_gudhi
from thalweg.surfaces._topology_results import DiagramDistance, Persistence

Scale = Literal["loss", "range"]


def bottleneck_distance(
    first: Persistence,
    second: Persistence,
    *,
    dimension: int = 0,
    scale: Scale = "loss",
    essential: bool = True,
) -> DiagramDistance:
    r"""Return the bottleneck distance between the persistence of two landscapes.

    .. math:: d_B = \min_\gamma \max_p \lVert p - \gamma(p) \rVert_\infty

    over all matchings γ of the features (b, d) of one with those of the other or with the diagonal b = d, where a
    feature costs half its persistence. Two losses on one grid that differ by no more than ε everywhere (and are finite
    at the same points) have d_B ≤ ε: it is blind to small noise, and sees the one largest difference of shape.
    It says nothing about where in the plane features are.

    Features that never die are matched with one another by their births: for a connected grid the two global minima, so
    that landscapes which differ by a shift c are c apart. With different numbers of them the distance is infinite.

    Cost: no pass over the data; exact to rounding.

    Valid for: two persistences of the same kind of section; grids may differ. Features below a ``threshold`` of
    either are missing, which changes the distance by at most half the larger one.

    Args:
        first: Of one landscape.
        second: Of the other.
        dimension: 0 for components, 1 for loops, …
        scale: "loss" for units of the loss; "range" shifts and scales each landscape so that its finite losses go
            from 0 to 1: the distance of shapes, which a·L + b leaves alone.
        essential: Whether features that never die are matched, or left out.

    Raises:
        ArgumentError: If an argument has a wrong value, or a loss is constant and ``scale`` is "range".
        MissingExtraError: If gudhi is not installed.

    Example:
        >>> import torch
        >>> from thalweg.surfaces import persistence
        >>> x = torch.linspace(-2, 2, 9, dtype=torch.float64)
        >>> well, wells = persistence(x**2), persistence((x**2 - 1) ** 2)
        >>> print(bottleneck_distance(well, wells))  # the second well is matched with the diagonal
        bottleneck distance of H0: 0.5

    Source: Cohen-Steiner, Edelsbrunner & Harer (2007).
    """
    started = time.perf_counter()
    one, other = (_diagram(given, dimension, scale, essential, name) for given, name in _named(first, second))
    value = float(load_gudhi().bottleneck_distance(one, other))
    # It adds the smallest number there is.
    value = 0.0 if value <= sys.float_info.min else value
    cost = Cost(seconds=time.perf_counter() - started)
    return DiagramDistance(_finite(value), "bottleneck", None, dimension, scale, essential, cost=cost)


def wasserstein_distance(
    first: Persistence,
    second: Persistence,
    *,
    order: float = 1.0,
    dimension: int = 0,
    scale: Scale = "loss",
    essential: bool = True,
) -> DiagramDistance:
    r"""Return the Wasserstein distance between the persistence of two landscapes.

    .. math:: W_q = \Bigl(\min_\gamma \sum_p \lVert p - \gamma(p) \rVert_\infty^q\Bigr)^{1/q}

    over the matchings of :func:`bottleneck_distance`, whose value is the limit q → ∞ and never larger. All features
    count, small ones too: with noise on a fine grid their number decides, so look at the distance above a threshold
    as well.

    Cost: no pass over the data; exact to rounding, by an assignment of n features to m in O(min(n, m)²·max(n, m)).
    Needs no extra: approximations by auction (hera) may not end where many features cost the same. A large ``order``
    takes several assignments.

    Valid for: as :func:`bottleneck_distance`.

    Args:
        first: Of one landscape.
        second: Of the other.
        order: q, at least 1.
        dimension: 0 for components, 1 for loops, …
        scale: "loss" for units of the loss; "range" for landscapes whose finite losses are made to go from 0 to 1.
        essential: Whether features that never die are matched, or left out.

    Raises:
        ArgumentError: If an argument has a wrong value, or a loss is constant and ``scale`` is "range".
        MemoryBudgetError: If there are too many features; a ``threshold`` of their persistence leaves small ones out.

    Example:
        >>> import torch
        >>> from thalweg.surfaces import persistence
        >>> x = torch.linspace(-2, 2, 9, dtype=torch.float64)
        >>> grid = (x[:, None] ** 2 - 1) ** 2 + (x**2 - 1) ** 2  # four wells: three of persistence 1, one essential
        >>> print(wasserstein_distance(persistence(x**2), persistence(grid)))
        wasserstein (order 1) distance of H0: 1.5

    Source: Cohen-Steiner, Edelsbrunner, Harer & Mileyko (2010).
    """
    started = time.perf_counter()
    real = isinstance(order, (int, float)) and not isinstance(order, bool)
    if not (real and math.isfinite(order) and order >= 1):
        raise ArgumentError(f"order: expected a finite number of at least 1, got {order!r}.")
    one, other = (_diagram(given, dimension, scale, essential, name) for given, name in _named(first, second))
    value = _wasserstein(one, other, order)
    cost = Cost(seconds=time.perf_counter() - started)
    return DiagramDistance(value, "wasserstein", float(order), dimension, scale, essential, cost=cost)


def _wasserstein(one: np.ndarray, other: np.ndarray, order: float) -> float | None:
    ends = [np.sort(points[np.isinf(points[:, 1]), 0]) for points in (one, other)]
    if len(ends[0]) != len(ends[1]):
        return None
    one, other = (points[np.isfinite(points[:, 1])] for points in (one, other))
    needed, free = 40 * len(one) * len(other), free_bytes(torch.device("cpu"))
    if needed > free:
        raise MemoryBudgetError(
            f"first: expected fewer features, got {len(one)} and {len(other)}, whose assignment takes "
            f"{needed / 1e9:.3g} GB where {free / 1e9:.3g} GB are free. A threshold leaves small ones out."
        )
    lasting = np.abs(ends[0] - ends[1])
    left, right = ((points[:, 1] - points[:, 0]) / 2 for points in (one, other))
    apart = np.abs(one[:, None, :] - other[None, :, :]).max(axis=2)
    value = _sum(np.concatenate([left, right, lasting]), order)
    while value > 0:
        # Powers of what is far below the bound round to nothing: solved again, with the value found as the bound.
        found = _sum(np.concatenate([_assigned(apart, left, right, value, order), lasting]), order)
        if found >= value * 0.5 ** (1 / order):
            return min(found, value)
        value = found
    return value


def _assigned(apart: np.ndarray, left: np.ndarray, right: np.ndarray, bound: float, order: float) -> np.ndarray:
    """Return the costs of the best matching, whose sum is known to be at most ``bound``."""

    def power(cost: np.ndarray) -> np.ndarray:
        # What costs more than the bound alone is in no best matching; a little above 1 forbids it without overflow.
        return np.asarray(np.minimum(cost / bound, 4 ** (1 / order)) ** order)

    together = power(left)[:, None] + power(right)[None, :]
    saved = np.minimum(power(apart) - together, 0.0)
    row, column = linear_sum_assignment(saved)
    paired = saved[row, column] < 0
    row, column = row[paired], column[paired]
    return np.concatenate([apart[row, column], np.delete(left, row), np.delete(right, column)])


def _sum(costs: np.ndarray, order: float) -> float:
    """Return (Σ cost^q)^(1/q) without leaving the range of numbers."""
    largest = float(costs.max(initial=0.0))
    return largest * float(((costs / largest) ** order).sum()) ** (1 / order) if largest else 0.0


def _named(first: Persistence, second: Persistence) -> tuple[tuple[Persistence, str], tuple[Persistence, str]]:
    return (first, "first"), (second, "second")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _diagram(given: Persistence, dimension: int, scale: str, essential: bool, name: str) -> np.ndarray:
    """Return births and deaths as gudhi takes them, shape (k, 2), infinity where a feature never dies."""
    if not isinstance(given, Persistence):
        raise ArgumentError(f"{name}: expected a Persistence, got {type(given).__name__}.")
    # A grid over d directions has features of dimensions 0 to d − 1, a graph those of its components.
    highest = len(given.shape) - 1
    if isinstance(dimension, bool) or not isinstance(dimension, int) or not 0 <= dimension <= highest:
        raise ArgumentError(
            f"dimension: expected a whole number of at least 0, and at most {highest} for {name}, got {dimension!r}."
        )
    if scale not in ("loss", "range"):
        raise ArgumentError(f"scale: expected 'loss' or 'range', got {scale!r}.")
    low, high = given.limits
    if scale == "range" and not high > low:
        raise ArgumentError(f"{name}: expected a loss that varies for scale='range', got {low:.9g} everywhere.")
    dying = given.pairs(dimension).cpu().double().numpy()
    births = given.essential(dimension).cpu().double().numpy() if essential else np.zeros(0)
    points = np.concatenate([dying, np.stack([births, np.full_like(births, np.inf)], axis=1)])
    return points if scale == "loss" else (points - low) / (high - low)

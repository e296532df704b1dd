"""Slow and plain twins of what topology computes, and grids to try it on."""

import math

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

AXIS = torch.linspace(-2, 2, 17, dtype=torch.float64)
WELL = (AXIS**2 - 1) ** 2


def double_well() -> Tensor:
    """O44 of theory.md on a grid that has minima and saddle as points: rows are y, columns x."""
    x = torch.linspace(-2, 2, 65, dtype=torch.float64)
    y = torch.linspace(-1, 2, 49, dtype=torch.float64)[:, None]
    return (x**2 - 1) ** 2 + 5 * (y - 1 + x**2) ** 2


def naive_components(values: np.ndarray) -> list[tuple[float, float]]:
    """Birth and death of every component, by filling the sub-level set at each level anew."""
    levels = sorted({float(v) for v in values.ravel() if math.isfinite(v)})
    alive: list[tuple[float, frozenset]] = []
    pairs = []
    for level in levels:
        parts = _parts({tuple(p) for p in np.argwhere(values <= level)})
        after = []
        for part in parts:
            inside = sorted(born for born, points in alive if points <= part)
            if not inside:
                inside = [level]
            pairs += [(born, level) for born in inside[1:] if born < level]
            after.append((inside[0], part))
        alive = after
    return sorted(pairs) + sorted((born, math.inf) for born, _ in alive)


def _parts(points: set) -> list[frozenset]:
    found = []
    left = set(points)
    while left:
        part, border = set(), [left.pop()]
        while border:
            here = border.pop()
            part.add(here)
            for axis in range(len(here)):
                for step in (-1, 1):
                    there = (*here[:axis], here[axis] + step, *here[axis + 1 :])
                    if there in left:
                        left.remove(there)
                        border.append(there)
        found.append(frozenset(part))
    return found


def diagram(found) -> list[tuple[float, float]]:
    """Births and deaths of dimension 0 of a Persistence, in the order of the naive twin."""
    dying = [(float(b), float(d)) for b, d in found.pairs(0)]
    return sorted(dying) + sorted((float(b), math.inf) for b in found.essential(0))


def tree_diagram(tree) -> list[tuple[float, float]]:
    births = tree.level[: tree.minima].tolist()
    pairs = [
        (b, math.inf if a < 0 else float(tree.level[a])) for b, a in zip(births, tree.merges.tolist(), strict=True)
    ]
    return sorted(p for p in pairs if p[1] < math.inf) + sorted(p for p in pairs if p[1] == math.inf)


@st.composite
def grids(draw, ties: bool = True, holes: bool = True, axes: int = 3):
    """Small grids of one to three axes, with many equal values and holes."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=axes)))
    size = math.prod(shape)
    if ties:
        values = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    else:
        values = draw(st.permutations(range(size)))
    tensor = torch.tensor(values, dtype=torch.float64).reshape(shape)
    if holes:
        gaps = torch.tensor(draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape)
        gaps = gaps & (torch.arange(size).reshape(shape) % 2 == 1)
        tensor[gaps] = math.nan
    return tensor

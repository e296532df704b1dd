"""A graph of minima as topology takes it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import ArgumentError


@dataclass(frozen=True)
class Graph:
    """A graph without what is not finite.

    Attributes:
        vertices: Numbers of the vertices, lowest value first.
        values: Theirs.
        edges: Pairs of places in ``vertices``, lowest height first.
        heights: Theirs.
        count: Vertices given.
        excluded: Vertices and edges left out.
    """

    vertices: np.ndarray
    values: np.ndarray
    edges: np.ndarray
    heights: np.ndarray
    count: int
    excluded: int


def graph_of(values: Tensor, edges: Tensor, heights: Tensor) -> Graph:
    """Check a graph, and put it into the order in which its parts appear; equal ones by their numbers.

    Raises:
        ArgumentError: If the shapes do not fit, an edge joins a vertex that is not there or with itself, an edge lies
            below one of its ends, or no value is finite.
    """
    _require_shapes(values, edges, heights)
    value, height = values.detach().cpu().double().numpy(), heights.detach().cpu().double().numpy()
    pairs = edges.detach().cpu().long().numpy().reshape(-1, 2)
    wrong = (pairs < 0).any(axis=1) | (pairs >= len(value)).any(axis=1) | (pairs[:, 0] == pairs[:, 1])
    if wrong.any():
        raise ArgumentError(
            f"edges: expected two different vertices from 0 to {len(value) - 1}, got "
            f"{tuple(pairs[wrong][0].tolist())} in row {int(np.flatnonzero(wrong)[0])}."
        )
    there = np.isfinite(value)
    if not there.any():
        raise ArgumentError(f"values: expected at least one finite value, got none among {len(value)}.")
    kept = np.isfinite(height) & there[pairs].all(axis=1)
    low = kept & (height < value[pairs].max(axis=1, initial=-np.inf))
    if low.any():
        row = int(np.flatnonzero(low)[0])
        raise ArgumentError(
            f"heights: expected the largest loss on a path, so at least that of its ends, got {height[row]:.9g} on the "
            f"path {int(pairs[row, 0])}–{int(pairs[row, 1])} with {float(value[pairs[row]].max()):.9g} at an end."
        )
    vertices = np.flatnonzero(there)
    vertices = vertices[np.argsort(value[vertices], kind="stable")]
    place = np.full(len(value), -1, dtype=np.int64)
    place[vertices] = np.arange(len(vertices))
    order = np.flatnonzero(kept)
    order = order[np.argsort(height[order], kind="stable")]
    excluded = int((~there).sum() + (~kept).sum())
    return Graph(vertices, value[vertices], place[pairs[order]], height[order], len(value), excluded)


def _require_shapes(values: Tensor, edges: Tensor, heights: Tensor) -> None:
    for name, given in (("values", values), ("edges", edges), ("heights", heights)):
        if not isinstance(given, Tensor):
            raise ArgumentError(f"{name}: expected a tensor, got {type(given).__name__}.")
        if given.is_complex():
            raise ArgumentError(f"{name}: expected real numbers, got {given.dtype}.")
    if values.ndim != 1 or values.numel() == 0:
        raise ArgumentError(f"values: expected shape (n,) with n ≥ 1, got {tuple(values.shape)}.")
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.is_floating_point() or edges.dtype == torch.bool:
        raise ArgumentError(f"edges: expected integers of shape (m, 2), got {edges.dtype} of {tuple(edges.shape)}.")
    if heights.ndim != 1 or len(heights) != len(edges):
        raise ArgumentError(f"heights: expected shape ({len(edges)},), one an edge, got {tuple(heights.shape)}.")

"""Curves through parameter space that are given by a few points."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.record import Record


@dataclass(frozen=True)
class Curve(Record):
    r"""A Bezier curve or a polygonal chain from the first of its nodes to the last.

    .. math::
        \theta(t) = \sum_{i=0}^{k} \binom{k}{i} (1 - t)^{k - i} t^i\, p_i \quad\text{(bezier)}, \qquad
        \theta(t) = (1 - s)\,p_i + s\,p_{i+1}, \; i = \lfloor kt \rfloor, \; s = kt - i \quad\text{(chain)}

    A Bezier curve meets its first and last node alone, and leaves and reaches them in the direction of their
    neighbours; a chain meets all of them (Garipov et al., 2018). With two nodes both are the straight line.

    Attributes:
        nodes: p, shape (k + 1, P): the two ends and the bends between them.
        kind: "bezier" or "chain".
        labels: Names of the two ends.
    """

    nodes: Tensor
    kind: str = "bezier"
    labels: tuple[str, str] = ("A", "B")

    @property
    def bends(self) -> int:
        """Nodes between the ends."""
        return self.nodes.shape[0] - 2

    def weights(self, t: float) -> list[float]:
        """Return the share of each node in θ(t); they add up to one, and are not negative.

        Raises:
            ArgumentError: If t lies outside of [0, 1], or these are no nodes of a curve.
        """
        self._require()
        if not 0 <= t <= 1:
            raise ArgumentError(f"t: expected a position from 0 to 1, got {t}.")
        degree = self.nodes.shape[0] - 1
        if self.kind == "bezier":
            return [math.comb(degree, i) * (1 - t) ** (degree - i) * t**i for i in range(degree + 1)]
        shares = [0.0] * (degree + 1)
        first = min(int(t * degree), degree - 1)
        shares[first + 1] = t * degree - first
        shares[first] = 1 - shares[first + 1]
        return shares

    def point(self, t: float) -> Float[Tensor, " p"]:
        """Return θ(t), shape (P,); the ends are met exactly.

        Raises:
            ArgumentError: If t lies outside of [0, 1].
        """
        return torch.tensor(self.weights(t), dtype=self.nodes.dtype, device=self.nodes.device) @ self.nodes

    def velocity(self, t: float) -> Float[Tensor, " p"]:
        """Return dθ/dt, shape (P,); at the bend of a chain, that of the segment which begins there.

        Raises:
            ArgumentError: If t lies outside of [0, 1].
        """
        self.weights(t)
        degree = self.nodes.shape[0] - 1
        steps = degree * (self.nodes[1:] - self.nodes[:-1])
        if self.kind == "chain":
            return steps[min(int(t * degree), degree - 1)]
        shares = [math.comb(degree - 1, i) * (1 - t) ** (degree - 1 - i) * t**i for i in range(degree)]
        return torch.tensor(shares, dtype=steps.dtype, device=steps.device) @ steps

    def _require(self) -> None:
        if not isinstance(self.nodes, Tensor) or not self.nodes.is_floating_point():
            got = self.nodes.dtype if isinstance(self.nodes, Tensor) else type(self.nodes).__name__
            raise ArgumentError(f"nodes: expected a tensor of floating-point numbers, got {got}.")
        if self.nodes.ndim != 2 or self.nodes.shape[0] < 2:
            raise ArgumentError(f"nodes: expected shape (k + 1, P) with k ≥ 1, got {tuple(self.nodes.shape)}.")
        if self.kind not in ("bezier", "chain"):
            raise ArgumentError(f"kind: expected 'bezier' or 'chain', got {self.kind!r}.")

    def __str__(self) -> str:
        return f"{self.kind} curve {self.labels[0]} → {self.labels[1]} with {self.bends} bend{'s' * (self.bends != 1)}"


def require_nodes(curve: Any, name: str = "curve") -> None:
    """Refuse what is no curve.

    Raises:
        ArgumentError: If it is something else; the message says what.
    """
    if not isinstance(curve, Curve):
        raise ArgumentError(f"{name}: expected a Curve, got {type(curve).__name__}.")


def straight(
    start: Float[Tensor, " p"],
    end: Float[Tensor, " p"],
    *,
    bends: int = 0,
    kind: str = "bezier",
    labels: tuple[str, str] = ("A", "B"),
) -> Curve:
    """Return the straight line between two points, as a curve whose bends lie evenly spaced on it.

    Args:
        start: θ at t = 0, shape (P,).
        end: θ at t = 1, of the same shape, type and device.
        bends: Nodes in between, for something to move.
        kind: "bezier" or "chain".
        labels: Names of the two ends.

    Raises:
        ArgumentError: If the two are no such vectors, or there are fewer than no bends.

    Example:
        >>> straight(torch.zeros(2), torch.tensor([2.0, 4.0]), bends=1).nodes
        tensor([[0., 0.],
                [1., 2.],
                [2., 4.]])
    """
    for name, given in (("start", start), ("end", end)):
        if not isinstance(given, Tensor):
            raise ArgumentError(f"{name}: expected a tensor of shape (P,), got {type(given).__name__}.")
    if isinstance(bends, bool) or not isinstance(bends, int) or bends < 0:
        raise ArgumentError(f"bends: expected a whole number of at least 0, got {bends!r}.")
    if start.ndim != 1 or start.shape != end.shape:
        raise ArgumentError(f"end: expected the shape of start, {tuple(start.shape)}, got {tuple(end.shape)}.")
    if start.dtype != end.dtype or start.device != end.device:
        raise ArgumentError(f"end: expected {start.dtype} on {start.device} as start, got {end.dtype} on {end.device}.")
    between = [start.lerp(end, place / (bends + 1)) for place in range(1, bends + 1)]
    return Curve(torch.stack([start, *between, end]), kind, labels)

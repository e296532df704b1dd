"""The slope of what is trained along a curve, by the nodes between its ends."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches, standing
from thalweg.landscape import Landscape
from thalweg.paths._curve import Curve

CurveObjective = Literal["mean", "max", "logsumexp"]


class CurveSlope:
    r"""Value and gradient of an objective along a curve, as a function of its inner nodes.

    Since :math:`\theta(t) = \sum_i w_i(t) p_i`, the gradient by node i is :math:`w_i(t) \nabla L(\theta(t))`: one
    gradient of the landscape at one point is a step, whatever the number of bends, and no graph reaches through the
    curve.

    Args:
        curve: Its ends stay.
        landscape: Where; its buffers may be written into.
        minibatches: Of the landscape, to take one a step; ``None`` for all data.
        objective: "mean", "max" or "logsumexp".
        samples: Positions a step of the last two.
        sharpness: β of the last.
        generator: Of the positions.
    """

    def __init__(
        self,
        curve: Curve,
        landscape: Landscape,
        minibatches: Minibatches | None,
        objective: CurveObjective,
        samples: int,
        sharpness: float,
        generator: torch.Generator,
    ) -> None:
        self._curve, self._landscape, self._minibatches = curve, landscape, minibatches
        self._objective, self._samples, self._sharpness = objective, samples, sharpness
        self._generator = generator
        self._point, self._gradient = (torch.empty_like(curve.nodes[0]) for _ in range(2))
        # From the other end the same draws are the mirrored positions, and the curve is the same one backwards.
        apart = curve.nodes[-1] - curve.nodes[0]
        differing = apart.nonzero()
        self._backwards = len(differing) > 0 and float(apart[differing[0, 0]]) < 0
        self.positions: list[float] = []
        self.gradients = self.losses = 0

    @contextmanager
    def walking(self) -> Iterator[Callable[[Tensor], tuple[float, Tensor]]]:
        """Give the slope for the length of a walk; use inside the landscape's ``reading()``."""
        with standing(self._landscape, self._point, self._gradient, self._minibatches) as evaluate:
            slopes = {"mean": self._mean, "max": self._highest, "logsumexp": self._soft}
            slope = slopes[self._objective]
            yield lambda inner: slope(inner, evaluate)

    def _mean(self, inner: Tensor, evaluate: Callable[..., float]) -> tuple[float, Tensor]:
        (t,) = self._drawn(1)
        weights = self._move(inner, t)
        value = self._slope(evaluate, repeat=False)
        self.positions.append(t)
        return value, torch.outer(weights, self._gradient).reshape(-1)

    def _highest(self, inner: Tensor, evaluate: Callable[..., float]) -> tuple[float, Tensor]:
        drawn, heights = self._drawn(self._samples), list[float]()
        self._advance()
        for t in drawn:
            self._move(inner, t)
            heights.append(self._height())
        top = max(range(len(drawn)), key=heights.__getitem__)
        weights = self._move(inner, drawn[top])
        value = self._slope(evaluate, repeat=True)
        self.positions.append(drawn[top])
        return value, torch.outer(weights, self._gradient).reshape(-1)

    def _soft(self, inner: Tensor, evaluate: Callable[..., float]) -> tuple[float, Tensor]:
        beta, drawn = self._sharpness, self._drawn(self._samples)
        total = torch.zeros_like(inner)
        log_sum, highest = -math.inf, (-math.inf, 0.0)
        self._advance()
        for t in drawn:
            weights = self._move(inner, t)
            value = self._slope(evaluate, repeat=True)
            highest = max(highest, (value, t))
            # The share of each point among those before it, so that one gradient is held and not all.
            new = _log_add(log_sum, beta * value)
            share = math.exp(beta * value - new)
            total.mul_(1 - share).add_(torch.outer(weights, self._gradient).reshape(-1), alpha=share)
            log_sum = new
        self.positions.append(highest[1])
        return (log_sum - math.log(len(drawn))) / beta, total

    def _drawn(self, count: int) -> list[float]:
        """One position in each of ``count`` equal parts of the curve."""
        draw = float(torch.rand((), generator=self._generator, dtype=torch.float64, device=self._generator.device))
        positions = [(part + draw) / count for part in range(count)]
        return [1 - t for t in positions] if self._backwards else positions

    def _move(self, inner: Float[Tensor, " m"], t: float) -> Tensor:
        """Write θ(t) into the point, and return the weights of the inner nodes."""
        nodes = self._curve.nodes
        first, *between, last = self._curve.weights(t)
        weights = nodes.new_tensor(between)
        with torch.no_grad():
            torch.mul(nodes[0], first, out=self._point).add_(nodes[-1], alpha=last)
            self._point.addmv_(inner.view(len(between), -1).mT, weights)
        return weights

    def _slope(self, evaluate: Callable[..., float], *, repeat: bool) -> float:
        self.gradients += 1
        return evaluate(repeat=repeat)

    def _height(self) -> float:
        self.losses += 1
        return self._landscape.loss(self._point) if self._minibatches is None else self._minibatches.again(self._point)

    def _advance(self) -> None:
        if self._minibatches is not None:
            self._minibatches.advance()


def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))

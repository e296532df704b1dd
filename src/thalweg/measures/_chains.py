"""Chains of stochastic gradient Langevin dynamics around one point, and what they visit."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches, follow, langevin
from thalweg.errors import NonFiniteError
from thalweg.landscape import Landscape
from thalweg.progress import Progress


@dataclass(frozen=True)
class Dynamics:
    """What every chain shares.

    Attributes:
        step_size: ε.
        heat: nβ, which multiplies the mean loss.
        localisation: γ.
        batch_size: Items of a minibatch; ``None`` for all.
        burn_in: Steps before the draws.
        draws: Steps that count.
    """

    step_size: float
    heat: float
    localisation: float
    batch_size: int | None
    burn_in: int
    draws: int


class Chain:
    """One chain from the point of a landscape, w*.

    Args:
        landscape: Where; use inside its ``reading()``.
        dynamics: How it moves.
        base: L(w*) on all data.
        seeds: Of its noise and of its minibatches.

    Attributes:
        rises: L(w) − L(w*) at each draw, on the same data at both points, shape (draws,).
        distance: Largest ‖w − w*‖ at a draw.
    """

    def __init__(self, landscape: Landscape, dynamics: Dynamics, base: float, seeds: tuple[int, int]) -> None:
        self.rises = torch.zeros(dynamics.draws, dtype=torch.float64)
        self.distance = 0.0
        self._landscape, self._dynamics, self._base, self._home = landscape, dynamics, base, landscape.theta
        self._noise, order = (torch.Generator().manual_seed(seed) for seed in seeds)
        size = dynamics.batch_size
        self._batches = None if size is None else Minibatches(landscape, size, order)

    def run(self, bar: Progress) -> str | None:
        """Go all steps, and return ``None``, or what happened where a loss or gradient was not finite."""
        moves, landscape = self._dynamics, self._landscape
        rule = langevin(
            landscape.space,
            moves.step_size,
            moves.heat,
            self._noise,
            anchor=self._home,
            attraction=moves.localisation,
        )
        slope = landscape.loss_and_gradient if self._batches is None else self._batches.slope
        try:
            follow(slope, self._home, rule, moves.burn_in + moves.draws, watch=self._watch, bar=bar)
        except NonFiniteError as error:
            return str(error).partition(" (")[0]
        return None

    def _watch(self, step: int, value: float, point: Float[Tensor, " p"]) -> None:
        draw = step - self._dynamics.burn_in
        if draw < 0:
            return
        # The difference on one minibatch has little of the noise that its loss has.
        reference = self._base if self._batches is None else self._batches.again(self._home)
        self.rises[draw] = value - reference
        self.distance = max(self.distance, self._landscape.space.norm(point - self._home))

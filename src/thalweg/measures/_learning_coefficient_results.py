"""What sampling around a point says of its degeneracy."""

import math
from dataclasses import dataclass

from torch import Tensor

from thalweg.estimate import Estimate
from thalweg.record import Record


@dataclass(frozen=True)
class LearningCoefficient(Record):
    """λ̂(w*), the local learning coefficient, with what tells whether its chains are to be trusted.

    Attributes:
        estimate: λ̂ with the standard error of the mean over chains; ``converged`` says that nothing below is amiss.
        chains: λ̂ of each chain, shape (chains,).
        losses: L(w) − L(w*) at each draw, shape (chains, draws), on the same data at both points.
        rhat: Rank-normalised split R̂ of the losses (Vehtari et al., 2021); ``None`` where all are equal.
        effective_draws: Independent draws that each chain's mean is worth, shape (chains,).
        below: Share of draws whose loss is below that at w*.
        distances: Largest ‖w − w*‖ of each chain, shape (chains,).
        left: Chains that left the neighbourhood of w*, counted from 0.
        hot: Chains whose λ̂ is above P/2, the most that any analytic loss has at a minimum, by more than a fifth, which
            a finite step explains, and four standard errors.
        base: L(w*), on all data.
        inverse_temperature: nβ, which multiplies the mean loss.
        localisation: γ.
        step_size: ε.
        batch_size: Items of a minibatch; ``None`` for all.
        burn_in: Steps of each chain before its draws.
        size: Parameters P.
    """

    estimate: Estimate
    chains: Tensor
    losses: Tensor
    rhat: float | None
    effective_draws: Tensor
    below: float
    distances: Tensor
    left: tuple[int, ...]
    hot: tuple[int, ...]
    base: float
    inverse_temperature: float
    localisation: float
    step_size: float
    batch_size: int | None
    burn_in: int
    size: int

    @property
    def value(self) -> float:
        """The estimate λ̂."""
        return self.estimate.value

    def __str__(self) -> str:
        count, draws = self.losses.shape
        mixing = "" if self.rhat is None or not math.isfinite(self.rhat) else f", R̂ {self.rhat:.3f}"
        amiss = "" if self.estimate.converged else ", not converged"
        return f"λ̂ = {self.estimate} of at most {self.size / 2:g} ({count} chains of {draws} draws{mixing}{amiss})"

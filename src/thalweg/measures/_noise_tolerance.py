"""How much noise on the parameters the network bears."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._capacity_results import NoiseTolerance
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track
from thalweg.vectors import draw_seeds

# Sixty doublings from a hundredth of the parameters' size leave the range of single precision.
_DOUBLINGS = 60
_STEP = 1.25


def noise_tolerance(
    landscape: Landscape,
    target: float = 0.1,
    *,
    metric: Literal["loss", "accuracy"] = "loss",
    magnitude_aware: bool = False,
    floor: float = 1e-3,
    draws: int = 20,
    rtol: float = 0.01,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> NoiseTolerance:
    r"""Find the largest Gaussian noise on the parameters whose mean cost stays below a target.

    .. math:: \sigma = \sup \bigl\{ s : \mathbb{E}_z\, L(\theta + s z) - L(\theta) < \mathrm{target} \bigr\},
              \qquad z \sim N(0, I)

    with the first crossing for the supremum; 1/σ² is the sharpness of PAC-Bayes (Neyshabur et al., 2017; Jiang et al.,
    2020, who take the fall of the accuracy, 0.1). Near a minimum σ² = 2 target / tr H.
    σ is a standard deviation. With ``magnitude_aware`` parameter i has noise of variance σ²θᵢ² plus the square of
    ``floor``, which takes into account that parameters have different scales.

    The same draws serve all s, so that the mean is a curve, and its crossing is bracketed by doubling and found by
    bisection. The standard error of σ is that of the mean over draws divided by the slope of the curve.

    It is no bound by itself: what stands for capacity in a bound is the distance to a prior that does not know the
    data, divided by σ², and σ was chosen on the data.

    Cost: some 20 evaluations of ``draws`` passes without gradients.

    Args:
        landscape: Its selected parameters get the noise.
        target: > 0; a rise of the loss, or a fall of the accuracy.
        metric: What is watched.
        magnitude_aware: Whether noise is relative.
        floor: Standard deviation of what is added to relative noise; no effect without ``magnitude_aware``.
        draws: Of the noise, at least 2.
        rtol: Width of the final bracket relative to σ.
        generator: Of the noise; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every evaluation to.

    Raises:
        ArgumentError: If an argument has a wrong value, or no noise, or all, crosses the target.
        NonFiniteError: If the loss is not finite without noise.
        ObjectiveError: If the objective has no accuracy and that is asked for.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(50, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> data = [(torch.eye(50, dtype=torch.float64) * 50**0.5, torch.zeros(50, 1, dtype=torch.float64))]
        >>> found = noise_tolerance(tw.Landscape(model, tw.objectives.squared_error(), data))  # H = I, tr H = 50
        >>> abs(found.sigma.value - (0.2 / 50) ** 0.5) < 4 * found.sigma.standard_error
        True
    """
    require_landscape(landscape)
    _check_arguments(target, metric, floor, draws, rtol, magnitude_aware=magnitude_aware)
    started = time.perf_counter()
    noise = _Noise(landscape, metric, floor if magnitude_aware else None, draw_seeds(generator, draws))
    with track(None, "noise tolerance", progress) as bar:

        def costs(sigma: float) -> Tensor:
            found = noise.costs(sigma)
            bar.advance(note=f"σ {sigma:.3g}: {float(found.mean()):.3g}")
            return found

        low, high = _bracket(costs, noise.start, target)
        while high > low * (1 + rtol):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if float(costs(middle).mean()) < target else (low, middle)
        at = costs(low)
        error = _error(costs, at, low)
    passes = noise.passes
    sigma = Estimate(low, error, dof=draws - 1)
    flatness = Estimate(low**-2, None if error is None else 2 * error / low**3, dof=draws - 1)
    return NoiseTolerance(
        sigma=sigma,
        flatness=flatness,
        target=float(target),
        cost_of_noise=float(at.mean()),
        upper=high,
        metric=metric,
        magnitude_aware=magnitude_aware,
        draws=draws,
        cost=Cost(losses=passes, seconds=time.perf_counter() - started),
        provenance=landscape.provenance(),
    )


class _Noise:
    """What noise costs: the same draws at every σ, made again each time instead of kept."""

    def __init__(self, landscape: Landscape, metric: str, floor: float | None, seeds: list[int]) -> None:
        self.passes = 0
        self._landscape, self._metric, self._floor, self._seeds = landscape, metric, floor, seeds
        self._theta = landscape.theta
        self._base = self._loss(self._theta)
        size = landscape.space.norm(self._theta) / math.sqrt(landscape.size)
        self.start = 0.01 * (size if floor is None and size > 0 else 1.0)

    def costs(self, sigma: float) -> Tensor:
        """Return the rise of the loss, or the fall of the accuracy, for each draw; infinite where it is not finite."""
        scale: Tensor | float = sigma
        if self._floor is not None:
            scale = (sigma**2 * self._theta.square() + self._floor**2).sqrt()
        found = []
        for seed in self._seeds:
            noise = self._landscape.space.randn(torch.Generator().manual_seed(seed))
            try:
                found.append(self._loss(self._theta + scale * noise) - self._base)
            except NonFiniteError:
                found.append(math.inf)
        return torch.tensor(found, dtype=torch.float64)

    def _loss(self, theta: Tensor) -> float:
        self.passes += 1
        if self._metric == "loss":
            return self._landscape.loss(theta)
        metrics = self._landscape.evaluate(theta).metrics
        if "accuracy" not in metrics:
            raise ObjectiveError(
                f"metric: expected 'loss', since {self._landscape.objective.name} has no accuracy, got 'accuracy'."
            )
        return -metrics["accuracy"].value


def _bracket(costs: Callable[[float], Tensor], start: float, target: float) -> tuple[float, float]:
    sigma, below = start, float(costs(start).mean()) < target
    for _ in range(_DOUBLINGS):
        other = sigma * 2 if below else sigma / 2
        if (float(costs(other).mean()) < target) != below:
            return (sigma, other) if below else (other, sigma)
        sigma = other
    raise ArgumentError(
        f"target: expected one that noise crosses, got {target:g}: from σ = {start:.2g} to {sigma:.2g} the mean cost "
        f"stays {'below' if below else 'above'} it. "
        + ("Take a smaller one." if below else "Take a larger one, or a smaller floor.")
    )


def _error(costs: Callable[[float], Tensor], at: Tensor, sigma: float) -> float | None:
    """The standard error of the crossing, by the slope of the curve; ``None`` where it does not rise."""
    left, right = float(costs(sigma / _STEP).mean()), float(costs(sigma * _STEP).mean())
    rise = right - left if math.isfinite(right) else float(at.mean()) - left
    width = sigma * ((_STEP if math.isfinite(right) else 1.0) - 1 / _STEP)
    spread = float(at.std()) / math.sqrt(len(at))
    return spread * width / rise if rise > 0 and math.isfinite(spread) else None


def _check_arguments(target: Any, metric: Any, floor: Any, draws: Any, rtol: Any, *, magnitude_aware: Any) -> None:
    for name, value in (("target", target), ("rtol", rtol)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ArgumentError(f"{name}: expected a positive finite number, got {value!r}.")
    if isinstance(floor, bool) or not isinstance(floor, (int, float)) or not 0 <= floor < math.inf:
        raise ArgumentError(f"floor: expected a finite number that is not negative, got {floor!r}.")
    if metric not in ("loss", "accuracy"):
        raise ArgumentError(f"metric: expected 'loss' or 'accuracy', got {metric!r}.")
    if not isinstance(magnitude_aware, bool):
        raise ArgumentError(f"magnitude_aware: expected True or False, got {magnitude_aware!r}.")
    require_whole("draws", draws)
    if draws < 2:
        raise ArgumentError(f"draws: expected at least 2, got {draws}.")

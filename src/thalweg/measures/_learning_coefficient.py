"""How degenerate a minimum is, by sampling around it."""

import math
import time
import warnings
from dataclasses import replace
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning, DataError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.krylov import eigenpairs
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._chains import Chain, Dynamics
from thalweg.measures._learning_coefficient_results import LearningCoefficient
from thalweg.measures._mixing import effective_draws, split_rhat
from thalweg.operators import hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track
from thalweg.vectors import draw_seeds

# a of the default step in the stiffest direction: it biases that direction by a twentieth.
_STIFFEST = 0.1
_RHAT = 1.1
# How far λ̂ may be above P/2 by the finite step, and from where on nothing of a chain means anything.
_HOT, _LOST = 1.2, 20.0


def local_learning_coefficient(
    landscape: Landscape,
    *,
    step_size: float | None = None,
    localisation: float = 100.0,
    inverse_temperature: float | None = None,
    batch_size: int | None = None,
    chains: int = 4,
    burn_in: int = 200,
    draws: int = 500,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> LearningCoefficient:
    r"""Estimate the local learning coefficient at the point of a landscape (Lau, Furman, Wang, Murfet & Wei, 2023).

    .. math:: \hat\lambda(w^*) = n\beta \bigl( \mathbb{E}\, L_n(w) - L_n(w^*) \bigr), \qquad
              w \sim \exp\bigl( -n\beta L_n(w) - \tfrac{\gamma}{2} \lVert w - w^* \rVert^2 \bigr)

    with β = 1/ln n. It counts directions by how slowly the loss rises along them: the volume where the loss is below
    L(w*) + ε falls as ε^λ. At a minimum of full rank λ = P/2; a flat direction counts 0, and x⁴ counts 1/4
    (Watanabe, 2009). The sampler is stochastic gradient Langevin dynamics (Welling & Teh, 2011),

    .. math:: w \leftarrow w - \tfrac{\epsilon}{2} \bigl( n\beta\, \nabla L_B(w) + \gamma (w - w^*) \bigr)
              + \sqrt{\epsilon}\, \xi

    from w*, in several chains; losses are compared with those at w* on the same minibatch, which takes away most of
    its noise, and the standard error is that of the mean over chains.

    What it is biased by, all known in closed form where L is quadratic with eigenvalues h:

    * the spring γ, which keeps draws near w*: a direction counts :math:`\frac12 n\beta h / (n\beta h + \gamma)`, so
      that those with h below γ/(nβ) do not count;
    * the finite step: a direction counts :math:`1/(1 - a/2)` times as much, a = ε(nβh + γ)/2, and the chain diverges
      beyond a = 2. The default step has a = 0.1 in the stiffest direction, of the Hessian at w*;
    * the noise of minibatches, which heats: it adds ε²(nβ)²/4 times the covariance of their gradients to the variance ε
      of each step (less over a pass, whose minibatches do not overlap). ``batch_size=None`` takes gradients on all data
      and has none;
    * the start, which is cold: a direction is warm after some 1/a steps, the flat ones last, after 2/(εγ).

    Chains that diverge end the work, with their names. What else may be amiss is said by a warning and in the result:
    chains that do not agree (``rhat``), that left the neighbourhood (``left``: ‖w − w*‖ beyond what the spring alone
    would let it be), that are too hot (``hot``: λ̂ above P/2), or that went below L(w*) on average: then w* is no
    minimum, and a negative λ̂ is no learning coefficient.

    Valid for: points at or near a local minimum. Between points compare values at the same ε, γ, nβ and number
    of steps.

    Cost: chains × (burn_in + draws) gradients on minibatches, and a loss on one for each draw; some ten Hessian-vector
    products for the default step.

    Args:
        landscape: Its point is w*, in the selected parameters.
        step_size: ε > 0; by default 0.2 / (nβ|h|_max + γ).
        localisation: γ ≥ 0; 0 for none, for losses that confine the chains by themselves.
        inverse_temperature: nβ > 0, which multiplies the mean loss; by default n / ln n for n data items, however many
            terms each of them has.
        batch_size: Items of a minibatch; ``None`` for all data.
        chains: Independent chains, at least 2.
        burn_in: Steps before the draws of each chain.
        draws: Steps that count, at least 4.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If an argument has a wrong value, or chains diverge.
        DataError: If there are fewer than two data items and no inverse temperature, or minibatches cannot be drawn.

    Warns:
        ConvergenceWarning: If the chains are not to be trusted, with the reason.

    Example:
        >>> import thalweg as tw
        >>> source = torch.Generator().manual_seed(0)
        >>> inputs = torch.linalg.qr(torch.randn(64, 16, generator=source)).Q * 8
        >>> model = torch.nn.Linear(16, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(64, 1))])
        >>> settings = {"localisation": 0.01, "burn_in": 50, "draws": 200}
        >>> found = local_learning_coefficient(landscape, **settings, chains=2)  # H = I: λ = 16/2
        >>> abs(found.value - 8) < 1
        True
    """
    require_landscape(landscape)
    _check_arguments(step_size, localisation, inverse_temperature, chains, burn_in, draws)
    started, size = time.perf_counter(), landscape.size
    heat = _heat(landscape) if inverse_temperature is None else float(inverse_temperature)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    epsilon, products = _step(landscape, heat, localisation, source) if step_size is None else (float(step_size), 0)
    moves = Dynamics(epsilon, heat, float(localisation), batch_size, burn_in, draws)
    base = landscape.loss()
    # Chains have seeds of their own: each is the same however many others there are.
    seeds = torch.tensor(draw_seeds(source, 2 * chains)).reshape(chains, 2).tolist()
    made, lost = [], dict[int, str]()
    with landscape.reading(), track(chains * (burn_in + draws), "learning coefficient", progress) as bar:
        for number, (noise, order) in enumerate(seeds):
            chain = Chain(landscape, moves, base, (noise, order))
            stopped = chain.run(bar)
            if stopped is not None:
                lost[number] = f"not finite at {stopped}"
            elif _lost(chain, moves, size):
                lost[number] = f"nβ(L − L*) is {heat * float(chain.rises.mean()):.2g} on average"
            made.append(chain)
    if lost:
        raise _diverged(lost, chains, epsilon, size)
    share = 1.0 if batch_size is None else batch_size / landscape.count
    cost = Cost(
        matvecs=products,
        gradients=math.ceil(chains * (burn_in + draws) * share),
        losses=1 if batch_size is None else 1 + math.ceil(chains * draws * share),
        seconds=time.perf_counter() - started,
    )
    found = _result(made, moves, base, size, cost, landscape.provenance())
    amiss = _amiss(found)
    if amiss:
        warnings.warn(" ".join(amiss), ConvergenceWarning, stacklevel=2)
    return replace(found, estimate=replace(found.estimate, converged=not amiss))


def _lost(chain: Chain, moves: Dynamics, size: int) -> bool:
    """Whether a chain went too far up to mean anything, or down and far beyond what its spring allows."""
    if moves.heat * float(chain.rises.mean()) > _LOST * size / 2:
        return True
    reach = float(stats.chi2.isf(1e-9, size))
    fell = moves.heat * float(chain.rises.mean()) < -_LOST * size / 2
    return fell and moves.localisation * chain.distance**2 > _LOST**2 * reach


def _result(
    made: list[Chain], moves: Dynamics, base: float, size: int, cost: Cost, provenance: Provenance
) -> LearningCoefficient:
    rises = torch.stack([chain.rises for chain in made])
    distances = torch.tensor([chain.distance for chain in made], dtype=torch.float64)
    lambdas, effective = (
        moves.heat * rises.mean(dim=1),
        torch.tensor([effective_draws(row) for row in rises], dtype=torch.float64),
    )
    noise = moves.heat * rises.std(dim=1) / effective.clamp(min=1).sqrt()
    # Of the spring alone, γ‖w − w*‖² is chi-squared.
    reach = float(stats.chi2.isf(1e-9, size))
    return LearningCoefficient(
        estimate=Estimate(
            float(lambdas.mean()),
            standard_error=float(lambdas.std()) / math.sqrt(len(made)),
            dof=len(made) - 1,
            cost=cost,
            provenance=provenance,
        ),
        chains=lambdas,
        losses=rises,
        rhat=split_rhat(rises),
        effective_draws=effective,
        below=float((rises < 0).double().mean()),
        distances=distances,
        left=_numbers(moves.localisation * distances.square() > reach),
        hot=_numbers(lambdas > _HOT * size / 2 + 4 * noise),
        base=base,
        inverse_temperature=moves.heat,
        localisation=moves.localisation,
        step_size=moves.step_size,
        batch_size=moves.batch_size,
        burn_in=moves.burn_in,
        size=size,
    )


def _amiss(found: LearningCoefficient) -> list[str]:
    """Say what speaks against the chains, with what to do."""
    count, reasons = len(found.chains), list[str]()
    if found.rhat is not None and found.rhat > _RHAT:
        reasons.append(
            f"The chains do not agree: R̂ is {found.rhat:.3g}, and at most {_RHAT} is expected. Raise burn_in and draws."
        )
    if found.left:
        reasons.append(
            f"{_named(found.left)} of {count} left the neighbourhood of the point: ‖w − w*‖ reached "
            f"{float(found.distances.max()):.3g}, and the spring alone allows "
            f"{math.sqrt(float(stats.chi2.isf(1e-9, found.size)) / found.localisation):.3g}. Raise localisation, or "
            "train on: the point is no minimum."
        )
    if found.hot:
        reasons.append(
            f"{_named(found.hot)} of {count} are too hot: λ̂ is up to {float(found.chains.max()):.4g}, and P/2 = "
            f"{found.size / 2:g} is the most that a minimum has. Take a smaller step_size, or larger minibatches, "
            "whose noise heats."
        )
    if found.value < 0:
        reasons.append(
            f"λ̂ is negative: {100 * found.below:.0f} % of the draws lie below the loss of the point, which is no local "
            "minimum. Train on, raise localisation, or lower the temperature by a larger inverse_temperature."
        )
    return reasons


def _heat(landscape: Landscape) -> float:
    if landscape.count < 2:
        raise DataError(
            f"landscape: expected at least 2 data items for the temperature 1/ln n, got {landscape.count}. Give "
            "inverse_temperature, nβ, yourself."
        )
    return landscape.count / math.log(landscape.count)


def _step(landscape: Landscape, heat: float, localisation: float, source: torch.Generator) -> tuple[float, int]:
    pairs = eigenpairs(hessian(landscape), 1, "LM", tol=1e-2, generator=source)
    stiffness = heat * pairs.scale + localisation
    if not stiffness > 0:
        raise ArgumentError(
            "step_size: expected a positive number where the Hessian vanishes and localisation is 0, got None."
        )
    return 2 * _STIFFEST / stiffness, pairs.matvecs


def _diverged(lost: dict[int, str], chains: int, epsilon: float, size: int) -> ArgumentError:
    first = next(iter(lost))
    return ArgumentError(
        f"step_size: expected one at which chains stay near the point, got {epsilon:.4g}: {_named(tuple(lost))} of "
        f"{chains} diverged (chain {first}: {lost[first]}; a minimum has at most P/2 = {size / 2:g}). Take a smaller "
        "step_size, larger minibatches, or a larger localisation."
    )


def _named(numbers: tuple[int, ...]) -> str:
    return ("Chain " if len(numbers) == 1 else "Chains ") + ", ".join(map(str, numbers)) + " (from 0)"


def _numbers(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero().flatten().tolist())


def _check_arguments(step_size: Any, localisation: Any, heat: Any, chains: Any, burn_in: Any, draws: Any) -> None:
    for name, value in (("step_size", step_size), ("inverse_temperature", heat)):
        if value is not None and not (_is_number(value) and 0 < value < math.inf):
            raise ArgumentError(f"{name}: expected a positive finite number or None, got {value!r}.")
    if not (_is_number(localisation) and 0 <= localisation < math.inf):
        raise ArgumentError(f"localisation: expected a finite number that is not negative, got {localisation!r}.")
    for name, count, least in (("chains", chains, 2), ("burn_in", burn_in, 0), ("draws", draws, 4)):
        require_whole(name, count)
        if count < least:
            raise ArgumentError(f"{name}: expected at least {least}, got {count}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

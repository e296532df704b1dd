"""The trace by random probes, with an interval that keeps its promise."""

import math
import time

import torch
from scipy import stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.progress import Progress, track

_BLOCK = 8


def trace(
    operator: SymmetricOperator,
    *,
    rtol: float | None = 0.05,
    probes: int | None = None,
    pilot: int = 10,
    max_probes: int = 500,
    level: float = 0.95,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Estimate tr A by Hutchinson's method, :math:`\frac1m \sum_i z_i^\top A z_i` with E zzᵀ = I.

    Unbiased. The variance of one probe is :math:`2(\lVert A\rVert_F^2 - \sum_i a_{ii}^2)` for random signs and
    :math:`2\lVert A\rVert_F^2` for normal probes, so signs are never worse (Hutchinson, 1990).

    With ``probes`` that many are drawn. Otherwise their number is decided in two stages (Stein, 1945): the
    spread s of a pilot fixes it to :math:`m = \lceil (t\,s / d)^2 \rceil` for the half-width d = ``rtol``·|pilot
    mean|, with Student's t of the pilot's degrees of freedom, and the interval uses the pilot's s, or that of all
    probes where it is larger. For normally distributed probes it covers with at least its level, which a rule that
    watches the running mean does not: that one stops whenever two means happen to agree. Where one eigenvalue
    dominates the trace, probes are skewed (χ² with one degree of freedom at worst): take a larger pilot.

    Cost: one product a probe.

    Args:
        operator: The matrix A, (P, P).
        rtol: Half-width of the interval to reach, relative to |tr A|. Ignored where ``probes`` is given.
        probes: A fixed number of probes, at least 2.
        pilot: Probes of the first stage, at least 3.
        max_probes: The most probes; if the rule asks for more the result says ``converged=False``.
        level: Confidence of the interval that ``rtol`` is about.
        distribution: "rademacher" or "gaussian".
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every block of probes to.

    Returns:
        The estimate with its standard error, whose ``dof`` are those of the spread that it comes from.

    Raises:
        ArgumentError: If an argument has a wrong value.
        NonFiniteError: If a product is not finite.

    Example:
        >>> diagonal = torch.arange(4.0)
        >>> print(trace(tw.FunctionOperator(lambda v: diagonal * v, 4)))  # signs are exact on a diagonal matrix
        6
    """
    require_symmetric(operator)
    _check_arguments(rtol, probes, pilot, max_probes, level)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    samples: list[float] = []
    with track(probes, "trace", progress) as bar:
        _extend(operator, samples, pilot if probes is None else probes, distribution, source, bar)
        spread, dof, converged = _deviation(samples), len(samples) - 1, None
        if probes is None and rtol is not None:
            half = rtol * abs(math.fsum(samples) / len(samples))
            needed = _needed(spread, half, dof, level)
            while len(samples) < min(needed, max_probes):
                _extend(operator, samples, int(min(needed, max_probes)), distribution, source, bar)
                # Skewed probes can make a pilot look calm; what all of them say then counts.
                spread = max(spread, _deviation(samples))
                needed = _needed(spread, half, dof, level)
            converged = needed <= max_probes
    cost = Cost(matvecs=len(samples), seconds=time.perf_counter() - started)
    return Estimate(
        math.fsum(samples) / len(samples),
        standard_error=spread / math.sqrt(len(samples)),
        dof=dof,
        converged=converged,
        cost=cost,
        provenance=operator.provenance,
    )


def _extend(
    operator: SymmetricOperator,
    samples: list[float],
    target: int,
    distribution: Distribution,
    generator: torch.Generator,
    bar: Progress,
) -> None:
    """Add probes until there are ``target``, in blocks that share their passes over the data."""
    while len(samples) < target:
        count = min(_BLOCK, target - len(samples))
        block = draw_probes(operator.space, count, distribution, generator)
        samples.extend(_quotients(operator, block))
        bar.advance(count)


def _quotients(operator: SymmetricOperator, block: Tensor) -> list[float]:
    image = operator @ block
    return [operator.space.dot(z, w) for z, w in zip(block.mT, image.mT, strict=True)]


def _deviation(samples: list[float]) -> float:
    mean = math.fsum(samples) / len(samples)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in samples) / (len(samples) - 1))


def _needed(spread: float, half: float, dof: int, level: float) -> float:
    if spread == 0:
        return 0
    if half == 0:
        return math.inf
    return math.ceil((float(stats.t.ppf(0.5 + level / 2, dof)) * spread / half) ** 2)


def _check_arguments(rtol: float | None, count: int | None, pilot: int, max_probes: int, level: float) -> None:
    for name, number in {"probes": 2 if count is None else count, "pilot": pilot, "max_probes": max_probes}.items():
        require_whole(name, number)
    if count is not None and count < 2:
        raise ArgumentError(f"probes: expected at least 2, since one probe has no spread, got {count}.")
    if count is None and (rtol is None or not rtol > 0):
        raise ArgumentError(f"rtol: expected a positive number, or probes=, got {rtol}.")
    if pilot < 3:
        raise ArgumentError(f"pilot: expected at least 3, got {pilot}.")
    if max_probes < pilot and count is None:
        raise ArgumentError(f"max_probes: expected at least pilot = {pilot}, got {max_probes}.")
    if not 0 < level < 1:
        raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")

"""The search for wanted Ritz pairs, and for the copies that a single start cannot see."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.krylov._convergence import Trail
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._missed import excluded
from thalweg.krylov._projected import eigh
from thalweg.progress import Progress

_PROBABILITY = 0.99


@dataclass(frozen=True)
class Wanted:
    """Which eigenvalues: so many of the upper and of the lower end, or of the largest magnitudes.

    Attributes:
        upper: From the upper end.
        lower: From the lower end.
        largest: By magnitude; then the others are 0.
    """

    upper: int = 0
    lower: int = 0
    largest: int = 0

    @property
    def count(self) -> int:
        """How many in all."""
        return self.upper + self.lower + self.largest


@dataclass(frozen=True)
class Ritz:
    """The wanted Ritz pairs of a joint space.

    Attributes:
        values: Of the upper end first, each end from outside, or by magnitude, (k,).
        vectors: In terms of the basis, (m, k).
        residuals: Bounds, (k,).
        converged: Whether these are small enough, (k,).
        scale: An estimate of the norm from below.
        complete: Whether no copy can have been missed.
        interrupted: Whether somebody did not want to wait.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    converged: NDArray[np.bool_]
    scale: float
    complete: bool = False
    interrupted: bool = False


def search(
    lanczos: Lanczos,
    wanted: Wanted,
    tol: float,
    generator: torch.Generator | None,
    bar: Progress,
    *,
    trail: Trail,
    until: float = math.inf,
) -> Ritz:
    """Run Lanczos until the wanted pairs have converged and no other can have been missed, or its capacity is used up.

    Args:
        lanczos: Not started.
        wanted: What to look for.
        tol: Residual relative to the norm.
        generator: Of the random starts; ``None`` is a fresh one of seed 0.
        bar: Told of every product, and how far the values have come.
        trail: Where the Ritz values on the way are kept.
        until: When to stop, by ``time.perf_counter``, once there are as many products as pairs are wanted.

    Raises:
        KeyboardInterrupt: If it comes before there is anything to return.
    """
    latest: list[Ritz] = []
    try:
        return _searched(lanczos, wanted, tol, generator, bar, trail, until, latest)
    except KeyboardInterrupt:
        if not latest:
            raise
        # The basis may have grown since, and what grew last may be broken: the older vectors are what they were.
        last, grown = latest[-1], lanczos.steps
        padding = np.zeros((grown - len(last.vectors), len(last.values)))
        return replace(last, vectors=np.concatenate([last.vectors, padding]), complete=False, interrupted=True)


def _searched(
    lanczos: Lanczos,
    wanted: Wanted,
    tol: float,
    generator: torch.Generator | None,
    bar: Progress,
    trail: Trail,
    until: float,
    latest: list[Ritz],
) -> Ritz:
    space = lanczos.space
    source = torch.Generator().manual_seed(0) if generator is None else generator
    check_at, run_is_search, state = 0, False, ""
    while True:
        if lanczos.ended:
            # An invariant subspace: whatever is left is orthogonal to it.
            if lanczos.full or not lanczos.start(space.randn(source)):
                ritz = _solve(lanczos, wanted, tol)
                trail.add(lanczos.steps, ritz.values, ritz.residuals)
                return replace(ritz, complete=lanczos.steps >= space.size)
            run_is_search = lanczos.steps > 0
        lanczos.step()
        over = lanczos.full or time.perf_counter() >= until
        bar.advance(note=f"{lanczos.steps} products{state}")
        if not (lanczos.ended or over or lanczos.steps >= check_at):
            continue
        check_at = lanczos.steps + max(1, lanczos.steps // 50)
        if lanczos.steps < wanted.count:
            if lanczos.full:
                return _solve(lanczos, wanted, tol)
            continue
        ritz = _solve(lanczos, wanted, tol)
        latest[:] = [ritz]
        trail.add(lanczos.steps, ritz.values, ritz.residuals)
        state = _state(ritz, wanted)
        # Pairs converge one by one, at a product each or more: where many are missing, the next will not be the last.
        check_at = max(check_at, lanczos.steps + int((~ritz.converged).sum()) // 4)
        if lanczos.steps >= space.size:
            return replace(ritz, complete=True)
        if ritz.converged.all():
            if run_is_search and _nothing_left(lanczos, ritz, wanted, tol):
                return replace(ritz, complete=True)
            if (not run_is_search or _found(lanczos, ritz)) and not over:
                run_is_search = lanczos.start(space.randn(source))
                check_at = lanczos.steps + 4
                if not run_is_search:
                    return replace(ritz, complete=True)
        elif not over:
            stopped = _stopped(lanczos, ritz, tol)
            if stopped is not None and lanczos.resume(stopped):
                # Its start is not random, so that it excludes nothing.
                run_is_search, check_at = False, lanczos.steps + 1
        if over:
            return ritz


def _state(ritz: Ritz, wanted: Wanted) -> str:
    """Say in a few words where the search stands."""
    done = int(ritz.converged.sum())
    ends = [f"{ritz.values[0]:.4g}"] if wanted.upper or wanted.largest else []
    if wanted.lower:
        ends.append(f"{ritz.values[wanted.upper]:.4g}")
    return f", {done} of {wanted.count} converged, at the end{'s' * (len(ends) - 1)} {' and '.join(ends)}"


def _solve(lanczos: Lanczos, wanted: Wanted, tol: float) -> Ritz:
    values, vectors = eigh(lanczos.matrix)
    order = _order(values, wanted)
    chosen = vectors[:, order]
    residuals = lanczos.residuals(chosen)
    scale = float(np.abs(values).max())
    return Ritz(values[order], chosen, residuals, residuals <= tol * scale, scale)


def _order(values: NDArray[np.float64], wanted: Wanted) -> NDArray[np.intp]:
    """Indices of the wanted values among ascending ones: upper end first, each end from outside, or by magnitude."""
    count = len(values)
    if wanted.largest:
        return np.argsort(-np.abs(values), kind="stable")[: wanted.largest]
    upper, lower = np.arange(count)[::-1][: wanted.upper], np.arange(min(wanted.lower, count))
    return np.concatenate([upper, lower])[:count]


def _stopped(lanczos: Lanczos, ritz: Ritz, tol: float) -> int | None:
    """Name the earlier run that a wanted pair waits for: what that run left is most of the pair's residual.

    A copy that comes up by rounding at the end of one run is found by the next, which cannot do anything about it.
    """
    shares = lanczos.shares(ritz.vectors[:, ~ritz.converged])
    waiting = (shares[:-1] > np.maximum(0.5 * tol * ritz.scale, 10 * shares[-1])).any(axis=1)
    return int(np.flatnonzero(waiting)[0]) if waiting.any() else None


def _found(lanczos: Lanczos, ritz: Ritz) -> bool:
    """Whether a wanted pair lives mainly in the current run, which makes another run necessary."""
    return bool(((ritz.vectors[lanczos.run_start :] ** 2).sum(axis=0) > 0.5).any())


def _nothing_left(lanczos: Lanczos, ritz: Ritz, wanted: Wanted, tol: float) -> bool:
    """Whether the current run excludes an eigenvalue that would change the answer by more than ``tol``."""
    if _found(lanczos, ritz):
        return False
    start, slack = lanczos.run_start, tol * ritz.scale
    (diagonal, betas), dimension = lanczos.run(), lanczos.space.size - start
    inner = eigh(lanczos.matrix[start:, start:])[0]
    upper, lower = _thresholds(ritz, wanted)

    def clear(sign: float, least: float) -> bool:
        if lanczos.invariant:
            # An invariant subspace of a random start shows every distinct eigenvalue of the complement.
            return float((sign * inner).max()) <= least + slack
        return excluded(sign * diagonal, betas, dimension, least + slack, _PROBABILITY)

    return (upper is None or clear(1.0, upper)) and (lower is None or clear(-1.0, -lower))


def _thresholds(ritz: Ritz, wanted: Wanted) -> tuple[float | None, float | None]:
    """Return the values above and below which another eigenvalue would belong to the answer."""
    if wanted.largest:
        least = float(np.abs(ritz.values).min())
        return least, -least
    upper = float(ritz.values[wanted.upper - 1]) if wanted.upper else None
    lower = float(ritz.values[-1]) if wanted.lower else None
    return upper, lower

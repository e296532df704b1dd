"""The search for wanted Ritz pairs, and for the copies that a single start cannot see."""

import math
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.krylov._convergence import Trail
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._missed import excluded, excluded_by_roots
from thalweg.krylov._projected import eigh
from thalweg.krylov._restart import crowded, cut, overgrown
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

    Where products are rounded by more than the tolerance, it ends as soon as more of them would not help, and the pairs
    have not converged.

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
        ritz = _within_reach(lanczos, wanted, tol, generator, bar, trail, until, latest)
    except KeyboardInterrupt:
        if not latest:
            raise
        # The basis may have grown since, and what grew last may be broken: the older vectors are what they were.
        last, grown = latest[-1], lanczos.steps
        padding = np.zeros((grown - len(last.vectors), len(last.values)))
        ritz = replace(last, vectors=np.concatenate([last.vectors, padding]), complete=False, interrupted=True)
    return replace(ritz, converged=ritz.residuals <= tol * ritz.scale)


def _within_reach(
    lanczos: Lanczos,
    wanted: Wanted,
    asked: float,
    generator: torch.Generator | None,
    bar: Progress,
    trail: Trail,
    until: float,
    latest: list[Ritz],
) -> Ritz:
    space = lanczos.space
    source = torch.Generator().manual_seed(0) if generator is None else generator
    check_at, run_is_search, tol, state = 0, False, asked, ""

    def looked() -> Ritz:
        latest[:] = [_solve(lanczos, wanted, tol)]
        trail.add(lanczos.products, latest[0].values, latest[0].residuals)
        return latest[0]

    while True:
        if lanczos.ended:
            # An invariant subspace: whatever is left is orthogonal to it.
            if lanczos.full or not lanczos.begin(source):
                return replace(looked(), complete=lanczos.steps >= space.size)
            run_is_search = lanczos.steps > 0
        before = lanczos.products
        lanczos.step()
        over = lanczos.full or time.perf_counter() >= until
        bar.advance(lanczos.products - before, note=f"{lanczos.products} products{state}")
        if not (lanczos.ended or over or lanczos.products >= check_at):
            continue
        check_at = lanczos.products + max(1, lanczos.steps // 50)
        if lanczos.rounding > asked * lanczos.scale:
            tol = max(asked, 2 * lanczos.rounding / lanczos.scale)
        if lanczos.steps < wanted.count:
            if lanczos.full:
                return _solve(lanczos, wanted, tol)
            continue
        ritz = looked()
        state = _state(ritz, wanted)
        # Pairs converge one by one, at a product each or more: where many are missing, the next will not be the last.
        check_at = max(check_at, lanczos.products + int((~ritz.converged).sum()) // 4)
        if lanczos.steps >= space.size:
            return replace(ritz, complete=True)
        if ritz.converged.all():
            if run_is_search and _nothing_left(lanczos, ritz, wanted, tol):
                return replace(ritz, complete=True)
            if (not run_is_search or _found(lanczos, ritz, wanted, tol)) and not over:
                if overgrown(lanczos):
                    return ritz
                run_is_search = lanczos.begin(source)
                check_at = lanczos.products + 4
                if not run_is_search:
                    return replace(ritz, complete=True)
        elif not over:
            stopped = _stopped(lanczos, ritz, tol)
            if stopped is not None and lanczos.resume(stopped):
                # Its start is not random, so that it excludes nothing.
                run_is_search, check_at = False, lanczos.products + 1
        if over:
            return ritz
        if lanczos.cramped or crowded(lanczos, wanted.count):
            quiet = run_is_search and bool(ritz.converged.all())
            # What was found is in terms of the vectors that are replaced.
            latest.clear()
            run_is_search = cut(lanczos, wanted.count, partial(_kept, wanted), searching=quiet)
            latest[:] = [_solve(lanczos, wanted, tol)]


def _kept(wanted: Wanted, values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """So many of ascending values, of each end in the proportion in which they are wanted."""
    if wanted.largest:
        return order(values, Wanted(largest=count))
    upper = wanted.upper + (count - wanted.count) * wanted.upper // wanted.count
    return order(values, Wanted(upper, count - upper))


def _state(ritz: Ritz, wanted: Wanted) -> str:
    """Say in a few words where the search stands."""
    done = int(ritz.converged.sum())
    ends = [f"{ritz.values[0]:.4g}"] if wanted.upper or wanted.largest else []
    if wanted.lower:
        ends.append(f"{ritz.values[wanted.upper]:.4g}")
    return f", {done} of {wanted.count} converged, at the end{'s' * (len(ends) - 1)} {' and '.join(ends)}"


def _solve(lanczos: Lanczos, wanted: Wanted, tol: float) -> Ritz:
    values, vectors = eigh(lanczos.matrix)
    indices = order(values, wanted)
    chosen = vectors[:, indices]
    residuals = lanczos.residuals(chosen)
    scale = max(float(np.abs(values).max()), lanczos.largest)
    return Ritz(values[indices], chosen, residuals, residuals <= tol * scale, scale)


def order(values: NDArray[np.float64], wanted: Wanted) -> NDArray[np.intp]:
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


def _found(lanczos: Lanczos, ritz: Ritz, wanted: Wanted, tol: float) -> bool:
    """Whether a wanted pair lives mainly in the current run and changes the answer, so that another is necessary."""
    start = lanczos.run_start
    if not bool(((ritz.vectors[start:] ** 2).sum(axis=0) > 0.5).any()):
        return False
    if start < wanted.count:
        return True
    # Of one more copy of what was known before, any combination may come up.
    before = eigh(lanczos.matrix[:start, :start])[0]
    return bool(np.abs(before[order(before, wanted)] - ritz.values).max() > tol * ritz.scale)


def _nothing_left(lanczos: Lanczos, ritz: Ritz, wanted: Wanted, tol: float) -> bool:
    """Whether the current run excludes an eigenvalue that would change the answer by more than ``tol``."""
    if _found(lanczos, ritz, wanted, tol):
        return False
    start, slack = lanczos.run_start, tol * ritz.scale
    (diagonal, betas), dimension = lanczos.run(), lanczos.space.size - start
    inner = eigh(lanczos.matrix[start:, start:])[0]
    upper, lower = _thresholds(ritz, wanted)
    roots, growth = lanczos.given_up()

    def clear(sign: float, least: float) -> bool:
        if lanczos.invariant:
            # An invariant subspace of a random start shows every distinct eigenvalue of the complement.
            return float((sign * inner).max()) <= least + slack
        if roots:
            return excluded_by_roots(sign * np.append(inner, roots), growth, dimension, least + slack, _PROBABILITY)
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

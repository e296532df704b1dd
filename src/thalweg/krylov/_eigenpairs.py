"""Extreme eigenvalues and eigenvectors, with bounds, and with the copies that a single start cannot see."""

import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._missed import excluded
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._projected import eigh
from thalweg.krylov._results import Eigenpairs, Which
from thalweg.progress import Progress, track

_PROBABILITY = 0.99


def eigenpairs(
    operator: SymmetricOperator,
    k: int,
    which: Which = "LA",
    *,
    tol: float = 1e-4,
    generator: torch.Generator | None = None,
    max_matvecs: int | None = None,
    progress: bool | Progress = False,
) -> Eigenpairs:
    r"""Compute k extreme eigenpairs of a symmetric matrix by Lanczos, reorthogonalised where it is due.

    A run stops when the residual bounds of the wanted Ritz pairs are at most ``tol``·‖A‖. Since a Krylov space holds
    one vector of each eigenspace only, whatever the multiplicity, the search goes on from a new random
    vector, orthogonal to the whole first space, until a missed copy shows or can be excluded; its products count
    and its vectors improve the answer (Rayleigh–Ritz on the joint space). Where a pair waits for what an earlier run
    left, that run is resumed.

    Cost: products until convergence, for well separated eigenvalues some 2k to 5k, and about 10 for the
    search; each product j also costs P numbers of memory, and up to 4jP operations of orthogonalisation, by which
    inner products of the vectors stay below 0.3·``tol``, the root of the unit roundoff, and 3e-5.

    Valid for: real symmetric operators. Interior eigenvalues are out of reach.

    Args:
        operator: The matrix A, (P, P).
        k: How many, at most P.
        which: "LA" largest algebraic, "SA" smallest algebraic, "LM" largest magnitude, "BE" both ends (one more
            from the upper end for odd k).
        tol: Residual at which a pair counts as converged, relative to ‖A‖.
        generator: Of the random starts; ``None`` is a fresh one of seed 0.
        max_matvecs: The most products; by default max(300, 20k), and never more than P.
        progress: Whether to show a bar, or what to report every product to.

    Returns:
        The pairs with their residual bounds. An eigenvalue is in error by at most its residual, and by about
        residual² / gap where it is isolated.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        MemoryBudgetError: If the basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If the products were used up before everything had converged.

    Example:
        >>> diagonal = torch.tensor([10.0, 10.0, 6.0, 3.0, 1.0, 0.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 6, dtype=torch.float64)
        >>> [round(value, 6) for value in eigenpairs(op, 3).values.tolist()]
        [10.0, 10.0, 6.0]
    """
    require_symmetric(operator)
    size = operator.space.size
    _check_arguments(k, which, tol, max_matvecs, size)
    started = time.perf_counter()
    capacity = min(size, max(300, 20 * k) if max_matvecs is None else max_matvecs)
    # What is let pass enters the residuals, so that it has to stay below the tolerance.
    lanczos = Lanczos(operator, capacity, loss=0.3 * tol)
    with track(None, f"{k} eigenvalues ({which})", progress) as bar:
        ritz = _search(lanczos, k, which, tol, generator, bar)
    if not (ritz.converged.all() and ritz.complete):
        warnings.warn(_advice(ritz, k, lanczos.steps, size), ConvergenceWarning, stacklevel=2)
    seconds = time.perf_counter() - started
    return Eigenpairs(
        values=torch.from_numpy(ritz.values.copy()),
        vectors=lanczos.basis.combine(torch.from_numpy(ritz.vectors.copy())),
        residuals=torch.from_numpy(ritz.residuals.copy()),
        converged=torch.from_numpy(ritz.converged.copy()),
        complete=ritz.complete,
        which=which,
        scale=ritz.scale,
        matvecs=lanczos.steps,
        cost=Cost(matvecs=lanczos.steps, seconds=seconds),
        provenance=operator.provenance,
    )


@dataclass(frozen=True)
class _Ritz:
    """The wanted Ritz pairs of a joint space."""

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    converged: NDArray[np.bool_]
    scale: float
    complete: bool = False


def _search(
    lanczos: Lanczos, k: int, which: Which, tol: float, generator: torch.Generator | None, bar: Progress
) -> _Ritz:
    space = lanczos.space
    source = torch.Generator().manual_seed(0) if generator is None else generator
    check_at, run_is_search = 0, False
    while True:
        if lanczos.ended:
            # An invariant subspace: whatever is left is orthogonal to it.
            if lanczos.full or not lanczos.start(space.randn(source)):
                return replace(_solve(lanczos, k, which, tol), complete=lanczos.steps >= space.size)
            run_is_search = lanczos.steps > 0
        lanczos.step()
        bar.advance(note=f"{lanczos.steps} products")
        if not (lanczos.ended or lanczos.full or lanczos.steps >= check_at):
            continue
        check_at = lanczos.steps + max(1, lanczos.steps // 50)
        if lanczos.steps < k:
            if lanczos.full:
                return _solve(lanczos, k, which, tol)
            continue
        ritz = _solve(lanczos, k, which, tol)
        # Pairs converge one by one, at a product each or more: where many are missing, the next will not be the last.
        check_at = max(check_at, lanczos.steps + int((~ritz.converged).sum()) // 4)
        if lanczos.steps >= space.size:
            return replace(ritz, complete=True)
        if ritz.converged.all():
            if run_is_search and _nothing_left(lanczos, ritz, which, tol):
                return replace(ritz, complete=True)
            if (not run_is_search or _found(lanczos, ritz)) and not lanczos.full:
                run_is_search = lanczos.start(space.randn(source))
                check_at = lanczos.steps + 4
                if not run_is_search:
                    return replace(ritz, complete=True)
        elif not lanczos.full:
            stopped = _stopped(lanczos, ritz, tol)
            if stopped is not None and lanczos.resume(stopped):
                # Its start is not random, so that it excludes nothing.
                run_is_search, check_at = False, lanczos.steps + 1
        if lanczos.full:
            return ritz


def _solve(lanczos: Lanczos, k: int, which: Which, tol: float) -> _Ritz:
    values, vectors = eigh(lanczos.matrix)
    order = _order(values, k, which)
    chosen = vectors[:, order]
    residuals = lanczos.residuals(chosen)
    scale = float(np.abs(values).max())
    return _Ritz(values[order], chosen, residuals, residuals <= tol * scale, scale)


def _order(values: NDArray[np.float64], k: int, which: Which) -> NDArray[np.intp]:
    """Indices of the wanted values among ascending ones, in the order of the result."""
    count = len(values)
    if which == "SA":
        return np.arange(min(k, count))
    if which == "LM":
        return np.argsort(-np.abs(values), kind="stable")[:k]
    if which == "LA":
        return np.arange(count)[::-1][:k]
    upper = k - k // 2
    ends = np.concatenate([np.arange(count)[::-1][:upper], np.arange(k // 2)[::-1]])
    return ends[:count]


def _stopped(lanczos: Lanczos, ritz: _Ritz, tol: float) -> int | None:
    """Name the earlier run that a wanted pair waits for: what that run left is most of the pair's residual.

    A copy that comes up by rounding at the end of one run is found by the next, which cannot do anything about it.
    """
    shares = lanczos.shares(ritz.vectors[:, ~ritz.converged])
    waiting = (shares[:-1] > np.maximum(0.5 * tol * ritz.scale, 10 * shares[-1])).any(axis=1)
    return int(np.flatnonzero(waiting)[0]) if waiting.any() else None


def _found(lanczos: Lanczos, ritz: _Ritz) -> bool:
    """Whether a wanted pair lives mainly in the current run, which makes another run necessary."""
    return bool(((ritz.vectors[lanczos.run_start :] ** 2).sum(axis=0) > 0.5).any())


def _nothing_left(lanczos: Lanczos, ritz: _Ritz, which: Which, tol: float) -> bool:
    """Whether the current run excludes an eigenvalue that would change the answer by more than ``tol``."""
    if _found(lanczos, ritz):
        return False
    start, slack = lanczos.run_start, tol * ritz.scale
    (diagonal, betas), dimension = lanczos.run(), lanczos.space.size - start
    inner = eigh(lanczos.matrix[start:, start:])[0]
    upper, lower = _thresholds(ritz, which)

    def clear(sign: float, wanted: float) -> bool:
        if lanczos.invariant:
            # An invariant subspace of a random start shows every distinct eigenvalue of the complement.
            return float((sign * inner).max()) <= wanted + slack
        return excluded(sign * diagonal, betas, dimension, wanted + slack, _PROBABILITY)

    return (upper is None or clear(1.0, upper)) and (lower is None or clear(-1.0, -lower))


def _thresholds(ritz: _Ritz, which: Which) -> tuple[float | None, float | None]:
    """Return the values above and below which another eigenvalue would belong to the answer."""
    if which == "LA":
        return float(ritz.values[-1]), None
    if which == "SA":
        return None, float(ritz.values[-1])
    if which == "LM":
        least = float(np.abs(ritz.values).min())
        return least, -least
    upper = len(ritz.values) - len(ritz.values) // 2
    top, bottom = ritz.values[:upper], ritz.values[upper:]
    return float(top[-1]), float(bottom.max()) if len(bottom) else None


def _check_arguments(k: int, which: str, tol: float, max_matvecs: int | None, size: int) -> None:
    for name, count in {"k": k, "max_matvecs": k if max_matvecs is None else max_matvecs}.items():
        require_whole(name, count)
    if not 1 <= k <= size:
        raise ArgumentError(f"k: expected between 1 and the number of parameters {size}, got {k}.")
    if which not in ("LA", "SA", "LM", "BE"):
        raise ArgumentError(f"which: expected 'LA', 'SA', 'LM' or 'BE', got {which!r}.")
    if not tol > 0:
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
    if max_matvecs is not None and max_matvecs < k:
        raise ArgumentError(f"max_matvecs: expected at least k = {k}, got {max_matvecs}.")


def _advice(ritz: _Ritz, k: int, matvecs: int, size: int) -> str:
    done = int(ritz.converged.sum())
    if done < k:
        return (
            f"{done} of {k} eigenpairs converged within {matvecs} products (matrix of size {size}); "
            f"the largest residual is {ritz.residuals.max():.2e}, the scale {ritz.scale:.2e}. "
            "Raise max_matvecs or tol, or ask for fewer."
        )
    return (
        f"all {k} eigenpairs converged, but the search for missed copies of multiple eigenvalues did not end within "
        f"{matvecs} products. Raise max_matvecs to finish it."
    )

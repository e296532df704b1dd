"""Extreme eigenvalues without a basis: little memory, each value once, vectors by going the way again."""

import math
import time

import numpy as np
import torch

from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._search import Ritz, Wanted, order
from thalweg.krylov._three_term import ThreeTerm, Told
from thalweg.progress import Progress
from thalweg.vectors import VectorSpace


def unbased(
    operator: SymmetricOperator,
    wanted: Wanted,
    tol: float,
    limit: int,
    generator: torch.Generator | None,
    bar: Progress,
    *,
    vectors: bool,
    until: float = math.inf,
) -> tuple[Ritz, torch.Tensor | None, int]:
    """Return the wanted values, each once, their vectors if asked for, and the products that it took.

    Args:
        operator: The matrix.
        wanted: What to look for.
        tol: Residual relative to the norm.
        limit: The most products of the first pass.
        generator: Of the random start.
        bar: Told of every product.
        vectors: Whether to go the same way again, at the same cost and one product a vector, for the vectors and
            the residuals themselves.
        until: When to end the first pass, by ``time.perf_counter``, once it has as many steps as values are wanted.
    """
    space = operator.space
    start = space.randn(generator)
    recurrence, check_at = ThreeTerm(operator, start), wanted.count
    while True:
        recurrence.step()
        steps = len(recurrence.diagonal)
        bar.advance(note=f"{steps} products")
        over = time.perf_counter() >= until and steps >= wanted.count
        done = recurrence.invariant or steps >= limit or over
        if steps < check_at and not done:
            continue
        check_at = steps + max(4, steps // 10)
        found = recurrence.values(tol)
        chosen = order(found.values, wanted)
        ritz = _ritz(found, chosen, tol)
        if done or (len(chosen) == wanted.count and bool(ritz.converged.all())):
            break
    if not vectors or not len(chosen):
        return ritz, None, steps
    columns = _again(ThreeTerm(operator, start), space, ritz.vectors, bar)
    values, residuals = ritz.values.copy(), []
    image = operator @ columns
    bar.advance(len(chosen))
    for i, (x, ax) in enumerate(zip(columns.mT, image.mT, strict=True)):
        residuals.append(space.norm(ax - float(values[i]) * x) + torch.finfo(space.dtype).eps * ritz.scale)
    exact = np.array(residuals)
    return (
        Ritz(values, ritz.vectors, exact, exact <= tol * ritz.scale, ritz.scale),
        columns,
        2 * steps + len(chosen),
    )


def _ritz(found: Told, chosen: np.ndarray, tol: float) -> Ritz:
    residuals = found.residuals[chosen]
    return Ritz(found.values[chosen], found.weights[:, chosen], residuals, residuals <= tol * found.scale, found.scale)


def _again(recurrence: ThreeTerm, space: VectorSpace, weights: np.ndarray, bar: Progress) -> torch.Tensor:
    """Combine the vectors of the same recurrence, as they come by once more: unit vectors (P, k)."""
    rows = space.zeros(weights.shape[1]).mT
    for parts in weights:
        q = recurrence.step()
        bar.advance()
        rows.addr_(torch.from_numpy(parts).to(rows), q)
    for row in rows:
        row.div_(space.norm(row))
    return rows.mT

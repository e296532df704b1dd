"""Extreme eigenvalues and eigenvectors, with bounds, and with the copies that a single start cannot see."""

import os
import time
import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.errors import ArgumentError, ConvergenceWarning, Interrupted
from thalweg.estimate import Cost, Provenance
from thalweg.krylov._budget import Budget, deadline, require_budget
from thalweg.krylov._checkpoint import checkpointed
from thalweg.krylov._convergence import Convergence, Trail
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._results import Eigenpairs, Which
from thalweg.krylov._search import Ritz, Wanted, search
from thalweg.progress import Progress, track


def eigenpairs(
    operator: SymmetricOperator,
    k: int,
    which: Which = "LA",
    *,
    tol: float = 1e-4,
    generator: torch.Generator | None = None,
    max_matvecs: int | None = None,
    budget: Budget | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
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
        budget: Products or seconds after which to return what there is; at least k products are made.
        checkpoint: A folder to keep products in, and to go on from where it holds some: see :func:`checkpointed`.
        progress: Whether to show a bar, or what to report every product to.

    Returns:
        The pairs with their residual bounds. An eigenvalue is in error by at most its residual, and by about
        residual² / gap where it is isolated.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        CheckpointError: If the checkpoint is damaged or of another run.
        Interrupted: If the user does, with the pairs that there are as its ``result``.
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
    require_budget(budget)
    if budget is not None and budget.products is not None and budget.products < k:
        raise ArgumentError(f"budget: expected at least k = {k} products, got {budget.products}.")
    if checkpoint is not None:
        operator = checkpointed(operator, checkpoint)
    most = max(300, 20 * k) if max_matvecs is None else max_matvecs
    limit = most if budget is None or budget.products is None else min(most, budget.products)
    # What is let pass enters the residuals, so that it has to stay below the tolerance.
    lanczos, trail = Lanczos(operator, min(size, limit), loss=0.3 * tol), Trail()
    with track(None, f"{k} eigenvalues ({which})", progress) as bar:
        until = deadline(budget, started)
        ritz = search(lanczos, _wanted(k, which), tol, generator, bar, trail=trail, until=until)
    # The ends lie from outside to inside; "BE" is one descending row.
    order = np.argsort(-ritz.values, kind="stable") if which == "BE" else np.arange(len(ritz.values))
    history = trail.of(order, tol * ritz.scale)
    found = pairs_of(lanczos, ritz, order, which, time.perf_counter() - started, operator.provenance, history)
    if ritz.interrupted:
        raise Interrupted(interruption(found, checkpoint), found)
    if not (ritz.converged.all() and ritz.complete):
        warnings.warn(_advice(ritz, k, lanczos.steps, size), ConvergenceWarning, stacklevel=2)
    return found


def interruption(found: Eigenpairs, checkpoint: str | os.PathLike[str] | None) -> str:
    """Say what an interruption has left, and how to go on."""
    again = "" if checkpoint is None else f" The same call goes on from the products in {os.fspath(checkpoint)}."
    return (
        f"interrupted after {found.matvecs} products: {int(found.converged.sum())} of {len(found.values)} eigenpairs "
        f"have converged, and are in the exception's `result`.{again}"
    )


def pairs_of(
    lanczos: Lanczos,
    ritz: Ritz,
    order: NDArray[np.intp],
    which: Which,
    seconds: float,
    provenance: Provenance | None,
    history: Convergence,
) -> Eigenpairs:
    """Return some Ritz pairs of a run, in this order, with their vectors."""
    return Eigenpairs(
        values=torch.from_numpy(ritz.values[order]),
        vectors=lanczos.basis.combine(torch.from_numpy(ritz.vectors[:, order])),
        residuals=torch.from_numpy(ritz.residuals[order]),
        converged=torch.from_numpy(ritz.converged[order]),
        complete=ritz.complete,
        which=which,
        scale=ritz.scale,
        matvecs=lanczos.steps,
        cost=Cost(matvecs=lanczos.steps, seconds=seconds),
        provenance=provenance,
        history=history,
    )


def _wanted(k: int, which: Which) -> Wanted:
    if which == "LM":
        return Wanted(largest=k)
    upper = {"LA": k, "SA": 0, "BE": k - k // 2}[which]
    return Wanted(upper, k - upper)


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


def _advice(ritz: Ritz, k: int, matvecs: int, size: int) -> str:
    done = int(ritz.converged.sum())
    if done < k:
        return (
            f"{done} of {k} eigenpairs converged within {matvecs} products (matrix of size {size}); "
            f"the largest residual is {ritz.residuals.max():.2e}, the scale {ritz.scale:.2e}. "
            "Raise max_matvecs, the budget or tol, or ask for fewer."
        )
    return (
        f"all {k} eigenpairs converged, but the search for missed copies of multiple eigenvalues did not end within "
        f"{matvecs} products. Raise max_matvecs or the budget to finish it."
    )

"""Extreme eigenvalues and eigenvectors, with bounds, and with the copies that a single start cannot see."""

import os
import time
import warnings
from collections.abc import Sequence
from typing import Literal

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
from thalweg.krylov._plan import KrylovMemory, Method, Reorthogonalise, planned_within
from thalweg.krylov._results import Eigenpairs, Which
from thalweg.krylov._search import Ritz, Wanted, search
from thalweg.krylov._storage import Place
from thalweg.krylov._unbased import unbased
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
    method: Method = "lanczos",
    reorthogonalise: Reorthogonalise | None = None,
    max_vectors: int | None = None,
    block: int | None = None,
    basis: Place | Literal["auto"] = "auto",
    vectors: bool = True,
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

    Where memory is short there are four ways out; :func:`thalweg.krylov_memory` says what each one takes.
    ``max_vectors`` restarts the basis when it is full with the best half of what it knows (thick restart; Wu & Simon,
    2000), with the same bounds and the same search, for some more products: 2k + 20 vectors are a good choice.
    ``basis="host"`` and ``"disk"`` hold all of it elsewhere, with the same bits on a processor, and sweep at that
    memory's speed. ``reorthogonalise="none"`` holds three vectors (Cullum & Willoughby, 1981): ghosts are told from
    values, every eigenvalue comes once, whatever its multiplicity, so that the answer is never ``complete``, and its
    vectors, if wanted, take the same products once more. By default a basis that does not fit goes to the host, and
    where there is none, or no room, it is restarted.

    ``method="block"`` multiplies ``block`` random vectors at once (Golub & Underwood, 1977), and sweeps at each step.
    It sees multiplicities up to that number without a search (40 products instead of 55 for two fourfold eigenvalues),
    but else it needs more products (44 instead of 31 for simple outliers), its polynomials being of a lower degree:
    then it pays only where a block shares work that a single product has to do, as with graphs that are rebuilt.

    Products of half precision are taken on vectors of single precision, which the result has, too. Their rounding
    enters every bound; where it is above the tolerance, nothing converges, and the run ends as soon as more products
    would not help. Rounding inside of a product that ends in more bits is not seen.

    Valid for: real symmetric operators. Interior eigenvalues are out of reach.

    Args:
        operator: The matrix A, (P, P).
        k: How many, at most P.
        which: "LA" largest algebraic, "SA" smallest algebraic, "LM" largest magnitude, "BE" both ends (one more
            from the upper end for odd k).
        tol: Residual at which a pair counts as converged, relative to ‖A‖.
        generator: Of the random starts; ``None`` is a fresh one of seed 0.
        max_matvecs: The most products; by default max(300, 20k), max(1000, 40k) with ``max_vectors`` and
            max(600, 40k) without a basis; never more than P unless the basis is restarted or there is none.
        budget: Products or seconds after which to return what there is; at least k products are made.
        checkpoint: A folder to keep products in, and to go on from where it holds some: see :func:`checkpointed`.
        method: "lanczos", or "block".
        reorthogonalise: "selective" (the default of "lanczos"), "full" (at each step; the default of "block", and its
            only choice), or "none".
        max_vectors: The most basis vectors, at least k + 8 (of P, if that is less).
        block: Vectors that ``method="block"`` multiplies at once; 4 by default.
        basis: Where the basis is held: "device", "host", "disk" (an unnamed file where TMPDIR says), or "auto".
        vectors: Whether the vectors are wanted.
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
    most = _within(budget, k)
    if checkpoint is not None:
        operator = checkpointed(operator, checkpoint)
    plan = planned_within(
        operator, k, most, method, reorthogonalise, max_matvecs, max_vectors, block, basis, vectors=vectors
    )
    if plan.reorthogonalise == "none":
        return _without_basis(operator, plan, k, which, tol, generator, budget, progress, vectors=vectors)
    lanczos, trail = lanczos_of(operator, plan, tol), Trail()
    with track(None, f"{k} eigenvalues ({which})", progress) as bar:
        until = deadline(budget, started)
        ritz = search(lanczos, _wanted(k, which), tol, generator, bar, trail=trail, until=until)
    row = _row(ritz, which)
    history = trail.of(row, tol * ritz.scale)
    pairs = pairs_of(lanczos, ritz, row, which, time.perf_counter() - started, operator.provenance, history)
    found = pairs if vectors else pairs.without_vectors()
    if ritz.interrupted:
        raise Interrupted(interruption([found], checkpoint), found)
    if not (ritz.converged.all() and ritz.complete):
        warnings.warn(_advice(ritz, k, lanczos.products, size), ConvergenceWarning, stacklevel=2)
    return found


def interruption(found: Sequence[Eigenpairs], checkpoint: str | os.PathLike[str] | None) -> str:
    """Say what an interruption of a run has left, and how to go on."""
    done, asked = sum(int(pairs.converged.sum()) for pairs in found), sum(len(pairs.values) for pairs in found)
    again = "" if checkpoint is None else f" The same call goes on from the products in {os.fspath(checkpoint)}."
    return (
        f"interrupted: {done} of {asked} eigenpairs have converged in {found[0].matvecs} products, and are in the "
        f"exception's `result`{', the upper end first' if len(found) > 1 else ''}.{again}"
    )


def _within(budget: Budget | None, k: int) -> int | None:
    """The products of a budget, which must suffice for k pairs."""
    require_budget(budget)
    if budget is None or budget.products is None:
        return None
    if budget.products < k:
        raise ArgumentError(f"budget: expected at least k = {k} products, got {budget.products}.")
    return budget.products


def lanczos_of(operator: SymmetricOperator, plan: KrylovMemory, tol: float) -> Lanczos:
    """Return what a plan asks for, not started."""
    # What is let pass enters the residuals, so that it has to stay below the tolerance.
    loss = 0.3 * tol if plan.reorthogonalise == "selective" else 0.0
    place: Place = plan.basis  # type: ignore[assignment]
    return Lanczos(operator, plan.vectors, loss=loss, limit=plan.max_matvecs, width=plan.block, place=place)


def _row(ritz: Ritz, which: Which) -> NDArray[np.intp]:
    """The ends lie from outside to inside; "BE" is one descending row."""
    return np.argsort(-ritz.values, kind="stable") if which == "BE" else np.arange(len(ritz.values))


def _without_basis(
    operator: SymmetricOperator,
    plan: KrylovMemory,
    k: int,
    which: Which,
    tol: float,
    generator: torch.Generator | None,
    budget: Budget | None,
    progress: bool | Progress,
    *,
    vectors: bool,
) -> Eigenpairs:
    started, limit = time.perf_counter(), plan.max_matvecs
    if budget is not None and budget.products is not None and vectors:
        # The way is gone twice, and each vector is multiplied once.
        limit = min(limit, (budget.products - k) // 2)
        if limit < k:
            raise ArgumentError(f"budget: expected at least {3 * k} products for k = {k}, got {budget.products}.")
    with track(None, f"{k} eigenvalues ({which})", progress) as bar:
        until = deadline(budget, started, 0.5 if vectors else 1.0)
        ritz, columns, count = unbased(
            operator, _wanted(k, which), tol, limit, generator, bar, vectors=vectors, until=until
        )
    if len(ritz.values) < k or not ritz.converged.all():
        found = f"{int(ritz.converged.sum())} of {k} different eigenvalues converged within {count} products"
        advice = "Raise max_matvecs, the budget or tol, ask for fewer, or afford a basis, which finds copies too."
        warnings.warn(f"{found}. {advice}", ConvergenceWarning, stacklevel=3)
    order = _row(ritz, which)
    return Eigenpairs(
        values=torch.from_numpy(ritz.values[order]),
        vectors=None if columns is None else columns.mT[torch.from_numpy(order).to(columns.device)].mT,
        residuals=torch.from_numpy(ritz.residuals[order]),
        converged=torch.from_numpy(ritz.converged[order]),
        complete=False,
        which=which,
        scale=ritz.scale,
        matvecs=count,
        cost=Cost(matvecs=count, seconds=time.perf_counter() - started),
        provenance=operator.provenance,
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
        matvecs=lanczos.products,
        cost=Cost(matvecs=lanczos.products, seconds=seconds),
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

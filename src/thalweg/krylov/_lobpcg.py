"""Extreme eigenpairs by block conjugate gradients, in the memory of a few blocks."""

import time
import warnings
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.krylov._operator import SymmetricOperator, require_no_asymmetry, require_symmetric, require_whole
from thalweg.krylov._orthonormal import orthonormalised
from thalweg.krylov._results import Eigenpairs
from thalweg.progress import Progress, track
from thalweg.vectors import VectorSpace


def lobpcg(
    operator: SymmetricOperator,
    k: int,
    which: Literal["LA", "SA"] = "LA",
    *,
    tol: float = 1e-4,
    max_matvecs: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Eigenpairs:
    r"""Compute k extreme eigenpairs by locally optimal block conjugate gradients (Knyazev, 2001), unpreconditioned.

    Every step is a Rayleigh–Ritz procedure on the span of the current vectors X, their residuals W and the last
    directions of search: multiple eigenvalues are found whole as far as the block reaches, and the memory does not
    grow. Pairs that have converged stay in the procedure, and cost no products any more.

    Where memory allows it, :func:`thalweg.eigenpairs` needs fewer products, since it forgets nothing, and says whether
    copies were missed. A block product shares its pass over the data, though, so that time may decide otherwise.

    Cost: k products at the start, and one a step for each pair that has not converged; 6k vectors of memory.

    Args:
        operator: The matrix A, (P, P).
        k: How many, at most P/3.
        which: "LA" largest, "SA" smallest.
        tol: Residual at which a pair counts as converged, relative to the largest Ritz value seen.
        max_matvecs: The most products; by default max(300, 40k).
        generator: Of the random start; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every block to.

    Returns:
        The pairs with the norms of their residuals. They are never ``complete``: nothing excludes another.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If the products were used up.

    Example:
        >>> diagonal = torch.arange(12.0, dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 12, dtype=torch.float64)
        >>> [round(value, 4) for value in lobpcg(op, 2).values.tolist()]
        [11.0, 10.0]
    """
    require_symmetric(operator)
    limit = _checked(operator.space.size, k, which, tol, max_matvecs)
    started, space = time.perf_counter(), operator.space
    source = torch.Generator().manual_seed(0) if generator is None else generator
    sign = 1.0 if which == "LA" else -1.0
    basis, _ = orthonormalised(space, space.randn(source, k), source)
    image, products = operator @ basis, k
    scale, moved = 0.0, False
    with track(None, f"{k} eigenvalues ({which})", progress) as bar:
        bar.advance(k)
        while True:
            # Columns: X first, then what the last step searched along.
            inner = space.gram(basis, image).double().cpu()
            values, turn = torch.linalg.eigh(sign * _symmetric(inner))
            scale = max(scale, float(values.abs().max()))
            require_no_asymmetry(float((inner - inner.mT).abs().max()), scale, torch.finfo(space.dtype).eps, products)
            best = turn.flip(1)[:, :k]
            x, ax = _combined(basis, best), _combined(image, best)
            theta = sign * values.flip(0)[:k]
            misses = ax - x * theta.to(ax)
            residuals = torch.tensor([space.norm(column) for column in misses.mT], dtype=torch.float64)
            residuals += torch.finfo(space.dtype).eps * scale
            converged = residuals <= tol * scale
            active = (~converged).nonzero().squeeze(1)
            if not len(active) or products + len(active) > limit:
                break
            directions = _directions(basis, image, best, k) if moved else None
            basis, image, made = _widened(operator, space, x, ax, misses.mT[active].mT, directions, source)
            moved = True
            products += made
            bar.advance(made)
    if not bool(converged.all()):
        warnings.warn(
            f"{int(converged.sum())} of {k} eigenpairs converged within {products} products; the largest residual is "
            f"{float(residuals.max()):.2e}, the scale {scale:.2e}. Raise max_matvecs or tol, or take eigenpairs.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return Eigenpairs(
        values=theta.double().cpu(),
        vectors=x,
        residuals=residuals,
        converged=converged,
        complete=False,
        which=which,
        scale=scale,
        matvecs=products,
        cost=Cost(matvecs=products, seconds=time.perf_counter() - started),
        provenance=operator.provenance,
    )


def _directions(basis: Tensor, image: Tensor, best: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What X has come from beside the last X, and its image."""
    weights = best.clone()
    weights[:k] = 0
    return _combined(basis, weights), _combined(image, weights)


def _widened(
    operator: SymmetricOperator,
    space: VectorSpace,
    x: Tensor,
    ax: Tensor,
    misses: Tensor,
    directions: tuple[Tensor, Tensor] | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, int]:
    """Return an orthonormal basis of X, residuals and directions, X first, its image, and the products that it took."""
    parts, images = [x.mT], [ax.mT]
    if directions is not None:
        # Orthonormal by a triangular solve, which the image goes along with.
        p, ap = (each.mT for each in directions)
        for _ in range(2):
            inner = space.gram(p.mT, x)
            p, ap = p - inner @ x.mT, ap - inner @ ax.mT
        values, turn = torch.linalg.eigh(_symmetric(space.gram(p.mT)))
        good = values > 1e3 * torch.finfo(space.dtype).eps * values.max()
        weights = (turn[:, good] / values[good].sqrt()).to(p).mT
        parts.append(weights @ p)
        images.append(weights @ ap)
    known = torch.cat(parts)
    rest = misses.mT
    for _ in range(2):
        rest = rest - space.gram(rest.mT, known.mT) @ known
    count = min(len(rest), space.size - len(known))
    fresh, _ = orthonormalised(space, torch.cat([known, rest[:count]]).mT, generator)
    new = fresh.mT[len(known) :]
    made = operator @ new.mT if count else new.mT
    # X first, then the new: the order that the directions are cut out by.
    return torch.cat([known, new]).mT, torch.cat([torch.cat(images), made.mT]).mT, count


def _combined(basis: Float[Tensor, "p m"], weights: Float[Tensor, "m k"]) -> Float[Tensor, "p k"]:
    return (weights.mT.to(basis) @ basis.mT).mT


def _symmetric(matrix: Tensor) -> Tensor:
    wide = matrix.double().cpu()
    return (wide + wide.mT) / 2


def _checked(size: int, k: int, which: str, tol: float, max_matvecs: int | None) -> int:
    for name, count in {"k": k, "max_matvecs": k if max_matvecs is None else max_matvecs}.items():
        require_whole(name, count)
    if which not in ("LA", "SA"):
        raise ArgumentError(f"which: expected 'LA' or 'SA', got {which!r}.")
    if not 1 <= k <= size // 3:
        raise ArgumentError(f"k: expected between 1 and a third of the {size} parameters, got {k}. Take eigenpairs.")
    if not tol > 0:
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
    if max_matvecs is not None and max_matvecs < k:
        raise ArgumentError(f"max_matvecs: expected at least k = {k}, got {max_matvecs}.")
    return max(300, 40 * k) if max_matvecs is None else max_matvecs

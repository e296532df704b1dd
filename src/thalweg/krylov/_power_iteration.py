"""The eigenvalue of largest magnitude by repeated multiplication."""

import time
import warnings

import torch

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.krylov._operator import SymmetricOperator, require_no_asymmetry, require_symmetric, require_whole
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._widened import widened
from thalweg.progress import Progress, track


def power_iteration(
    operator: SymmetricOperator,
    *,
    tol: float = 1e-4,
    max_matvecs: int = 300,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Eigenpairs:
    r"""Multiply a random vector again and again, until it is an eigenvector of the largest magnitude.

    :math:`v \leftarrow Av / \lVert Av \rVert` (von Mises & Pollaczek-Geiringer, 1929), with the Rayleigh quotient
    θ = vᵀAv and the residual ‖Av − θv‖ of every step, which is an eigenvalue's distance from θ at the most.

    It holds three vectors where :func:`thalweg.eigenpairs` holds one a product, and that is all that speaks for it: the
    residual falls by |λ₂/λ₁| a product, where a Krylov space needs about the root of that number of products, and
    where λ and −λ are both the largest it never ends.

    Cost: one product a step; three vectors of memory.

    Args:
        operator: The matrix A, (P, P).
        tol: Residual at which the pair counts as converged, relative to \|θ\|.
        max_matvecs: The most products.
        generator: Of the random start; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Returns:
        One pair. It is never ``complete``: copies of a multiple eigenvalue are not looked for.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If the products were used up.

    Example:
        >>> diagonal = torch.tensor([4.0, 1.0, -5.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> round(float(power_iteration(op).values), 4)
        -5.0
    """
    require_symmetric(operator)
    operator = widened(operator)
    require_whole("max_matvecs", max_matvecs)
    if max_matvecs < 1:
        raise ArgumentError(f"max_matvecs: expected at least 1, got {max_matvecs}.")
    if not tol > 0:
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
    started, space = time.perf_counter(), operator.space
    v = space.randn(generator)
    v = v / space.norm(v)
    products, quotient, residual, size = 0, 0.0, 0.0, 0.0
    previous, eps = None, torch.finfo(space.dtype).eps
    with track(None, "power iteration", progress) as bar:
        while True:
            image = operator @ v
            products += 1
            bar.advance(note=f"{products} products")
            before, size = size, space.norm(image)
            if previous is not None:
                # wᵀAv = vᵀAw = ‖Aw‖ for the last vector w, of which v is the normalised product.
                require_no_asymmetry(abs(space.dot(previous, image) - before), max(before, size), eps, products)
            quotient = space.dot(v, image)
            residual = space.norm(image - quotient * v) + eps * size
            converged = residual <= tol * abs(quotient) or size == 0
            if converged or products == max_matvecs:
                break
            previous, v = v, image / size
    if not converged:
        warnings.warn(
            f"The power iteration has not converged within {products} products: the residual is {residual:.2e} at "
            f"the quotient {quotient:.6g}. Take eigenpairs, or raise max_matvecs.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return Eigenpairs(
        values=torch.tensor([quotient], dtype=torch.float64),
        vectors=v.unsqueeze(1),
        residuals=torch.tensor([residual], dtype=torch.float64),
        converged=torch.tensor([converged]),
        complete=False,
        which="LM",
        scale=abs(quotient),
        matvecs=products,
        cost=Cost(matvecs=products, seconds=time.perf_counter() - started),
        provenance=operator.provenance,
    )

"""A sketch of a matrix, and what it would be without each of its vectors in turn."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.krylov._operator import SymmetricOperator, require_no_asymmetry
from thalweg.krylov._orthonormal import orthonormalised
from thalweg.progress import Progress


@dataclass(frozen=True)
class Sketch:
    r"""Y = A Ω = Q R and Z = A Q, for test vectors Ω.

    Without the test vector i, the basis is that of :math:`Q (I - s_i s_i^\top)`, where s_i is :math:`R^{-\top} e_i` at
    length one (Epperly, Tropp & Webber, 2024): nothing has to be computed again.

    Attributes:
        omega: Ω, (P, m).
        basis: Q, (P, m).
        image: Z, (P, m).
        triangle: R, (m, m) in double precision.
    """

    omega: Float[Tensor, "p m"]
    basis: Float[Tensor, "p m"]
    image: Float[Tensor, "p m"]
    triangle: Float[Tensor, "m m"]


def sketched(
    operator: SymmetricOperator, omega: Float[Tensor, "p m"], generator: torch.Generator, bar: Progress
) -> Sketch:
    """Make a sketch. Cost: 2m products, 4m vectors of memory.

    Raises:
        ArgumentError: If the operator turns out not to be symmetric.
    """
    count = omega.shape[1]
    product = operator @ omega
    bar.advance(count)
    _check_symmetry(operator, omega, product)
    basis, triangle = orthonormalised(operator.space, product, generator)
    image = operator @ basis
    bar.advance(count)
    return Sketch(omega, basis, image, triangle)


def directions(coordinates: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
    """Return the directions s_i as columns, from R."""
    count = len(coordinates)
    # Columns of length one leave the directions what they are, and the equations better conditioned.
    unit = coordinates / torch.linalg.vector_norm(coordinates, dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    left = torch.linalg.solve_triangular(unit.mT, torch.eye(count, dtype=torch.float64), upper=False)
    result: Tensor = left / torch.linalg.vector_norm(left, dim=0)
    return result


def _check_symmetry(operator: SymmetricOperator, omega: Tensor, product: Tensor) -> None:
    inner = operator.space.gram(omega, product).double().cpu()
    diagonal = inner.diagonal().clone()
    inner.fill_diagonal_(0)
    # Off the diagonal numbers are smaller, but not their rounding.
    eps = torch.finfo(operator.space.dtype).eps
    mismatch = float((inner - inner.mT).abs().max()) - 100 * eps * float(diagonal.abs().max())
    require_no_asymmetry(mismatch, float(inner.abs().max()), eps, omega.shape[1])

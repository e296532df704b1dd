"""An operator without some of its directions."""

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.operators._composite import Composite, layout_of, require_operator
from thalweg.operators._operator import Operator
from thalweg.operators._orthonormal import require_orthonormal
from thalweg.vectors import VectorSpace


def deflated(
    operator: Operator,
    vectors: Float[Tensor, "p m"] | Float[Tensor, " p"],
    values: Float[Tensor, " m"] | None = None,
) -> Composite:
    r"""Take directions out of an operator, so that what is left of the spectrum can be seen.

    With ``values``, :math:`A - \sum_i \lambda_i u_i u_i^\top` (Hotelling, 1933): where :math:`(\lambda_i, u_i)` are
    eigenpairs of A, these eigenvalues become zero and all others stay; an error in a pair stays as it is.
    Without, :math:`(I - UU^\top) A (I - UU^\top)`: whatever U is, its span becomes part of the kernel, and
    elsewhere A is compressed to the orthogonal complement. For exact eigenpairs both are the same matrix.

    Cost of a product: one with A, and 4mP operations with ``values``, 8mP without. The m vectors are held, not
    copied where each is contiguous: leave them as they are.

    Args:
        operator: A, (P, P).
        vectors: U, orthonormal columns (P, m), or one unit vector; for example ``vectors`` of an eigenpairs result.
        values: λ, one a vector, in units of the eigenvalues; of any floating-point type and on any device.

    Raises:
        ArgumentError: If ``operator`` is none, ``vectors`` do not fit it or are not orthonormal, or ``values`` are
            not one finite number a vector.

    Example:
        >>> import thalweg as tw
        >>> diagonal = torch.tensor([9.0, 4.0, 1.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> top = tw.eigenpairs(op, 1)
        >>> round(float(tw.eigenpairs(deflated(op, top.vectors, top.values), 1).values), 6)
        4.0
    """
    require_operator(operator)
    space = operator.space
    basis = require_orthonormal(space, vectors, "vectors")
    text = f"deflated({operator!r}, {basis.shape[1]} vectors)"
    if values is None:

        def compressed(block: Tensor) -> Tensor:
            product = operator @ _without(space, basis, block)
            return _without(space, basis, product)

        return Composite(space, (operator,), compressed, layout_of(operator), text)
    weights = _weights(space, values, basis.shape[1])

    def lowered(block: Tensor) -> Tensor:
        return _without(space, basis, block, weights=weights, start=operator @ block)

    return Composite(space, (operator,), lowered, layout_of(operator), text)


def _without(
    space: VectorSpace, basis: Tensor, block: Tensor, *, weights: Tensor | None = None, start: Tensor | None = None
) -> Tensor:
    """Return start − U diag(weights) Uᵀ block, by default block − U Uᵀ block, each column contiguous."""
    coefficients = space.gram(block, basis)
    if weights is not None:
        coefficients = coefficients * weights
    return torch.addmm((block if start is None else start).mT, coefficients, basis.mT, alpha=-1).mT


def _weights(space: VectorSpace, values: Tensor, count: int) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != (count,) or not values.is_floating_point():
        got = f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ArgumentError(f"values: expected real numbers in a tensor of shape ({count},), one a vector, got {got}.")
    weights = values.detach().to(space.device, space.dtype, copy=True)
    if not bool(weights.isfinite().all()):
        raise ArgumentError(f"values: expected numbers that are finite in {space.dtype}, got one that is not.")
    return weights

"""An operator seen in a subspace."""

from jaxtyping import Float
from torch import Tensor

from thalweg.operators._composite import Composite, require_operator
from thalweg.operators._operator import Operator
from thalweg.operators._orthonormal import require_orthonormal
from thalweg.vectors import VectorSpace


def projected(operator: Operator, basis: Float[Tensor, "p m"] | Float[Tensor, " p"]) -> Composite:
    r"""Return the operator :math:`Q^\top A Q`, the curvature inside the span of an orthonormal basis Q.

    It acts on vectors of m coordinates; y stands for the direction :math:`Qy`. Its eigenvalues interlace those of A
    (Cauchy): the largest is at most the largest of A. ``.dense()`` is the small matrix, by m products.

    Cost of a product: one with A, and 4mP operations. The basis is held, not copied where each column is
    contiguous: leave it as it is.

    Args:
        operator: A, (P, P).
        basis: Q, orthonormal columns (P, m), or one unit vector.

    Raises:
        ArgumentError: If ``operator`` is none, or ``basis`` does not fit it or is not orthonormal.

    Example:
        >>> import torch, thalweg as tw
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([1.0, 3.0, 5.0]) * v, 3)
        >>> projected(op, torch.eye(3)[:, 1:]).dense()
        tensor([[3., 0.],
                [0., 5.]])
    """
    require_operator(operator)
    outer = operator.space
    columns = require_orthonormal(outer, basis, "basis")
    inner = VectorSpace(columns.shape[1], outer.dtype, outer.device)

    def product(block: Tensor) -> Tensor:
        # Written by rows, so that each of the large vectors is contiguous.
        directions = (block.mT @ columns.mT).mT
        return outer.gram(columns, operator @ directions)

    return Composite(inner, (operator,), product, None, f"projected({operator!r}, {inner.size} vectors)", 1.0)

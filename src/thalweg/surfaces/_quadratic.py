"""The quadratic model of the loss on a line or a plane."""

import time

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.operators import Operator, hessian


def second_order(
    landscape: Landscape, columns: Float[Tensor, "p k"], operator: Operator | None
) -> tuple[float, Float[Tensor, " k"], Float[Tensor, "k k"], Cost]:
    """Return L, Dᵀg and DᵀHD for directions D, the latter two in double precision on the processor.

    Cost: one gradient and k products.

    Raises:
        ArgumentError: If the operator does not fit the landscape.
        NonFiniteError: If the gradient or a product is not finite.
    """
    space, started = landscape.space, time.perf_counter()
    if operator is not None and not isinstance(operator, Operator):
        raise ArgumentError(f"operator: expected an operator or None, got {type(operator).__name__}.")
    matrix = hessian(landscape) if operator is None else operator
    if matrix.shape[0] != space.size:
        raise ArgumentError(f"operator: expected shape ({space.size}, {space.size}), got {matrix.shape}.")
    before = matrix.matvecs
    base, gradient = landscape.loss_and_gradient()
    slopes = space.dots(columns, gradient).double().cpu()
    bends = space.gram(columns, matrix @ columns).double().cpu()
    cost = Cost(matrix.matvecs - before, gradients=1, seconds=time.perf_counter() - started)
    # Symmetric but for the rounding of products.
    return base, slopes, (bends + bends.mT) / 2, cost


def quadratic_on(
    base: float, slopes: Tensor, bends: Tensor, x: Float[Tensor, " columns"], y: Float[Tensor, " rows"]
) -> Float[Tensor, "rows columns"]:
    """Return L + x·g₁ + y·g₂ + ½(x²·H₁₁ + 2xy·H₁₂ + y²·H₂₂) on a grid, row i at y[i]."""
    across, up = x[None, :], y[:, None]
    (first, mixed), (_, second) = bends.tolist()
    slope_x, slope_y = slopes.tolist()
    linear: Tensor = base + across * slope_x + up * slope_y
    bent: Tensor = 0.5 * (across**2 * first + up**2 * second) + across * up * mixed
    return linear + bent

"""Curvature along one direction."""

import time

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.landscape._require import require_vector
from thalweg.operators import Operator
from thalweg.operators._composite import require_operator


def directional_sharpness(operator: Operator, direction: Float[Tensor, " p"]) -> Estimate:
    r"""Return :math:`\varphi(v) = v^\top H v / \|v\|^2`, the curvature along a direction.

    The direction is scaled to unit length first: its length does not matter, so the value always
    lies between the smallest and the largest eigenvalue.

    Cost: one product.

    Args:
        operator: H, (P, P).
        direction: v, shape (P,), not zero.

    Raises:
        ArgumentError: If ``direction`` does not fit the operator or is zero.
        NonFiniteError: If the product is not finite.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([4.0, 2.0]) * v, 2)
        >>> print(directional_sharpness(op, torch.tensor([3.0, 3.0])))
        3
    """
    require_operator(operator)
    started, before = time.perf_counter(), operator.matvecs
    space = operator.space
    unit = require_vector(space, direction, "direction")
    length = space.norm(unit)
    if length == 0:
        raise ArgumentError("direction: expected a vector that is not zero, got one of length 0.")
    unit = unit / length
    value = space.dot(unit, operator @ unit)
    cost = Cost(matvecs=operator.matvecs - before, seconds=time.perf_counter() - started)
    return Estimate(value, standard_error=0.0, cost=cost, provenance=operator.provenance)

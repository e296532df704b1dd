"""What a curvature matrix is made of, so that every engine can multiply with it in its own way."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from thalweg.landscape._batches import Batch

Leaves = list[Tensor]
Values = tuple[Tensor, ...]


@dataclass(frozen=True)
class SecondDerivative:
    r""":math:`\sum_b \nabla^2 s_b(\theta)` over the micro-batches b.

    Attributes:
        scalar: ``scalar(leaves, batch)``, a differentiable scalar of the parameters.
    """

    scalar: Callable[[Leaves, Batch], Tensor]


@dataclass(frozen=True)
class Congruence:
    r""":math:`\sum_b J_b^\top M_b J_b` over the micro-batches b, with J_b the Jacobian of tensors y_b.

    Attributes:
        values: ``values(leaves, batch)``, differentiable tensors y of the parameters.
        middle: ``middle(y, batch)`` for y without graph: the function that multiplies tangents of y, tensors like y,
            with the symmetric matrix M.
    """

    values: Callable[[Leaves, Batch], Values]
    middle: Callable[[Values, Batch], Callable[[Values], Values]]


Form = SecondDerivative | Congruence


def identity(values: Values, batch: Batch) -> Callable[[Values], Values]:  # noqa: ARG001 - the shape of a middle
    """The middle that is nothing: JᵀJ."""
    return lambda tangents: tangents

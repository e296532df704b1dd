"""Multiples of an operator, and an operator plus a multiple of the identity."""

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.operators._composite import Composite, layout_of, require_operator
from thalweg.operators._operator import Operator


def scaled(operator: Operator, factor: float) -> Composite:
    r"""Return the operator :math:`c A`.

    Cost of a product: one with A, and P operations.

    Args:
        operator: A, (P, P).
        factor: c.

    Raises:
        ArgumentError: If ``operator`` is none, or ``factor`` is not a finite number of its dtype.

    Example:
        >>> import thalweg as tw
        >>> scaled(tw.FunctionOperator(lambda v: torch.tensor([1.0, 3.0]) * v, 2), 2.0).dense()
        tensor([[2., 0.],
                [0., 6.]])
    """
    require_operator(operator)
    number = _number(factor, "factor", operator.dtype)

    def product(block: Tensor) -> Tensor:
        return number * (operator @ block)

    text = f"scaled({operator!r}, {number:g})"
    return Composite(operator.space, (operator,), product, layout_of(operator), text, number)


def shifted(operator: Operator, shift: float) -> Composite:
    r"""Return the operator :math:`A + s I`, whose eigenvalues are those of A, each larger by s.

    With s > 0 this is damping; with s = −λ the eigenvalues near λ come near zero.

    Cost of a product: one with A, and 2P operations.

    Args:
        operator: A, (P, P).
        shift: s, in units of the eigenvalues.

    Raises:
        ArgumentError: If ``operator`` is none, or ``shift`` is not a finite number of its dtype.

    Example:
        >>> import thalweg as tw
        >>> shifted(tw.FunctionOperator(lambda v: torch.tensor([1.0, 3.0]) * v, 2), 0.5).dense()
        tensor([[1.5000, 0.0000],
                [0.0000, 3.5000]])
    """
    require_operator(operator)
    number = _number(shift, "shift", operator.dtype)

    def product(block: Tensor) -> Tensor:
        return torch.add(operator @ block, block, alpha=number)

    text = f"shifted({operator!r}, {number:g})"
    return Composite(operator.space, (operator,), product, layout_of(operator), text)


def _number(value: Any, name: str, dtype: torch.dtype) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentError(f"{name}: expected a real number, got {type(value).__name__}.")
    number = float(value)
    if not math.isfinite(number) or abs(number) > torch.finfo(dtype).max:
        raise ArgumentError(f"{name}: expected a number that is finite in {dtype}, got {number:g}.")
    return number

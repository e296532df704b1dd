"""Differentiate a scalar by parameters, and refuse numbers that are not finite."""

import math

import torch
from torch import Tensor

from thalweg.errors import NonFiniteError
from thalweg.landscape._parameters import Layout


def gradients_of(
    value: Tensor, leaves: list[Tensor], *, create_graph: bool = False, retain_graph: bool | None = None
) -> tuple[Tensor | None, ...]:
    """Differentiate a scalar by the leaves; ``None`` where it does not depend on one."""
    if not value.requires_grad:
        return (None,) * len(leaves)
    return torch.autograd.grad(value, leaves, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True)


def finite(value: Tensor, batch: int) -> float:
    """Return the loss of a batch as a number.

    Raises:
        NonFiniteError: If it is infinite or not a number.
    """
    number = float(value.detach())
    if not math.isfinite(number):
        raise NonFiniteError(f"loss: expected a finite number, got {number} in batch {batch} (counted from 0).")
    return number


def require_finite_gradient(flat: Tensor, layout: Layout) -> None:
    """Check a flat gradient.

    Raises:
        NonFiniteError: If an entry is not finite; the message names the parameter.
    """
    if bool(flat.isfinite().all()):
        return
    parts = zip(layout.names, layout.views(flat), strict=True)
    name = next(name for name, part in parts if not bool(part.isfinite().all()))
    raise NonFiniteError(f"gradient: expected finite entries, got a non-finite one in {name}.")

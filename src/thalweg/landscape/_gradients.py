"""Differentiate a scalar by parameters, and refuse numbers that are not finite."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from thalweg.errors import NonFiniteError
from thalweg.landscape._atomic import atomic
from thalweg.landscape._kernels import unusable_kernel
from thalweg.landscape._parameters import Layout


def gradients_of(
    value: Tensor,
    leaves: list[Tensor],
    *,
    places: list[GradientEdge] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """Differentiate a scalar by the leaves; ``None`` where it does not depend on one.

    Leaves that many graphs share have the same ``places`` in all of them, which are found once by :func:`edges`.

    Raises:
        ArgumentError: If an operation has no kernel for the type of the tensors on the way back.
        DeterminismError: If one has none that repeats itself, where torch has been told to ask for it.
    """
    if not value.requires_grad:
        return (None,) * len(leaves)
    one = torch.ones_like(value, requires_grad=False)
    try:
        ends = edges(leaves) if places is None else places
        return backward(edges([value]), ends, [one], create_graph=create_graph, retain_graph=retain_graph)
    except RuntimeError as error:
        missing = unusable_kernel(error)
        if missing is None:
            raise
        raise missing from error


@atomic
def edges(tensors: Sequence[Tensor]) -> list[GradientEdge]:
    """Return the places of tensors in their graph."""
    return [get_gradient_edge(tensor) for tensor in tensors]


def backward(
    outputs: Sequence[GradientEdge],
    inputs: Sequence[GradientEdge],
    weights: Sequence[Tensor],
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    batched: bool = False,
) -> tuple[Tensor | None, ...]:
    """Pull weights on the outputs back to the inputs; ``None`` where no output depends on one.

    Gradient checkpointing runs parts of the model again in here, and they must be the same functions as before. Given
    tensors, PyTorch would leave the modes that put others in their place; given places in the graph, it does not.
    """
    return torch.autograd.grad(
        outputs,
        inputs,
        weights,
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
        is_grads_batched=batched,
    )


def nodes_of(values: Iterable[Tensor]) -> Iterator[Any]:
    """Yield every node of a graph once."""
    seen, stack = set[Any](), [value.grad_fn for value in values]
    while stack:
        node: Any = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(following for following, _ in node.next_functions)
        yield node


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

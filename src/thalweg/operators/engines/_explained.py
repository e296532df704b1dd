"""What an error of autograd means for somebody who asked for a product."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import DifferentiationError
from thalweg.landscape._gradients import nodes_of
from thalweg.landscape._kernels import unusable_kernel


def require_second_derivatives(values: Iterable[Tensor]) -> None:
    """Look for operations whose backward pass is marked as differentiable once only.

    Autograd prunes the way through them and returns zeros without a word.

    Raises:
        DifferentiationError: If there is one; the message names it.
    """
    names = sorted({name for value in values for name in _refusing(value)})
    if names:
        raise _no_second_derivative(f"{', '.join(names)} can be differentiated once only")


def require_connected(values: Iterable[Tensor]) -> None:
    """Look for functions of the model's own whose backward pass computes with numbers, so that it has no graph.

    Autograd takes what they return for a constant, and drops all that a second pass would find behind it. What a
    backward pass returns is linear in what it is given, so that where that has a graph, the rest must have one.

    Cost: a backward pass, and none where there are no such functions.

    Raises:
        DifferentiationError: If there is one; the message names it.
    """
    moving = [value for value in values if value.requires_grad]
    nodes, leaves = list[Any](), list[Tensor]()
    for node in nodes_of(moving):
        if _of_the_model(node):
            nodes.append(node)
        elif hasattr(node, "variable"):
            leaves.append(node.variable)
    if not nodes or not leaves:
        return
    constant = set[str]()

    def look(name: str, pulled: tuple[Tensor | None, ...], given: tuple[Tensor | None, ...]) -> None:
        if any(part is not None and part.requires_grad for part in given):
            parts = [part for part in pulled if part is not None and not part.requires_grad]
            constant.update(name for part in parts if part.any())

    handles = [node.register_hook(functools.partial(look, node._forward_cls.__name__)) for node in nodes]  # noqa: SLF001
    weights = [torch.ones_like(value).requires_grad_() for value in moving]
    try:
        torch.autograd.grad(moving, leaves, weights, create_graph=True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    if constant:
        raise _no_second_derivative(
            f"the backward pass of {', '.join(sorted(constant))} returns numbers without a graph"
        )


def explained(error: Exception) -> Exception:
    """Return the error to raise instead: one that names the operation, or the error itself."""
    first = (str(error).splitlines() or [""])[0]
    missing = unusable_kernel(error) if isinstance(error, RuntimeError) else None
    if missing is not None:
        return missing
    if "donated buffer" in first or "aot_autograd" in first:
        return _no_second_derivative("a compiled model has none: measure the module that was compiled")
    if "is not implemented" in first or "double backwards" in first:
        return _no_second_derivative(first.rstrip("."))
    return error


def _no_second_derivative(what: str) -> DifferentiationError:
    return DifferentiationError(
        f"product: expected operations with second derivatives, but {what}. Replace it, leave out the parameters "
        "before it with params=, or, for a Hessian, take engine='finite-differences'."
    )


def _refusing(value: Tensor) -> Iterator[str]:
    """Yield the autograd functions in a graph that are marked as differentiable once."""
    for node in nodes_of([value]):
        function = getattr(node, "_forward_cls", None)
        if function is not None and _marked(function.backward):
            yield str(function.__name__)


def _of_the_model(node: Any) -> bool:
    """Whether a node is a function written in Python, and neither torch's nor ours."""
    function = getattr(node, "_forward_cls", None)
    return function is not None and function.__module__.partition(".")[0] not in ("torch", "thalweg")


def _marked(function: Any) -> bool:
    """Whether a function is wrapped by torch's decorator, possibly among others."""
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_qualname.startswith("once_differentiable."):
            return True
        function = getattr(function, "__wrapped__", None)
    return False

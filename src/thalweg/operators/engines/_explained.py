"""What an error of autograd means for somebody who asked for a product."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from thalweg.errors import DeterminismError, DifferentiationError


def require_second_derivatives(values: Iterable[Tensor]) -> None:
    """Look for operations whose backward pass is marked as differentiable once only.

    Autograd prunes the way through them and returns zeros without a word.

    Raises:
        DifferentiationError: If there is one; the message names it.
    """
    names = sorted({name for value in values for name in _refusing(value)})
    if names:
        raise _no_second_derivative(f"{', '.join(names)} can be differentiated once only")


def explained(error: Exception) -> Exception:
    """Return the error to raise instead: one that names the operation, or the error itself."""
    first = (str(error).splitlines() or [""])[0]
    if "does not have a deterministic implementation" in first:
        return DeterminismError(
            "product: expected kernels that repeat themselves, as torch.use_deterministic_algorithms asks, but "
            f"{first} Take another operation, or allow it."
        )
    if "is not implemented" in first or "double backwards" in first:
        return _no_second_derivative(first.rstrip("."))
    return error


def _no_second_derivative(what: str) -> DifferentiationError:
    return DifferentiationError(
        f"product: expected operations with second derivatives, but {what}. Replace it, leave out the parameters "
        "before it with params=, or take engine='finite-differences'."
    )


def _refusing(value: Tensor) -> Iterator[str]:
    """Yield the autograd functions in a graph that are marked as differentiable once."""
    seen, stack = set[Any](), [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(following for following, _ in node.next_functions)
        function = getattr(node, "_forward_cls", None)
        if function is not None and _marked(function.backward):
            yield str(function.__name__)


def _marked(function: Any) -> bool:
    """Whether a function is wrapped by torch's decorator, possibly among others."""
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_qualname.startswith("once_differentiable."):
            return True
        function = getattr(function, "__wrapped__", None)
    return False

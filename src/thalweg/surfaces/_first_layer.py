"""Share the product of the first layer with the data among all cells of a grid.

Where a model begins with a linear layer, X(W₀ + Σ c_j W_j)ᵀ + b is affine in the coefficients c of a cell: 1 + k
products, made once, replace one for every cell. Whether it is so is asked at every pass: the input that reaches the
layer must have the bits that were multiplied, or else the layer is computed as ever. So the answer is right for any
model, and faster for some. No module is changed; the calls of ``linear`` are seen on their way.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from thalweg.landscape import Landscape

# Fewer features than these, and the product costs no more than what would replace it.
_FEATURES = 64
# Input, the weight's place among the parameters, and the bias's, or the bias itself where it does not move.
_Use = tuple[Tensor, int, int | Tensor | None]


@dataclass
class _Part:
    """What is kept of a micro-batch.

    Attributes:
        inputs: X, as it reaches the layer.
        version: In-place writes into X when it was multiplied.
        products: X W_jᵀ + b_j for θ and each direction.
        row: The coefficients, but for the last, that ``base`` is at.
        base: The sum of all products but the last.
    """

    inputs: Tensor
    version: int
    products: list[Tensor]
    row: tuple[float, ...] | None = None
    base: Tensor | None = None

    def is_of(self, inputs: Tensor) -> bool:
        """Tell whether these inputs have the bits that were multiplied."""
        own = self.inputs
        if own._version != self.version or inputs.shape != own.shape or inputs.dtype != own.dtype:  # noqa: SLF001
            return False
        return (inputs.data_ptr() == own.data_ptr() and inputs.stride() == own.stride()) or torch.equal(inputs, own)

    def at(self, coefficients: tuple[float, ...]) -> Tensor:
        """Return the layer's output in a cell; cells of one row share all but one operation."""
        *row, last = coefficients
        if self.base is None or self.row != tuple(row):
            base = self.products[0]
            for coefficient, product in zip(row, self.products[1:-1], strict=True):
                base = torch.add(base, product, alpha=coefficient)
            self.base, self.row = base, tuple(row)
        return torch.add(self.base, self.products[-1], alpha=last)


class FirstLayer:
    """The shared products of a landscape along directions; it shares nothing where the model does not begin so.

    Args:
        landscape: Whose model.
        vectors: θ's directions, rows, (k, P).
        cells: How many cells are going to be evaluated.
        memory: Bytes that products may take; micro-batches beyond them are computed as ever.
    """

    def __init__(self, landscape: Landscape, vectors: Tensor, cells: int, memory: int) -> None:
        self._parts: dict[int, _Part] = {}
        self._leaf = -1
        self.coefficients: tuple[float, ...] = ()
        self.bytes = 0
        if landscape.autocast is None and cells >= 4 * (len(vectors) + 1) and not _compiled(landscape):
            self._fill(landscape, vectors, memory)

    @property
    def parts(self) -> int:
        """Micro-batches whose products are shared."""
        return len(self._parts)

    def around(self, leaves: list[Tensor], part: int) -> AbstractContextManager[object]:
        """Return what to enter around the pass of one micro-batch."""
        # θ itself keeps the bits that it has everywhere else.
        if part not in self._parts or not any(self.coefficients):
            return nullcontext()
        return _Combine(leaves[self._leaf], self._parts[part], self.coefficients)

    def _fill(self, landscape: Landscape, vectors: Tensor, memory: int) -> None:
        with landscape.reading(), torch.no_grad():
            leaves = landscape.leaves(grad=False)
            points = [leaves, *(landscape.layout.views(vector) for vector in vectors)]
            for part, (_, batch) in enumerate(landscape.batches()):
                seen = _first_linear(functools.partial(landscape.outputs, leaves, batch), leaves)
                if seen is None:
                    break
                inputs, self._leaf, bias = seen
                features = inputs.shape[-1]
                taken = (len(points) + 1) * (inputs.numel() // features) * len(leaves[self._leaf]) + inputs.numel()
                if features < _FEATURES or self.bytes + taken * inputs.element_size() > memory:
                    break
                self.bytes += taken * inputs.element_size()
                self._parts[part] = _Part(inputs, inputs._version, list(_products(points, self._leaf, bias, inputs)))  # noqa: SLF001


def _products(
    points: Sequence[Sequence[Tensor]], leaf: int, bias: int | Tensor | None, inputs: Tensor
) -> Iterator[Tensor]:
    for place, parts in enumerate(points):
        # A bias that does not move belongs to θ alone.
        own = parts[bias] if isinstance(bias, int) else bias if place == 0 else None
        yield functional.linear(inputs, parts[leaf], own)


class _Seen(BaseException):
    """The first use of a parameter has been seen; there is no need to compute what follows."""


class _Watch(TorchFunctionMode):
    """Ends a pass at the first use of a parameter, and remembers it if that is a linear layer."""

    def __init__(self, leaves: list[Tensor]) -> None:
        super().__init__()
        self._places = {id(leaf): place for place, leaf in enumerate(leaves)}
        self.found: _Use | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = kwargs or {}
        # Asking a parameter for its type is no use of its values.
        if getattr(func, "__name__", "") != "__get__":
            used = [self._places[id(each)] for each in tree_leaves((args, kwargs)) if id(each) in self._places]
            if func is functional.linear and used:
                self.found = self._linear(*_named(args, kwargs))
            if used:
                raise _Seen
        return func(*args, **kwargs)

    def _linear(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> _Use | None:
        if id(inputs) in self._places or id(weight) not in self._places or weight.dtype != inputs.dtype:
            return None
        return inputs, self._places[id(weight)], None if bias is None else self._places.get(id(bias), bias)


def _named(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """The input, weight and bias of a call of ``linear``, however they were passed."""
    named = dict(zip(("input", "weight", "bias"), args, strict=False)) | dict(kwargs)
    return named["input"], named["weight"], named.get("bias")


class _Combine(TorchFunctionMode):
    """Answers the first call of ``linear`` with a weight from the products that are there."""

    def __init__(self, weight: Tensor, part: _Part, coefficients: tuple[float, ...]) -> None:
        super().__init__()
        self._weight, self._part, self._coefficients = weight, part, coefficients
        self._waiting = True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        if self._waiting and func is functional.linear:
            self._waiting = False
            inputs, weight, _ = _named(args, kwargs or {})
            if weight is self._weight and self._part.is_of(inputs):
                return self._part.at(self._coefficients)
        return func(*args, **(kwargs or {}))


def _first_linear(run: Callable[[], object], leaves: list[Tensor]) -> _Use | None:
    watch = _Watch(leaves)
    with _stopped(), watch:
        run()
    return watch.found


@contextmanager
def _stopped() -> Iterator[None]:
    try:
        yield
    except _Seen:
        return


def _compiled(landscape: Landscape) -> bool:
    """Tell whether a compiler would be asked to look at what watches the calls."""
    parts = landscape.model.modules()
    return any(
        type(part).__name__ == "OptimizedModule" or getattr(part, "_compiled_call_impl", None) is not None
        for part in parts
    )

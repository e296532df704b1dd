"""What the layers of a model do with the data, seen on the way through."""

import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

from thalweg.landscape import Landscape
from thalweg.predict._diagnosis_results import LayerHealth

_RELU: set[Any] = {
    functional.relu,
    functional.relu6,
    functional.relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
}
_TANH: set[Any] = {functional.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_}
_SIGMOID: set[Any] = {functional.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_}
_KINDS: dict[Any, str] = {
    function: kind for kind, names in (("relu", _RELU), ("tanh", _TANH), ("sigmoid", _SIGMOID)) for function in names
}
# How near to a bound counts as saturated.
_NEAR = 0.01


# Whose units lie on the second axis, and those whose lie on the last; others may be anything.
_CHANNELS = (_ConvNd, _NormBase, nn.GroupNorm)
_FEATURES = (nn.Linear, nn.Bilinear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.RNNBase)


@dataclass(frozen=True)
class _Units:
    """Where a layer has its units, and how many."""

    axis: int
    number: int

    @classmethod
    def of(cls, module: nn.Module, value: Tensor) -> "_Units | None":
        if isinstance(module, _CHANNELS) and value.ndim > 1:
            return cls(1, value.shape[1])
        return cls(-1, value.shape[-1]) if isinstance(module, _FEATURES) and value.ndim else None

    def axis_in(self, value: Tensor) -> int | None:
        """The axis of the units, of values that may have been transposed since; ``None`` if they are no longer."""
        places = [self.axis, -1 if self.axis == 1 else 1]
        return next((at for at in places if value.ndim > 1 and value.shape[at] == self.number), None)


@dataclass
class _Seen:
    """Sums over the data of one layer or activation."""

    kind: str
    module: str | None
    squares: float = 0.0
    count: int = 0
    alive: Tensor | None = None
    bound: int = 0

    def add(self, value: Tensor, units: _Units | None = None) -> None:
        self.squares += float(value.double().square().sum())
        self.count += value.numel()
        if self.kind == "relu":
            axis = None if units is None else units.axis_in(value)
            if axis is None:
                axis = 1 if value.ndim >= 4 else value.ndim - 1
            alive = (value > 0).movedim(axis, 0).flatten(1).any(dim=1) if value.ndim > 1 else (value > 0).any()[None]
            same = self.alive is not None and len(self.alive) == len(alive)
            # Units of another number are others: then it is not known which ones have been dead.
            self.alive = alive if self.alive is None else (self.alive | alive if same else None)
        elif self.kind == "tanh":
            self.bound += int((value.abs() > 1 - _NEAR).sum())
        elif self.kind == "sigmoid":
            self.bound += int(((value < _NEAR) | (value > 1 - _NEAR)).sum())

    def health(self, name: str, gradient: float | None, weight: float | None) -> LayerHealth:
        return LayerHealth(
            name=name,
            kind=self.kind,
            activation_rms=math.sqrt(self.squares / self.count) if self.count else 0.0,
            gradient_rms=gradient,
            weight_rms=weight,
            dead=None if self.alive is None else float((~self.alive).double().mean()),
            saturated=self.bound / self.count if self.kind in ("tanh", "sigmoid") and self.count else None,
        )


class _Observer(TorchFunctionMode):
    """Sees every layer by hooks, and every activation by the function that computes it, module or not."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.seen: dict[str, _Seen] = {}
        self._names = {module: name for name, module in model.named_modules()}
        self._stack: list[nn.Module] = []
        self._calls: dict[str, int] = {}
        self._made: dict[int, tuple[weakref.ref[Tensor], _Units]] = {}
        self._last: _Units | None = None

    def begin(self) -> None:
        """Begin a batch."""
        self._stack.clear()
        self._calls.clear()
        self._made.clear()
        self._last = None

    def enter(self, module: nn.Module, _inputs: Any) -> None:
        self._stack.append(module)

    def leave(self, module: nn.Module, _inputs: Any, outputs: Any) -> None:
        self._stack.pop()
        value = outputs[0] if isinstance(outputs, tuple) and outputs else outputs
        own = any(parameter is not None for parameter in module._parameters.values())  # noqa: SLF001 - its own alone
        if own and isinstance(value, Tensor) and value.is_floating_point():
            name = self._names[module]
            self._entry(name or "model", type(module).__name__, name).add(value.detach())
        units = _Units.of(module, value) if isinstance(value, Tensor) else None
        if units is not None:
            self._made[id(value)], self._last = (weakref.ref(value), units), units

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = _KINDS.get(func)
        if kind is not None and self._stack and isinstance(result, Tensor):
            module = self._stack[-1]
            name = self._names[module]
            if next(module.children(), None) is not None or any(True for _ in module.parameters(recurse=False)):
                name = f"{name}.{kind}" if name else kind
            again = self._calls[name] = self._calls.get(name, 0) + 1
            label = (name or kind) + ("" if again == 1 else f" #{again}")
            self._entry(label, kind, None).add(result.detach(), self._units(args, kwargs or {}))
        return result

    def _units(self, args: Any, kwargs: Mapping[str, Any]) -> _Units | None:
        """Those of the layer whose values these are, or else of the last one, as in a sum of branches."""
        value = args[0] if args else kwargs.get("input")
        found = self._made.get(id(value))
        return found[1] if found is not None and found[0]() is value else self._last

    def _entry(self, name: str, kind: str, module: str | None) -> _Seen:
        return self.seen.setdefault(name, _Seen(kind, module))


def layer_health(landscape: Landscape, gradient: Tensor) -> tuple[LayerHealth, ...]:
    """Run the model on all data once, and say what each layer with parameters and each activation does.

    Layers that are used several times count as one. Activations inside of fused layers, such as recurrent ones, are
    not seen.

    Args:
        landscape: Whose point and data.
        gradient: ∇L there.
    """
    observer = _Observer(landscape.model)
    with landscape.reading(), torch.no_grad(), _hooked(landscape.model, observer):
        leaves = landscape.leaves(grad=False)
        for _, batch in landscape.batches():
            observer.begin()
            with observer:
                landscape.outputs(leaves, batch)
    slopes, weights = landscape.split(gradient), landscape.split(landscape.theta)
    found = []
    for name, seen in observer.seen.items():
        own = [] if seen.module is None else _own(landscape.model, seen.module, slopes)
        found.append(seen.health(name, _rms([slopes[key] for key in own]), _rms([weights[key] for key in own])))
    return tuple(found)


@contextmanager
def _hooked(model: nn.Module, observer: _Observer) -> Iterator[None]:
    handles = []
    try:
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(observer.enter))
            handles.append(module.register_forward_hook(observer.leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _own(model: nn.Module, module: str, known: Mapping[str, Tensor]) -> list[str]:
    names = [name for name, _ in model.get_submodule(module).named_parameters(recurse=False)]
    full = [f"{module}.{name}" if module else name for name in names]
    return [name for name in full if name in known]


def _rms(parts: list[Tensor]) -> float | None:
    count = sum(part.numel() for part in parts)
    if count == 0:
        return None
    return math.sqrt(math.fsum(float(part.double().square().sum()) for part in parts) / count)

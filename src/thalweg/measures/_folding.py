"""Which batch norms act on what one layer has just made, so that both are one affine map."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, taken

BATCH_NORM = _BatchNorm
AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
AFFINE_CALLS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
# What asks a tensor something and makes no use of its entries.
QUERIES = frozenset({"__get__", "dim", "size", "numel", "stride", "is_floating_point", "is_contiguous", "__len__"})


@dataclass(frozen=True)
class Folding:
    """Pairs of layers and batch norms of one model.

    Attributes:
        norms: Name of the batch norm that is folded into the layer of that name.
        unfolded: Names of batch norms that act on something else than the output of one layer, or that share it.
    """

    norms: dict[str, str]
    unfolded: tuple[str, ...]


def folding(landscape: Landscape) -> Folding:
    """Find the pairs by watching one pass; use inside the landscape's ``reading()``."""
    model = landscape.model
    layers = {name: module for name, module in model.named_modules() if isinstance(module, AFFINE)}
    norms = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    if not norms:
        return Folding({}, ())
    flow = _Flow()
    with torch.no_grad(), flow:
        landscape.objective.outputs(model, first_item(landscape))
    by_weight = {id(module.weight): name for name, module in layers.items()}
    found = {}
    for name, module in norms.items():
        weight = flow.layer_before(module)
        if weight in by_weight:
            found[by_weight[weight]] = name
    return Folding(found, tuple(name for name in norms if name not in found.values()))


def unused_layers(landscape: Landscape) -> set[str]:
    """Return the names of layers whose weights no item's pass makes use of; use inside the landscape's ``reading()``.

    The first item decides for most networks; where it leaves layers out, as one expert of several, all items are seen.
    """
    model = landscape.model
    waiting = {name: _made_from(module) for name, module in model.named_modules() if isinstance(module, AFFINE)}
    for batch in itertools.chain([first_item(landscape)], (batch for _, batch in landscape.batches())):
        flow = _Flow()
        with torch.no_grad(), flow:
            landscape.objective.outputs(model, batch)
        waiting = {name: made for name, made in waiting.items() if not made & flow.seen}
        if not waiting:
            break
    return set(waiting)


def _made_from(module: nn.Module) -> set[int]:
    """Identities of the parameters that the weight of a layer is, or is made of."""
    if parametrize.is_parametrized(module, "weight"):
        return {id(parameter) for parameter in module.get_submodule("parametrizations.weight").parameters()}
    return {id(module.weight)}


def folded_point(landscape: Landscape) -> Tensor:
    r"""Return u with ⟨u, ∇_θ⟩ = ⟨θ', ∇_θ'⟩, θ' being the parameters with batch norm folded into layers.

    Of W' = sW and b' = sb + t, ⟨W', ∇_W'⟩ = ⟨W, ∇_W⟩, and ∇_b' is the gradient by batch norm's own bias, or 1/s of that
    by b.

    Raises:
        ArgumentError: If a parameter of a folded batch norm is one of another module, too.
    """
    model, point = landscape.model, landscape.theta
    with landscape.reading(), torch.no_grad():
        found = folding(landscape)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        every = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
        parts = dict(zip(landscape.layout.names, landscape.layout.views(point), strict=True))
        for layer, norm in found.norms.items():
            module: Any = model.get_submodule(layer)
            batch_norm: Any = model.get_submodule(norm)
            scale, shift = scale_and_shift(batch_norm)
            bias = module.bias
            whole = shift if bias is None else scale * bias.detach().double() + shift
            moved = [
                (parameter, value)
                for parameter, value in ((batch_norm.bias, whole), (bias, torch.where(scale == 0, 0.0, whole / scale)))
                if parameter is not None and names.get(id(parameter)) in parts
            ]
            if any(every[id(p)] > 1 for p in (batch_norm.weight, batch_norm.bias) if p is not None):
                raise ArgumentError(
                    f"landscape: expected a batch norm with parameters of its own to be folded, and {norm} shares them."
                )
            for own in (batch_norm.weight, batch_norm.bias, bias):
                if names.get(id(own)) in parts:
                    parts[names[id(own)]].zero_()
            if moved:
                parameter, value = moved[0]
                parts[names[id(parameter)]].copy_(value)
    return point


def scale_and_shift(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Return s and t of the map x ↦ s x + t that a batch norm is in eval mode, in double precision."""
    return affine_of(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps)


def affine_of(
    mean: Tensor | None, variance: Tensor | None, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Return s and t of x ↦ s x + t from what a batch norm holds; its running statistics are there in eval mode."""
    if mean is None or variance is None:
        raise AssertionError  # a landscape in eval mode refuses such batch norms
    scale = (variance.detach().double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.detach().double()
    shift = -mean.detach().double() * scale
    return scale, shift if bias is None else shift + bias.detach().double()


def first_item(landscape: Landscape) -> Batch:
    """Return the first item of the data as a batch of one, or the first batch where it cannot be cut."""
    _, batch = next(landscape.batches())
    return taken(batch, torch.zeros(1, dtype=torch.long)) if landscape.objective.splits else batch


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among the arguments of a call."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


class _Flow(TorchFunctionMode):
    """Watches which tensors layers make, and who uses them."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[Tensor, int]] = {}  # with the tensors, so that their identities stay theirs
        self.seen: set[int] = set()  # what any operation has taken, by identity
        self._uses: Counter[int] = Counter()
        self._calls: Counter[int] = Counter()
        self._normed: dict[int, list[Tensor]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in QUERIES:
            self._uses.update(id(tensor) for tensor in tensors_in((*args, *options.values())))
        out = func(*args, **options)
        if name not in QUERIES or isinstance(out, Tensor):
            self.seen.update(id(tensor) for tensor in tensors_in((*args, *options.values())))
        if name in AFFINE_CALLS:
            weight = args[1] if len(args) > 1 else options["weight"]
            self._calls[id(weight)] += 1
            # Of a sequence of features, (N, length, features), batch norm takes the positions for its channels.
            if name != "linear" or out.ndim == 2:
                self._made[id(out)] = (out, id(weight))
                self._uses[id(out)] = 0  # of a tensor that had this identity before
        elif name == "batch_norm":
            mean = args[1] if len(args) > 1 else options["running_mean"]
            self._normed.setdefault(id(mean), []).append(args[0] if args else options["input"])
        return out

    def layer_before(self, norm: _BatchNorm) -> int | None:
        """Return the identity of the weight whose output this batch norm, and nothing else, acts on."""
        inputs = self._normed.get(id(norm.running_mean), [])
        if len(inputs) != 1 or id(inputs[0]) not in self._made:
            return None
        tensor, weight = self._made[id(inputs[0])]
        alone = self._uses[id(tensor)] == 1 and self._calls[weight] == 1
        return weight if alone else None

"""Which batch norms act on what one layer has just made, so that both are one affine map."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

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

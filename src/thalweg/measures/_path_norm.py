"""The sum over all paths through a network of the product of the weights along them."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode, resolve_name

from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.estimate import Cost, Estimate
from thalweg.landscape import Landscape
from thalweg.landscape._batches import map_tensors
from thalweg.landscape._held import held
from thalweg.measures._folding import (
    AFFINE_CALLS,
    BATCH_NORM,
    QUERIES,
    Folding,
    affine_of,
    first_item,
    folding,
    tensors_in,
)
from thalweg.operators._require import require_landscape

# Zero at zero, and of slope at most about 1 (1.13 for GELU): what a path's weights are multiplied by is at most this.
_ACTIVATIONS = frozenset(
    {"relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "celu", "tanh", "tanh_", "hardtanh", "gelu"}
    | {"silu", "mish", "softsign", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}
)
# Sums, averages, maxima, rearrangements and zeros: no parameters, and nothing negative comes out of nothing negative.
_PASSED = frozenset(
    {"add", "add_", "__add__", "__radd__", "__iadd__", "sum", "mean", "amax", "max_pool1d", "max_pool2d", "max_pool3d"}
    | {"avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
    | {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"}
    | {
        "flatten",
        "view",
        "reshape",
        "permute",
        "transpose",
        "movedim",
        "squeeze",
        "unsqueeze",
        "unflatten",
        "contiguous",
    }
    | {"cat", "concat", "stack", "split", "chunk", "narrow", "pad", "clone", "expand", "__getitem__", "to"}
    | {"zeros", "zeros_like", "new_zeros"}
)
_PRODUCTS = frozenset({"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"})
_MATRIX_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "bmm"})


def path_norm(landscape: Landscape, p: Literal[1, 2] = 2, *, root: bool = False) -> Estimate:
    r"""Return the path norm of a network (Neyshabur, Tomioka & Srebro, 2015), to the power p.

    .. math:: \sum_{\text{paths}} \prod_{e \in \text{path}} |\theta_e|^p = \sum_k f_{|\theta|^p}(1, \dots, 1)_k

    over the paths from every input, and from every bias, to every output k: the outputs of the network with its
    parameters to the power p, fed with ones. It is what Jiang et al. (2020) report for p = 2. It does not change when a
    ReLU unit's incoming weights grow and its outgoing ones shrink.

    Activations count as the identity, whatever their saturation (those with φ(0) = 0 and slopes up to about 1: ReLU,
    leaky ReLU, ELU, tanh, GELU, SiLU, …). Batch norm in eval mode is affine, and is folded into the layer whose output
    it alone acts on before powers are taken; elsewhere it is a layer of its own. Averages and maxima that pool, sums
    at shortcuts, act as they do in the network; plain numbers that multiply are weights.

    Valid for: feed-forward networks of linear layers, convolutions and such operations, on inputs of real numbers.
    Attention, gates, recurrent cells and normalisations by the data themselves have no paths of weights: refused.

    Cost: one forward pass of one item in double precision (two with batch norm).

    Args:
        landscape: In eval mode; all parameters of its model count, selected or not.
        p: 2 or 1.
        root: Whether to return the p-th root.

    Raises:
        ArgumentError: If ``p`` is another number, the landscape is in train mode, or weights are parametrised.
        NonFiniteError: If the sum overflows.
        ObjectiveError: If the network has an operation without paths, or its output is no tensor.

    Example:
        >>> import thalweg as tw
        >>> layers = torch.nn.Linear(2, 2, bias=False), torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False)
        >>> model = torch.nn.Sequential(*layers)
        >>> with torch.no_grad():
        ...     _ = model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        ...     _ = model[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(torch.ones(1, 2), torch.ones(1, 1))])
        >>> path_norm(landscape).value, path_norm(landscape, 1).value  # 1 + 4 + 9 + 16, 1 + 2 + 3 + 4
        (30.0, 10.0)
    """
    require_landscape(landscape)
    if isinstance(p, bool) or p not in (1, 2):
        raise ArgumentError(f"p: expected 1 or 2, got {p!r}.")
    require_eval(landscape)
    started = time.perf_counter()
    with landscape.reading():
        total = _through(landscape, folding(landscape), int(p))
    if not math.isfinite(total):
        raise NonFiniteError(f"path norm: expected a finite sum over paths, got {total}: weights are too large or NaN.")
    cost = Cost(losses=1, seconds=time.perf_counter() - started)
    return Estimate(total ** (1 / p) if root else total, 0.0, cost=cost, provenance=landscape.provenance())


def require_eval(landscape: Landscape) -> None:
    """Refuse landscapes in train mode, where batch norm is no affine map.

    Raises:
        ArgumentError: If it is one.
    """
    if landscape.mode != "eval":
        raise ArgumentError(
            "landscape: expected one in eval mode, where batch norm is part of the weights, got mode='train'."
        )


def _through(landscape: Landscape, pairs: Folding, p: int) -> float:
    model = landscape.model
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            raise ArgumentError(
                f"landscape: expected plain weights for a path norm, and those of {name or 'the model'} are "
                "parametrised. Make them plain by torch.nn.utils.parametrize.remove_parametrizations."
            )
    norms = {id(own) for module in model.modules() if isinstance(module, BATCH_NORM) for own in module.parameters()}
    powers = {
        # A batch norm's own are needed as they are, for the affine map that it is.
        name: tensor.detach().double() if id(tensor) in norms else tensor.detach().double().abs() ** p
        for name, tensor in model.named_parameters()
    }
    folded: dict[int, Tensor | None] = {}
    for layer, norm in pairs.norms.items():
        # The bias moves behind the batch norm, where it is added to its shift before powers are taken.
        bias = model.get_submodule(layer).bias
        folded[id(model.get_submodule(norm).running_mean)] = (
            bias.detach().double() if isinstance(bias, Tensor) else None
        )
        if isinstance(bias, Tensor):
            powers[f"{layer}.bias"] = torch.zeros_like(bias, dtype=torch.float64)
    batch = map_tensors(_ones, first_item(landscape))
    weights, constants = ({id(tensor) for tensor in tensors} for tensors in (powers.values(), model.buffers()))
    with held(model, powers), torch.no_grad(), _Paths(p, folded, weights, constants):
        out = landscape.objective.outputs(model, batch)
    if not isinstance(out, Tensor):
        raise ObjectiveError(f"path norm: expected the model to return a tensor, got {type(out).__name__}.")
    return float(out[0].sum()) if out.ndim else float(out)


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor, dtype=torch.float64) if tensor.is_floating_point() else tensor


class _Paths(TorchFunctionMode):
    """Runs a network as the linear one of its paths, and refuses what is none.

    Args:
        p: The power of the weights.
        folded: For the identity of a batch norm's running mean the bias of the layer that it is folded into.
        weights: Identities of the powers that layers multiply by.
        constants: Identities of the buffers, which have no powers.
    """

    def __init__(self, p: int, folded: dict[int, Tensor | None], weights: set[int], constants: set[int]) -> None:
        super().__init__()
        self._p, self._folded, self._weights, self._constants = p, folded, weights, constants

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options, name = kwargs or {}, getattr(func, "__name__", "")
        if name in _ACTIVATIONS:
            return args[0] if args else options["input"]
        if name == "batch_norm":
            return self._batch_norm(*args, **options)
        if name in QUERIES or self._acts_alike(name, args, options):
            return func(*args, **options)
        if name in _PRODUCTS and not options and isinstance(args[1], (int, float)):
            return args[0] * abs(args[1]) ** self._p
        raise ObjectiveError(
            f"path norm: expected a feed-forward network of linear layers, convolutions, sums and pooling, and "
            f"{resolve_name(func) or name} is none of these: it has no paths of weights."
        )

    def _acts_alike(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Say whether an operation does to sums over paths what it does in the network."""
        held = [id(tensor) in self._weights for tensor in tensors_in(args)]
        if any(id(tensor) in self._constants for tensor in tensors_in((*args, *options.values()))):
            return False
        if name in AFFINE_CALLS:
            return id(args[1] if len(args) > 1 else options["weight"]) in self._weights
        if name in _PRODUCTS or name in _MATRIX_PRODUCTS:
            # Of two that flow through the network the product is no path; of one and a parameter it is.
            return len(held) == 2 and sum(held) == 1
        # A number that is added is a bias that no parameter holds.
        return name in _PASSED and ("add" not in name or (len(held) == 2 and "alpha" not in options))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        del training, momentum
        scale, shift = affine_of(running_mean, running_var, weight, bias, eps)
        before = self._folded.get(id(running_mean))
        if before is not None:
            shift = shift + scale * before
        along = [1, -1] + [1] * (x.ndim - 2)
        return x * (scale.abs() ** self._p).view(along) + (shift.abs() ** self._p).view(along)

"""Follow a network's operations, each with the module that it belongs to."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx
from torch.utils import _pytree as pytree

from thalweg.errors import ArgumentError, ThalwegError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._program import Program, run


@dataclass(frozen=True)
class Trace:
    """A network as a graph of PyTorch's elementary operations.

    Attributes:
        graph: Its inputs are the parameters and buffers, in the order of ``names``; the batch is part of it.
        names: Of the inputs.
        modules: The path of the module that an operation belongs to, by the operation's name.
    """

    graph: fx.GraphModule
    names: tuple[str, ...]
    modules: dict[str, str]

    def inputs(self) -> dict[str, fx.Node]:
        """Return the node of each parameter and buffer."""
        return dict(zip(self.names, self.graph.graph.find_nodes(op="placeholder"), strict=True))


def trace(landscape: Landscape, batch: Batch) -> Trace:
    """Trace the model on one batch; use inside ``landscape.reading()``.

    The graph holds the control flow that this batch took. Decisions on values that depend on the parameters
    cannot be followed.

    Raises:
        ArgumentError: If the model cannot be traced; the message says where tracing stopped.
    """
    tensors = values(landscape)
    program = Program(landscape.model, landscape.objective)
    entered: list[tuple[int, str]] = []
    open_modules: list[str] = []

    def arrive(path: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            open_modules.append(path)
            entered.append((_operations(), path))

        return note

    def leave(*_: Any) -> None:
        open_modules.pop()
        entered.append((_operations(), open_modules[-1] if open_modules else ""))

    def forward(*given: Tensor) -> list[Tensor]:
        outputs = run(program, dict(zip(tensors, given, strict=True)), batch)
        return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]

    hooks = []
    for path, module in landscape.model.named_modules():
        hooks += [module.register_forward_pre_hook(arrive(path)), module.register_forward_hook(leave)]
    try:
        graph = make_fx(forward)(*tensors.values())
    except ThalwegError:
        raise
    except Exception as error:
        where = open_modules[-1] if open_modules else ""
        kind = type(landscape.model.get_submodule(where)).__name__
        reason = (str(error).splitlines() or [""])[0]
        raise ArgumentError(
            f"landscape: expected a model whose operations can be traced, but tracing stopped in "
            f"{where or 'the model itself'} ({kind}): {type(error).__name__}: {reason}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    starts, paths = [start for start, _ in entered], [path for _, path in entered]
    modules = dict[str, str]()
    for place, node in enumerate(graph.graph.nodes):
        found = bisect_right(starts, place)
        modules[node.name] = paths[found - 1] if found else ""
    return Trace(graph, tuple(tensors), modules)


def movable(landscape: Landscape) -> list[str]:
    """Return the names of what may be permuted: parameters in θ, and statistics that are saved with the model.

    Buffers that are not saved, as positions and masks, are constants of the architecture.
    """
    saved = landscape.model.state_dict().keys()
    return [
        *landscape.layout.names,
        *(name for name, buffer in landscape.buffers.items() if name in saved and buffer.is_floating_point()),
    ]


def coarsest(found: Trace) -> float:
    """Return the unit roundoff of the coarsest type that the model computes in."""
    kept = [node.meta.get("val") for node in found.graph.graph.nodes]
    types = {value.dtype for value in kept if isinstance(value, Tensor) and value.is_floating_point()}
    return max((float(torch.finfo(kind).eps) for kind in types), default=0.0)


def values(landscape: Landscape) -> dict[str, Tensor]:
    """Return all parameters and buffers of a landscape by name, those outside of θ as the model has them."""
    parameters = {
        name: parameter.detach().to(landscape.space.device) for name, parameter in landscape.model.named_parameters()
    }
    own = dict(zip(landscape.layout.names, landscape.leaves(), strict=True))
    return {**parameters, **own, **landscape.buffers}


def _operations() -> int:
    mode = get_proxy_mode()
    return 0 if mode is None else len(mode.tracer.graph.nodes)

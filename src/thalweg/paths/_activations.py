"""What the layers of a traced network read and write, batch by batch."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from thalweg.landscape import Landscape
from thalweg.paths._contractions import CONTRACTIONS
from thalweg.paths._trace import Trace, trace, values

aten = torch.ops.aten
_MOVES = (aten.t, aten.transpose, aten.permute, aten.view, aten.detach, aten.clone, aten._to_copy)  # noqa: SLF001 - names of operations


class Recorder(fx.Interpreter):
    """Runs a graph and keeps some of its values; may stop when it has them."""

    def __init__(self, graph: fx.GraphModule, keep: set[str], stop: bool) -> None:
        super().__init__(graph)
        self.keep, self.stop, self.kept = keep, stop, dict[str, Tensor]()

    def run_node(self, n: fx.Node) -> Any:
        """Run one operation."""
        found = super().run_node(n)
        if n.name in self.keep:
            # A copy, since the next operation may write into it.
            self.kept[n.name] = found.detach().clone()
            if self.stop and len(self.kept) == len(self.keep):
                raise _Complete
        return found


class _Complete(Exception):  # noqa: N818 - no error
    """All values that are asked for are there."""


def record(found: Trace, tensors: Mapping[str, Tensor], keep: set[str], *, stop: bool = False) -> dict[str, Tensor]:
    """Return values of a traced network with other parameters and buffers; use inside ``landscape.reading()``."""
    runner = Recorder(found.graph, keep, stop)
    # Each tensor is a copy, since the model may write into its buffers.
    with torch.no_grad(), contextlib.suppress(_Complete):
        runner.run(*(tensors[name].clone() for name in found.names), enable_io_processing=False)
    return runner.kept


@dataclass(frozen=True)
class AffineLayer:
    """A product with a parameter.

    Attributes:
        output: Name of the operation that gives the preactivations: the product, or the sum with the bias.
        reads: Name of what it reads.
        weight: Name of the parameter.
        weight_axis: Which of the parameter's axes the output's units are on.
        bias: Name of what is added, if that is a parameter.
        axis: Which axis of the output its units are on: with one of rows or items before it, the second;
            the last where more come before.
    """

    output: str
    reads: str
    weight: str
    weight_axis: int
    bias: str | None
    axis: int = 1


def affine_layers(found: Trace) -> list[AffineLayer]:
    """List the linear layers and convolutions in the order in which they run, whose parameters nothing else uses."""
    names = {node: name for name, node in found.inputs().items()}
    out = list[AffineLayer]()
    for node in found.graph.graph.nodes:
        kind = getattr(node.target, "overloadpacket", None)
        if kind is aten.convolution and not node.args[6]:
            data, weight, bias = node.args[:3]
            turned = False
        elif kind is aten.addmm:
            bias, data, weight = node.args[:3]
            turned = True
        elif kind is aten.mm:
            (data, weight), bias, turned = node.args[:2], None, True
        else:
            continue
        # Of a product with a parameter itself, the outputs are on the last axis; with its transpose, on the first.
        if turned and weight.op == "call_function" and weight.target is aten.t.default:
            weight, turned = weight.args[0], False
        if weight not in names or not _once(weight):
            continue
        output = node
        if kind is aten.mm:
            output, bias = _with_bias(node)
        added = names[bias] if bias in names and _once(bias) else None
        # Rows or items come before the units, and pixels behind them.
        axis = 1 if kind is aten.convolution else output.meta["val"].ndim - 1
        out.append(AffineLayer(output.name, data.name, names[weight], int(turned), added, axis))
    return out


def _with_bias(product: fx.Node) -> tuple[fx.Node, fx.Node | None]:
    """Follow a product whose bias is added afterwards, as that of data which do not lie in one piece.

    Returns:
        The sum and the bias; the product and ``None`` where nothing of the kind happens.
    """
    node, units = product, product.meta["val"].shape[-1]
    while len(node.users) == 1:
        (user,) = node.users
        kind = getattr(user.target, "overloadpacket", None)
        if kind in (aten.view, aten._unsafe_view) and user.meta["val"].shape[-1] == units:  # noqa: SLF001 - a name
            node = user
            continue
        others = [other for other in user.args[:2] if other is not node]
        if kind in (aten.add, aten.add_) and len(others) == 1 and not user.kwargs:
            (other,) = others
            if isinstance(other, fx.Node) and other.op == "placeholder" and other.meta["val"].shape == (units,):
                return user, other
        break
    return product, None


def _once(node: fx.Node) -> bool:
    return len(node.users) == 1 and all(
        len(user.users) == 1 or user.target is not aten.t.default for user in node.users
    )


def layers(found: Trace) -> list[tuple[str, str, str]]:
    """List the products with a parameter in the order in which they run.

    Returns:
        For each the operation's name, that of what it reads, and the parameter's.
    """
    names = {node.name: name for name, node in found.inputs().items()}
    out = list[tuple[str, str, str]]()
    for node in found.graph.graph.nodes:
        if getattr(node.target, "overloadpacket", None) not in CONTRACTIONS:
            continue
        added = node.target.overloadpacket in (aten.addmm, aten.baddbmm, aten.addmv)
        pair = node.args[1:3] if added else node.args[:2]
        for data, weight in (pair, pair[::-1]):
            origin = weight
            while origin.op == "call_function" and getattr(origin.target, "overloadpacket", None) in _MOVES:
                origin = origin.args[0]
            if origin.name in names:
                out.append((node.name, data.name, names[origin.name]))
                break
    return out


def over_batches(landscape: Landscape) -> Iterator[Trace]:
    """Trace the model on each batch; use inside ``landscape.reading()``."""
    for _, batch in landscape.batches():
        yield trace(landscape, batch)


def standing(landscape: Landscape) -> dict[str, Tensor]:
    """Return the values of a landscape that its graphs are run with."""
    return {name: value.detach() for name, value in values(landscape).items()}

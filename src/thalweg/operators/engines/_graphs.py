"""A form linearised on one micro-batch: a graph that multiplies by going backward, as often as it is asked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import gradients_of
from thalweg.operators._form import Congruence, Form, Leaves, SecondDerivative, Values
from thalweg.operators.engines._convolution import linear_in_cotangents
from thalweg.operators.engines._explained import explained

Parts = Sequence[Tensor | None]


class GradientGraph:
    r"""The gradient of a scalar s, kept with its graph: :math:`\nabla^2 s\, v = \nabla(v^\top \nabla s)`.

    Only the parts that move are held: where s is linear, the gradient has no graph and the curvature is zero.
    """

    def __init__(self, form: SecondDerivative, leaves: Leaves, batch: Batch) -> None:
        self._leaves = leaves
        value = form.scalar(leaves, batch)
        self.values: Values = (value,)
        parts = gradients_of(value, leaves, create_graph=True)
        self._active, self._gradient = _moving(parts)

    def apply(self, tangents: list[Tensor], *, batched: bool = False) -> Parts:
        """Multiply one tangent, a tensor a leaf; with ``batched`` several, stacked along a first axis."""
        chosen = [tangents[i] for i in self._active]
        try:
            return _backward(self._gradient, self._leaves, chosen, batched)
        except RuntimeError as error:
            raise explained(error) from error


class JacobianGraph:
    r"""Values y, and :math:`J^\top u` as a linear function of u, whose derivative along v is J v.

    Both are kept with their graphs, so that neither J v nor its image under :math:`J^\top` runs the model again.
    """

    def __init__(self, form: Congruence, leaves: Leaves, batch: Batch) -> None:
        self._leaves = leaves
        with linear_in_cotangents():
            self.values = form.values(leaves, batch)
        self._middle = form.middle(tuple(value.detach() for value in self.values), batch)
        self._places, self._values = _moving(self.values)
        self._duals = [torch.zeros_like(value).requires_grad_() for value in self._values]
        parts = _backward(self._values, leaves, self._duals, False, create_graph=True)
        self._active, self._transposed = _moving(parts)

    def apply(self, tangents: list[Tensor], *, batched: bool = False) -> Parts:
        """Multiply one tangent, a tensor a leaf; with ``batched`` several, stacked along a first axis."""
        chosen = [tangents[i] for i in self._active]
        try:
            pushed = _backward(self._transposed, self._duals, chosen, batched)
            between = torch.func.vmap(self._between) if batched else self._between
            count = (len(chosen[0]),) if batched and chosen else ()
            moved = [d.new_zeros(count + d.shape) if p is None else p for d, p in zip(self._duals, pushed, strict=True)]
            return _backward(self._values, self._leaves, between(*moved) if moved else (), batched)
        except RuntimeError as error:
            raise explained(error) from error

    def _between(self, *pushed: Tensor) -> Values:
        """Multiply with M; values that do not move have no tangent, and what falls on them leads nowhere."""
        full = [torch.zeros_like(value) for value in self.values]
        for place, part in zip(self._places, pushed, strict=True):
            full[place] = part
        image = self._middle(tuple(full))
        return tuple(image[place] for place in self._places)


Graph = GradientGraph | JacobianGraph


def linearise(form: Form, landscape: Landscape, batch: Batch) -> Graph:
    """Build the graph of one micro-batch; use inside :meth:`Landscape.reading`."""
    leaves = landscape.leaves()
    if isinstance(form, SecondDerivative):
        return GradientGraph(form, leaves, batch)
    return JacobianGraph(form, leaves, batch)


def _moving(parts: Sequence[Tensor | None]) -> tuple[list[int], list[Tensor]]:
    found = [(i, part) for i, part in enumerate(parts) if part is not None and part.requires_grad]
    return [i for i, _ in found], [part for _, part in found]


def _backward(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    batched: bool,
    *,
    create_graph: bool = False,
) -> Parts:
    if not outputs:
        return [None] * len(inputs)
    typed = [weight.to(output.dtype) for weight, output in zip(weights, outputs, strict=True)]
    return torch.autograd.grad(
        outputs,
        inputs,
        typed,
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
        is_grads_batched=batched,
    )

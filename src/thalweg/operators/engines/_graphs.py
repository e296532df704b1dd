"""A form linearised on one micro-batch: a graph that multiplies by going backward, as often as it is asked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import backward, edges, gradients_of
from thalweg.operators._form import Congruence, Form, Leaves, SecondDerivative, Values
from thalweg.operators.engines._convolution import LINEAR_CONVOLUTIONS
from thalweg.operators.engines._elementary import elementary
from thalweg.operators.engines._explained import explained
from thalweg.operators.engines._listening import Listening
from thalweg.operators.engines._twice import twice_backward

Parts = Sequence[Tensor | None]


class GradientGraph:
    r"""The gradient of a scalar s, kept with its graph: :math:`\nabla^2 s\, v = \nabla(v^\top \nabla s)`.

    Only the parts that move are held: where s is linear, the gradient has no graph and the curvature is zero.
    """

    def __init__(self, form: SecondDerivative, leaves: Leaves, batch: Batch) -> None:
        value = form.scalar(leaves, batch)
        self.values: Values = (value,)
        parts = gradients_of(value, leaves, create_graph=True)
        self._active, gradient = _moving(parts)
        self._pull = _Pullback(gradient, leaves)

    @property
    def silent(self) -> bool:
        """Whether it is known by now that products run PyTorch's kernels and ours, and nothing of the model's."""
        return self._pull.silent

    def apply(self, tangents: list[Tensor], *, batched: bool = False) -> Parts:
        """Multiply one tangent, a tensor a leaf; with ``batched`` several, stacked along a first axis."""
        chosen = [tangents[i] for i in self._active]
        try:
            return self._pull(chosen, batched=batched)
        except RuntimeError as error:
            raise explained(error) from error


class JacobianGraph:
    r"""Values y, and :math:`J^\top u` as a linear function of u, whose derivative along v is J v.

    Both are kept with their graphs, so that neither J v nor its image under :math:`J^\top` runs the model again.
    """

    def __init__(self, form: Congruence, leaves: Leaves, batch: Batch) -> None:
        self.values = form.values(leaves, batch)
        self._middle = form.middle(tuple(value.detach() for value in self.values), batch)
        self._places, moving = _moving(self.values)
        self._duals = [torch.zeros_like(value).requires_grad_() for value in moving]
        self._pull = _Pullback(moving, leaves)
        self._active, transposed = _moving(self._pull(self._duals, create_graph=True))
        self._push = _Pullback(transposed, self._duals)

    @property
    def silent(self) -> bool:
        """Never: the middle may ask the objective."""
        return False

    def apply(self, tangents: list[Tensor], *, batched: bool = False) -> Parts:
        """Multiply one tangent, a tensor a leaf; with ``batched`` several, stacked along a first axis."""
        chosen = [tangents[i] for i in self._active]
        try:
            pushed = self._push(chosen, batched=batched)
            between = torch.func.vmap(self._between) if batched else self._between
            count = (len(chosen[0]),) if batched and chosen else ()
            moved = [d.new_zeros(count + d.shape) if p is None else p for d, p in zip(self._duals, pushed, strict=True)]
            return self._pull(between(*moved) if moved else (), batched=batched)
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


@contextmanager
def differentiable(form: Form) -> Iterator[None]:
    """Inside, graphs of the form can be built and multiplied with: gradient checkpointing runs the model in both."""
    linear = not isinstance(form, SecondDerivative)
    with elementary({**twice_backward(linear=linear), **(LINEAR_CONVOLUTIONS if linear else {})}):
        yield


def linearise(form: Form, landscape: Landscape, batch: Batch) -> Graph:
    """Build the graph of one micro-batch; use inside :meth:`Landscape.reading` and :func:`differentiable`."""
    leaves = landscape.leaves()
    if isinstance(form, SecondDerivative):
        return GradientGraph(form, leaves, batch)
    return JacobianGraph(form, leaves, batch)


def _moving(parts: Sequence[Tensor | None]) -> tuple[list[int], list[Tensor]]:
    found = [(i, part) for i, part in enumerate(parts) if part is not None and part.requires_grad]
    return [i for i, _ in found], [part for _, part in found]


class _Pullback:
    """Weights on some tensors, pulled back through their graph to others as often as asked.

    Args:
        outputs: What the weights lie on.
        inputs: What they are pulled back to.
    """

    def __init__(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
        # Found once: it takes longer than it looks where parameters are many and small.
        self._outputs, self._inputs = edges(outputs), edges(inputs)
        # Before edges had an owner (torch 2.6), one that leads to a function of ours did not keep it alive.
        self._owners = [] if "ownership_token" in GradientEdge._fields else list(outputs)
        self._kinds = [output.dtype for output in outputs]
        self._alike = len(set(self._kinds)) == 1
        self._listened = False
        self.silent = not self._outputs

    def __call__(self, weights: Sequence[Tensor], *, batched: bool = False, create_graph: bool = False) -> Parts:
        """Pull back one weight an output; with ``batched`` several, stacked along a first axis."""
        if not self._outputs:
            return [None] * len(self._inputs)
        if not (self._alike and weights[0].dtype == self._kinds[0]):
            weights = [weight.to(kind) for weight, kind in zip(weights, self._kinds, strict=True)]
        if self._listened or create_graph:
            return self._backward(weights, batched=batched, create_graph=create_graph)
        with Listening() as listening:
            found = self._backward(weights, batched=batched)
        self._listened, self.silent = True, not listening.heard
        return found

    def _backward(self, weights: Sequence[Tensor], *, batched: bool, create_graph: bool = False) -> Parts:
        return backward(
            self._outputs, self._inputs, weights, retain_graph=True, create_graph=create_graph, batched=batched
        )

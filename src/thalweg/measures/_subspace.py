"""Loss and gradient within a subspace θ₀ + P z, in its coordinates."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.nn import functional

from thalweg.descent import Minibatches
from thalweg.descent._follow import Slope
from thalweg.landscape import Landscape
from thalweg.landscape._gradients import edges
from thalweg.measures._projection import Projection
from thalweg.measures._projection_fastfood import Fastfood


class Subspace:
    r"""The slope of a landscape in the coordinates of a subspace, :math:`\nabla_z L(\theta_0 + Pz) = P^\top \nabla L`.

    One vector holds the point of all steps, and the leaves are views of it, as they are in an optimizer of PyTorch; the
    model holds them from the first step to the last. Copies, and putting them in place anew, would take a tenth
    of a step of a small network each.

    Args:
        landscape: Where.
        projection: P.
        minibatches: Of the landscape, to take one a step; ``None`` for the gradient on all data.
    """

    def __init__(self, landscape: Landscape, projection: Projection, minibatches: Minibatches | None = None) -> None:
        self._landscape, self._projection, self._minibatches = landscape, projection, minibatches
        beyond = projection.padded - projection.size if isinstance(projection, Fastfood) else 0
        self._origin = functional.pad(landscape.theta, (0, beyond))
        # What is padded stays zero in the gradient, and is never looked at in the point.
        self._padded, self._slope = self._origin.clone(), torch.zeros_like(self._origin)
        self._theta, self._gradient = (vector[: projection.size] for vector in (self._padded, self._slope))

    @property
    def start(self) -> Float[Tensor, " d"]:
        """The coordinates of θ₀, zeros."""
        return self._origin.new_zeros(self._projection.dimension)

    def point(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return θ₀ + P z."""
        return self._landscape.theta + self._projection.forward(z)

    @contextmanager
    def walking(self) -> Iterator[Slope]:
        """Give the slope for the length of a walk; use inside the landscape's ``reading()``."""
        landscape = self._landscape
        kinds = {leaf.dtype for leaf in landscape.leaves(grad=False)}
        # Batch norm in train mode needs buffers of its own to write into, and autocast a place to be in.
        direct = kinds == {self._theta.dtype} and landscape.mode == "eval" and landscape.autocast is None
        if self._minibatches is None or not direct:
            yield self._anew
            return
        leaves = [view.detach().requires_grad_() for view in landscape.layout.views(self._theta)]
        with landscape.held(leaves):
            yield partial(self._held, leaves, edges(leaves))

    def _held(self, leaves: list[Tensor], places: list[GradientEdge], z: Tensor) -> tuple[float, Tensor]:
        assert self._minibatches is not None  # noqa: S101 - walking() looks
        self._move(z)
        value, _ = self._minibatches.slope_of(leaves, self._theta, places=places, out=self._gradient)
        return value, self._pull()

    def _anew(self, z: Tensor) -> tuple[float, Tensor]:
        self._move(z)
        evaluate = self._landscape.loss_and_gradient if self._minibatches is None else self._minibatches.slope
        value, gradient = evaluate(self._theta)
        self._gradient.copy_(gradient)
        return value, self._pull()

    def _move(self, z: Tensor) -> None:
        with torch.no_grad():
            if isinstance(self._projection, Fastfood):
                self._projection.forward_onto(z, self._origin, self._padded)
            else:
                torch.add(self._origin, self._projection.forward(z), out=self._padded)

    def _pull(self) -> Tensor:
        with torch.no_grad():
            if isinstance(self._projection, Fastfood):
                return self._projection.adjoint_of_padded(self._slope)
            return self._projection.adjoint(self._gradient)

"""Loss and gradient within a subspace θ₀ + P z, in its coordinates."""

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches
from thalweg.landscape import Landscape
from thalweg.measures._projection import Projection


class Subspace:
    r"""The slope of a landscape in the coordinates of a subspace, :math:`\nabla_z L(\theta_0 + Pz) = P^\top \nabla L`.

    Use :meth:`slope` inside the landscape's ``reading()``. One vector holds the point of all steps, and the leaves are
    views of it, as they are in an optimizer of PyTorch: copies would take a tenth of a step of a small network.

    Args:
        landscape: Where.
        projection: P.
        minibatches: Of the landscape, to take one a step; ``None`` for the gradient on all data.
    """

    def __init__(self, landscape: Landscape, projection: Projection, minibatches: Minibatches | None = None) -> None:
        self._landscape, self._projection, self._minibatches = landscape, projection, minibatches
        self._origin, self._theta = landscape.theta, landscape.theta
        typed = all(leaf.dtype == self._theta.dtype for leaf in landscape.leaves(grad=False))
        views = landscape.layout.views(self._theta)
        self._leaves = [view.detach().requires_grad_() for view in views] if typed else None

    @property
    def start(self) -> Float[Tensor, " d"]:
        """The coordinates of θ₀, zeros."""
        return self._origin.new_zeros(self._projection.dimension)

    def point(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return θ₀ + P z."""
        return self._origin + self._projection.forward(z)

    def slope(self, z: Float[Tensor, " d"]) -> tuple[float, Float[Tensor, " d"]]:
        """Return loss and gradient at z, on the next minibatch or on all data; raises as the landscape does."""
        landscape, theta = self._landscape, self._theta
        with torch.no_grad():
            torch.add(self._origin, self._projection.forward(z), out=theta)
        if self._minibatches is None:
            value, gradient = landscape.loss_and_gradient(theta)
        else:
            leaves = landscape.leaves(theta) if self._leaves is None else self._leaves
            value, gradient = self._minibatches.slope_of(leaves, theta)
        with torch.no_grad():
            return value, self._projection.adjoint(gradient)

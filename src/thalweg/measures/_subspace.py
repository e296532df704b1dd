"""Loss and gradient within a subspace θ₀ + P z, in its coordinates."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from thalweg.descent import Minibatches, standing
from thalweg.descent._follow import Slope
from thalweg.landscape import Landscape
from thalweg.measures._projection import Projection
from thalweg.measures._projection_fastfood import Fastfood


class Subspace:
    r"""The slope of a landscape in the coordinates of a subspace, :math:`\nabla_z L(\theta_0 + Pz) = P^\top \nabla L`.

    One vector holds the point of all steps, and the model holds views of it, as :func:`thalweg.descent.standing` does.

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
        with standing(self._landscape, self._theta, self._gradient, self._minibatches) as evaluate:

            def slope(z: Tensor) -> tuple[float, Tensor]:
                self._move(z)
                value = evaluate()
                return value, self._pull()

            yield slope

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

"""A random subspace by an orthonormal basis that is held."""

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.precision import uncast
from thalweg.vectors import VectorSpace


class Dense:
    """Orthonormal columns whose span is uniformly distributed; for checks and for small P × d.

    Args:
        space: Of the parameter vectors.
        dimension: d.
        generator: Of the draw.
    """

    def __init__(self, space: VectorSpace, dimension: int, generator: torch.Generator | None) -> None:
        self.size, self.dimension = space.size, dimension
        with uncast(space.device):
            basis, factor = torch.linalg.qr(space.randn(generator, dimension))
        # Signs that make the factorisation unique make the basis uniformly distributed, too (Mezzadri, 2007).
        self._rows = (basis * factor.diagonal().sign()).mT.contiguous()

    def forward(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return P z."""
        with uncast(z.device):
            image: Tensor = z @ self._rows
        return image

    def adjoint(self, g: Float[Tensor, " p"]) -> Float[Tensor, " d"]:
        """Return Pᵀg."""
        with uncast(g.device):
            image: Tensor = self._rows @ g
        return image

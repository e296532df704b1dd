"""The Hessian of a landscape."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Provenance
from thalweg.landscape import Landscape
from thalweg.operators._operator import checked_product, dense
from thalweg.operators.engines import DoubleBackward
from thalweg.vectors import VectorSpace

Engine = Literal["auto", "double-backward"]


class Hessian:
    """The matrix of second derivatives of a landscape, known by its products; made by :func:`hessian`."""

    def __init__(self, landscape: Landscape, engine: DoubleBackward) -> None:
        self._landscape = landscape
        self._engine = engine
        self._matvecs = 0

    @property
    def landscape(self) -> Landscape:
        """The landscape that it belongs to."""
        return self._landscape

    @property
    def engine(self) -> str:
        """The way that products are computed."""
        return self._engine.name

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._landscape.size, self._landscape.size

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors."""
        return self._landscape.space.dtype

    @property
    def device(self) -> torch.device:
        """Where the vectors live."""
        return self._landscape.space.device

    @property
    def space(self) -> VectorSpace:
        """The space that it acts on."""
        return self._landscape.space

    @property
    def matvecs(self) -> int:
        """Products so far, a block of k vectors counting k."""
        return self._matvecs

    @property
    def provenance(self) -> Provenance:
        """How products are computed."""
        return self._landscape.provenance(self._engine.name)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k), columns being vectors."""
        product = checked_product(self, vectors, self._engine.product)
        self._matvecs += 1 if vectors.ndim == 1 else vectors.shape[1]
        return product

    def dense(self, *, limit: int = 20_000) -> Float[Tensor, "p p"]:
        """Return the whole matrix, see :func:`thalweg.dense`."""
        return dense(self, limit=limit)

    def __repr__(self) -> str:
        return f"Hessian of {self._landscape!r}, {self.engine}"


def hessian(landscape: Landscape, *, engine: Engine = "auto", memory: int | Literal["auto"] = "auto") -> Hessian:
    r"""Return the Hessian :math:`H = \nabla^2 L(\theta)` of a landscape as an operator.

    H is the almost-everywhere Hessian that automatic differentiation defines: at the kinks of a piecewise linear
    network it does not contain the curvature that finite differences see.

    Cost of a product: a backward pass through the graph of the gradient, about 1.5 to 2.5 gradients while graphs
    are kept, about one gradient more where they have to be rebuilt.

    Args:
        landscape: Where to differentiate; it stays what it is.
        engine: "double-backward", or "auto", which chooses it.
        memory: Bytes that kept graphs may hold, or "auto" for half of what is free at the first product; 0
            rebuilds them for every product.

    Raises:
        ArgumentError: If ``engine`` or ``memory`` has a wrong value.

    Example:
        >>> import thalweg as tw
        >>> a, b = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
        >>> model = torch.nn.Sequential(a, b)
        >>> for layer in model:
        ...     _ = torch.nn.init.ones_(layer.weight)
        >>> one = torch.ones(1, 1)
        >>> hessian(tw.Landscape(model, tw.objectives.squared_error(), [(one, one)])).dense()  # ½(ab − 1)² at (1, 1)
        tensor([[1., 1.],
                [1., 1.]])
    """
    if engine not in ("auto", "double-backward"):
        raise ArgumentError(f"engine: expected 'auto' or 'double-backward', got {engine!r}.")
    return Hessian(landscape, DoubleBackward(landscape, memory))

"""Matrices of Kronecker products and their damped inverses."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Provenance
from thalweg.landscape import Landscape
from thalweg.operators._counted import Counted
from thalweg.operators._factorable import Layers


class _Kronecker(Counted):
    """What the matrix and its inverse share: a multiple of an operator of curvlinops.

    Args:
        landscape: Where the matrix was taken.
        engine: "kfac" or "ekfac", and what was done to it.
        peer: The operator of curvlinops.
        scale: What to multiply its products with.
    """

    def __init__(self, landscape: Landscape, engine: str, peer: Any, scale: float) -> None:
        super().__init__(landscape.space)
        self._landscape = landscape
        self._engine = engine
        self._peer = peer
        self._scale = scale

    @property
    def landscape(self) -> Landscape:
        """The landscape that it belongs to."""
        return self._landscape

    @property
    def engine(self) -> str:
        """The way that products are computed."""
        return self._engine

    @property
    def provenance(self) -> Provenance:
        """How products are computed."""
        return self._landscape.provenance(self._engine)

    def _block(self, block: Tensor) -> Tensor:
        product: Tensor = self._peer @ block
        return (product.mT.contiguous() * self._scale).mT


class KroneckerFactored(_Kronecker):
    """A block-diagonal matrix of Kronecker products, one block a layer; made by :func:`kfac` and :func:`ekfac`."""

    def __init__(
        self, landscape: Landscape, engine: str, peer: Any, scale: float, layers: Layers, invert: Callable[..., Any]
    ) -> None:
        super().__init__(landscape, engine, peer, scale)
        self._layers = layers
        self._invert = invert

    def inverse(self, damping: float) -> "KroneckerInverse":
        r"""Return :math:`(K + \delta I)^{-1}` as an operator, exact up to rounding.

        Cost: for K-FAC the eigendecomposition of every factor, at the first product.

        Args:
            damping: δ, in the units of the eigenvalues.

        Raises:
            ArgumentError: If ``damping`` is not finite, or not above the rounding error of the matrix.

        Example:
            >>> import thalweg as tw
            >>> from thalweg.operators._kfac import kfac
            >>> model = torch.nn.Linear(1, 1, bias=False)
            >>> data = [(torch.full((1, 1), 2.0), torch.zeros(1, 1))]
            >>> matrix = kfac(tw.Landscape(model, tw.objectives.squared_error(), data))
            >>> matrix.inverse(1.0).dense()  # 1 / (4 + 1)
            tensor([[0.2000]])
        """
        self._check(damping)
        # (cM + δI)⁻¹ = (M + (δ/c) I)⁻¹ / c.
        peer = self._invert(self._peer, damping=damping / self._scale, use_exact_damping=True)
        return KroneckerInverse(self._landscape, f"{self._engine} inverse", peer, 1 / self._scale, damping)

    def trace(self) -> float:
        """Return the trace, from the factors."""
        return self._scale * float(self._peer.trace)

    def frobenius_norm(self) -> float:
        """Return the Frobenius norm, from the factors."""
        return self._scale * float(self._peer.frobenius_norm)

    def logdet(self, damping: float) -> float:
        r"""Return :math:`\log\det(K + \delta I)`, from the eigenvalues.

        Args:
            damping: δ, in the units of the eigenvalues.

        Raises:
            ArgumentError: If ``damping`` is not finite, or not above the rounding error of the matrix.
        """
        self._check(damping)
        return float((self.eigenvalues() + damping).log().sum())

    def eigenvalues(self) -> Float[Tensor, " p"]:
        """Return all P eigenvalues, largest first; those that are zero come out as rounding errors of either sign.

        Cost: for K-FAC the eigendecomposition of every factor.
        """
        state = self._peer.state_dict()
        if "corrected_eigenvalues" in state:
            found = state["corrected_eigenvalues"].values()
            parts = [part for entry in found for part in (entry.values() if isinstance(entry, dict) else [entry])]
        else:
            parts = []
            for layer, chosen in self._layers.items():
                outer = torch.linalg.eigvalsh(state["gradient_covariances"][layer])
                if "weight" in chosen:
                    inner = torch.linalg.eigvalsh(state["input_covariances"][layer])
                    parts.append(torch.outer(outer, inner))
                if "bias" in chosen and ("weight" not in chosen or state["separate_weight_and_bias"]):
                    parts.append(outer)
        return self._scale * torch.cat([part.reshape(-1) for part in parts]).sort(descending=True).values

    def __repr__(self) -> str:
        return f"{self._engine} of {self._landscape!r}"

    def _check(self, damping: float) -> None:
        floor = 10 * torch.finfo(self.dtype).eps * self.frobenius_norm()
        known = isinstance(damping, (int, float)) and math.isfinite(damping)
        if not (known and damping > floor):
            raise ArgumentError(
                f"damping: expected a finite number above {floor:.3g}, the rounding error of this matrix, "
                f"got {damping!r}."
            )


class KroneckerInverse(_Kronecker):
    r"""The inverse :math:`(K + \delta I)^{-1}` of a matrix of Kronecker products; made by its ``inverse``."""

    def __init__(self, landscape: Landscape, engine: str, peer: Any, scale: float, damping: float) -> None:
        super().__init__(landscape, engine, peer, scale)
        self._damping = damping

    @property
    def damping(self) -> float:
        """What was added to the diagonal, δ."""
        return self._damping

    def __repr__(self) -> str:
        return f"{self._engine} of {self._landscape!r}, damping {self._damping:g}"

"""How Ritz values became eigenvalues."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.record import Record

# Rows of a history lie so far apart, relatively: some thirty of them for three hundred products.
_APART = 1.1


@dataclass(frozen=True)
class Convergence(Record):
    """Wanted Ritz values and their residual bounds while a Krylov space grew.

    Attributes:
        products: Products when they were computed, (n,), at least a tenth apart but for the last.
        values: Ritz values, (n, k), in the order of the eigenpairs that they became.
        residuals: Their bounds, (n, k), in units of the eigenvalues.
        threshold: Residual at which a pair counts as converged, in the same units.
    """

    products: Tensor
    values: Tensor
    residuals: Tensor
    threshold: float

    def __str__(self) -> str:
        if not len(self.products):
            return "no Ritz values were computed"
        done = int((self.residuals[-1] <= self.threshold).sum())
        return f"{done} of {self.values.shape[1]} converged within {int(self.products[-1])} products"


class Trail:
    """Collects a history; what is too close to the row before replaces it."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []

    def add(self, products: int, values: NDArray[np.float64], residuals: NDArray[np.float64]) -> None:
        """Remember the Ritz values after so many products."""
        if len(self._rows) > 1 and self._rows[-1][0] < _APART * self._rows[-2][0]:
            self._rows.pop()
        self._rows.append((products, values, residuals))

    def of(self, order: NDArray[np.intp], threshold: float) -> Convergence:
        """Return the history of some of the values."""
        count = len(order)
        # An invariant subspace may have ended the first runs before there were as many values as are wanted.
        rows = [row for row in self._rows if len(row[1]) > (int(order.max()) if count else -1)]

        def stacked(columns: list[NDArray[np.float64]]) -> Tensor:
            return torch.from_numpy(np.stack([column[order] for column in columns]) if rows else np.zeros((0, count)))

        products = torch.tensor([row[0] for row in rows], dtype=torch.int64)
        return Convergence(products, stacked([row[1] for row in rows]), stacked([row[2] for row in rows]), threshold)

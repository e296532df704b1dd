"""Eigenpairs from a dense eigendecomposition, which owes nothing to Krylov spaces."""

import torch
from torch import Tensor

from thalweg.estimate import Cost
from thalweg.krylov import Eigenpairs


def exact_pairs(matrix: Tensor, k: int, which: str = "LA", **changed) -> Eigenpairs:
    """The k extreme eigenpairs of a symmetric matrix, with residuals at rounding; ``changed`` overrides fields."""
    values, vectors = torch.linalg.eigh(matrix)
    size = len(values)
    order = {
        "LA": torch.arange(size - 1, size - 1 - k, -1),
        "SA": torch.arange(k),
        "LM": values.abs().argsort(descending=True)[:k],
        "BE": torch.cat([torch.arange(k // 2), torch.arange(size - (k - k // 2), size)]).flip(0),
    }[which]
    values, vectors = values[order], vectors[:, order]
    fields = {
        "values": values,
        "vectors": vectors,
        "residuals": torch.linalg.vector_norm(matrix @ vectors - vectors * values, dim=0),
        "converged": torch.ones(k, dtype=torch.bool),
        "complete": True,
        "which": which,
        "scale": float(torch.linalg.matrix_norm(matrix, 2)),
        "matvecs": 10,
        "cost": Cost(matvecs=10, seconds=1.0),
    }
    return Eigenpairs(**{**fields, **changed})


def diagonal(*values: float) -> Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float64))

"""Matrices with prescribed eigenvalues, in a random orthonormal basis."""

from collections.abc import Sequence

import torch

import thalweg as tw


def operator(
    eigenvalues: Sequence[float], seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[tw.FunctionOperator, torch.Tensor]:
    """Return an operator and its matrix."""
    n = len(eigenvalues)
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator))
    matrix = (basis * torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.mT
    matrix = ((matrix + matrix.mT) / 2).to(dtype)
    return tw.FunctionOperator(lambda v: matrix @ v, n, dtype=dtype), matrix


def second_difference(n: int) -> torch.Tensor:
    """tridiag(−1, 2, −1), with eigenvalues 2 − 2 cos(kπ/(n+1))."""
    ones = torch.ones(n - 1, dtype=torch.float64)
    return 2 * torch.eye(n, dtype=torch.float64) - torch.diag(ones, 1) - torch.diag(ones, -1)


def wanted(eigenvalues: Sequence[float], k: int, which: str) -> list[float]:
    """The answer, from the whole spectrum."""
    descending = sorted(eigenvalues, reverse=True)
    if which == "LA":
        return descending[:k]
    if which == "SA":
        return descending[::-1][:k]
    if which == "LM":
        return sorted(eigenvalues, key=lambda x: -abs(x))[:k]
    return descending[: k - k // 2] + descending[len(descending) - k // 2 :]

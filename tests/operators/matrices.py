"""Symmetric matrices as operators, and orthonormal vectors."""

import torch
from torch import Tensor

import thalweg as tw
from tests.landscape.models import randn


def symmetric(size: int, seed: int = 0) -> Tensor:
    matrix = randn(size, size, seed=seed)
    return matrix + matrix.mT


def operator(matrix: Tensor) -> tw.FunctionOperator:
    return tw.FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=matrix.dtype)


def orthonormal(size: int, count: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(randn(size, count, seed=seed + 1000)).Q

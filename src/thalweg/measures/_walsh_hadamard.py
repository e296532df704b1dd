"""The fast Walsh–Hadamard transform by products with small matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

# Up to this many columns a stage is one product with H ⊗ I, and beyond it many small ones are as fast.
_NARROW = 8


class WalshHadamard:
    r"""Multiply by the Sylvester matrix H of n = 2^m rows, :math:`H_{2n} = H_2 \otimes H_n`, entries ±1.

    H is a Kronecker product of smaller ones, of 8 or 16 rows: one product with each of them runs at the speed of matrix
    products, where butterflies, one addition an entry, run at that of memory.

    Args:
        rows: n, a power of two.
        columns: Of what is multiplied.
        dtype: Of its entries.
        device: Where they live.
    """

    def __init__(self, rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = (rows, columns)
        self._stages: list[tuple[Tensor, tuple[int, ...], bool]] = []
        done = 1
        for bits in _split(rows.bit_length() - 1):
            factor, radix = sylvester(bits, dtype, device), 1 << bits
            rest = rows // (done * radix) * columns
            narrow = rest <= _NARROW
            if narrow:
                factor = torch.kron(factor, torch.eye(rest, dtype=dtype, device=device))
            shape = (done, radix * rest) if narrow else (done, radix, rest)
            self._stages.append((factor, shape, narrow))
            done *= radix

    def __call__(self, matrix: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return H times a matrix (n, k)."""
        for factor, shape, narrow in self._stages:
            parts = matrix.reshape(shape)
            matrix = parts @ factor if narrow else factor @ parts
        return matrix.reshape(self._shape)


def _split(bits: int) -> list[int]:
    """Share out the doublings over stages, four at most in each unless one is enough."""
    if bits == 0:
        return []
    stages = 1 if bits <= 5 else -(-bits // 4)
    return [bits // stages + (stage < bits % stages) for stage in range(stages)]


def sylvester(bits: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return H of 2^bits rows."""
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=dtype, device=device)
    matrix = torch.ones(1, 1, dtype=dtype, device=device)
    for _ in range(bits):
        matrix = torch.kron(two, matrix)
    return matrix

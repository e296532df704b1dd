"""The fast Walsh–Hadamard transform by products with small matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

# Up to this many columns a stage is one product with H ⊗ I; beyond it many small ones are as fast.
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
        self._stages: list[tuple[Tensor, tuple[int, ...]]] = []
        done = 1
        for bits in _split(rows.bit_length() - 1):
            factor, radix = sylvester(bits, dtype, device), 1 << bits
            rest = rows // (done * radix) * columns
            if rest <= _NARROW:
                # From the right; H is symmetric.
                factor = torch.kron(factor, torch.eye(rest, dtype=dtype, device=device))
                self._stages.append((factor, (done, radix * rest)))
            else:
                self._stages.append((factor.repeat(done, 1, 1), (done, radix, rest)))
            done *= radix

    def __call__(
        self,
        matrix: Float[Tensor, "n k"],
        *,
        onto: Float[Tensor, "n k"] | None = None,
        out: Float[Tensor, "n k"] | None = None,
    ) -> Float[Tensor, "n k"]:
        """Return H times a matrix (n, k), added to ``onto`` and written into ``out`` if they are given together."""
        for number, (factor, shape) in enumerate(self._stages):
            parts = matrix.reshape(shape)
            last = number + 1 == len(self._stages)
            if last and onto is not None and out is not None and len(shape) == 3:
                # The sum in the last product's own pass over memory.
                torch.baddbmm(onto.view(shape), factor, parts, out=out.view(shape))
                return out
            matrix = parts @ factor if len(shape) == 2 else torch.bmm(factor, parts)
        matrix = matrix.reshape(self._shape)
        return matrix if onto is None or out is None else torch.add(onto, matrix, out=out)


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

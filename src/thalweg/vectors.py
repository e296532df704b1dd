"""Flat parameter vectors: inner products and random draws, and nothing that depends on a model."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.precision import uncast

_Law = Callable[[int, Tensor], Tensor]

# One long sum in single precision loses what is small beside it: 4e-4 of the norm of ten million normal numbers. Sums
# of sums over rows, or over parts, lose 1e-7 in the same time. Other devices add up in trees anyway.
_ROW, _PART = 2048, 1 << 19

# Steele, Lea & Flood (2014): the increment and the two multipliers of SplitMix64, as signed 64-bit integers.
_INCREMENT = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


@dataclass(frozen=True)
class VectorSpace:
    """The space that parameter vectors live in.

    A vector is one flat tensor of ``local_size`` entries; a set of k vectors is a tensor of shape (P, k)
    whose columns are the vectors, stored so that each vector is contiguous (``V.mT.is_contiguous()``). Only
    the space reduces over entries, so a space whose vectors are spread over several devices can take its
    place. This one is local: ``local_size == size``.

    Attributes:
        size: Number of entries P, over all devices.
        dtype: Of the entries.
        device: Where they live.

    Example:
        >>> space = VectorSpace(3, torch.float64, torch.device("cpu"))
        >>> q = space.rademacher(torch.Generator().manual_seed(0))
        >>> space.norm(q)
        1.7320508075688772
    """

    size: int
    dtype: torch.dtype
    device: torch.device

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int):
            raise ArgumentError(f"size: expected a whole number, got {self.size!r}.")
        if self.size < 1:
            raise ArgumentError(f"size: expected at least 1, got {self.size}.")
        if not self.dtype.is_floating_point:
            raise ArgumentError(f"dtype: expected a floating-point type, got {self.dtype}.")

    @property
    def local_size(self) -> int:
        """Entries of a vector that this process holds."""
        return self.size

    def dot(self, v: Float[Tensor, " p"], w: Float[Tensor, " p"]) -> float:
        """Return vᵀw."""
        if len(v) <= _PART or v.device.type != "cpu":
            return float(torch.dot(v, w))
        return math.fsum(
            float(torch.dot(*parts))
            for parts in zip(*(torch.split(x.contiguous(), _PART) for x in (v, w)), strict=True)
        )

    def norm(self, v: Float[Tensor, " p"]) -> float:
        """Return ‖v‖."""
        rows = len(v) // _ROW
        if rows < 2 or v.device.type != "cpu":
            return float(torch.linalg.vector_norm(v))
        parts = torch.linalg.vector_norm(v[: rows * _ROW].view(rows, _ROW), dim=1)
        return math.hypot(float(torch.linalg.vector_norm(parts)), float(torch.linalg.vector_norm(v[rows * _ROW :])))

    def dots(self, basis: Float[Tensor, "p k"], w: Float[Tensor, " p"]) -> Float[Tensor, " k"]:
        """Return basisᵀw, all k inner products in one reduction."""
        with uncast(self.device):
            return basis.mT @ w

    def gram(self, left: Float[Tensor, "p k"], right: Float[Tensor, "p m"] | None = None) -> Float[Tensor, "k m"]:
        """Return leftᵀright, or leftᵀleft."""
        with uncast(self.device):
            return left.mT @ (left if right is None else right)

    def without(self, basis: Float[Tensor, "p m"], block: Float[Tensor, "p k"]) -> Float[Tensor, "p k"]:
        """Return (I − QQᵀ) block for orthonormal columns Q, each column contiguous, to working precision."""
        rows = block.mT
        with uncast(self.device):
            for _ in range(2):
                rows = torch.addmm(rows, self.gram(rows.mT, basis), basis.mT, alpha=-1)
        return rows.mT

    def empty(self, count: int) -> Float[Tensor, "p k"]:
        """Return ``count`` vectors that hold anything, each contiguous."""
        return _allocated((count, self.local_size), self.dtype, self.device).mT

    def zeros(self, count: int) -> Float[Tensor, "p k"]:
        """Return ``count`` zero vectors, each contiguous."""
        return torch.zeros(count, self.local_size, dtype=self.dtype, device=self.device).mT

    def randn(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Float[Tensor, " p"] | Float[Tensor, "p k"]:
        """Draw standard normal vectors: one of shape (P,), or ``count`` of shape (P, count).

        Every entry is a function of a seed, which is drawn from ``generator``, and of its global index, so that
        it does not depend on how the vector is spread over devices. ``None`` is a fresh generator of seed 0.
        """
        return self._draw(_normal, generator, count)

    def rademacher(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Float[Tensor, " p"] | Float[Tensor, "p k"]:
        """Draw vectors of independent signs ±1, as :meth:`randn` draws normal ones."""
        return self._draw(_sign, generator, count)

    def _draw(self, law: _Law, generator: torch.Generator | None, count: int | None) -> Tensor:
        if count is not None and count < 1:
            raise ArgumentError(f"count: expected at least 1, got {count}.")
        seeds = draw_seeds(generator, 1 if count is None else count)
        index = torch.arange(self.local_size, device=self.device)
        rows = [law(seed, index).to(self.dtype) for seed in seeds]
        return rows[0] if count is None else torch.stack(rows).mT


def draw_seeds(generator: torch.Generator | None, count: int) -> list[int]:
    """Draw 63-bit seeds; ``None`` is a fresh generator of seed 0, so that the same call draws the same bits.

    Raises:
        ArgumentError: If ``generator`` is something else.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ArgumentError(
            f"generator: expected a torch.Generator or None, got {generator!r}. A seed makes one: "
            "torch.Generator().manual_seed(seed)."
        )
    source = torch.Generator().manual_seed(0) if generator is None else generator
    return torch.randint(2**63 - 1, (count,), generator=source, device=source.device).tolist()


def _allocated(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    # NumPy asks the system for large pages: filling what PyTorch allocates takes three times as long.
    memory = np.empty(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(memory).view(dtype).view(shape)


def _mixed(seed: int, index: Tensor) -> Tensor:
    """SplitMix64 (Steele, Lea & Flood, 2014) of the seed's stream at the given indices."""
    state = (index + 1).mul_(_INCREMENT).add_(seed)
    state.bitwise_xor_(_shifted(state, 30)).mul_(_FIRST)
    state.bitwise_xor_(_shifted(state, 27)).mul_(_SECOND)
    return state.bitwise_xor_(_shifted(state, 31))


def _shifted(state: Tensor, bits: int) -> Tensor:
    # A logical shift: torch shifts signed integers arithmetically.
    return (state >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _uniform(bits: Tensor) -> Tensor:
    # The 53 leading bits, centred in their cell: never 0 and never 1.
    return _shifted(bits, 11).to(torch.float64).add_(0.5).mul_(2.0**-53)


def _sign(seed: int, index: Tensor) -> Tensor:
    return 1 - 2 * _shifted(_mixed(seed, index), 63)


def _normal(seed: int, index: Tensor) -> Tensor:
    # Box and Muller (1958): each index has two uniforms of its own.
    radius = _uniform(_mixed(seed, 2 * index)).log_().mul_(-2).sqrt_()
    return radius.mul_(_uniform(_mixed(seed, 2 * index + 1)).mul_(2 * math.pi).cos_())

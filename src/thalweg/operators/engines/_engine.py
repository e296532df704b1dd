"""What every engine offers."""

from typing import Protocol

from torch import Tensor


class Engine(Protocol):
    """A way of computing products with a curvature matrix of a landscape."""

    @property
    def name(self) -> str:
        """What it is called in arguments and records."""
        ...

    def product(self, block: Tensor) -> Tensor:
        """Multiply a block (P, k) whose columns are contiguous; the result is such a block."""
        ...

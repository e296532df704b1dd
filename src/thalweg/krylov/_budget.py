"""What a run may take."""

import math
from dataclasses import dataclass

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import require_whole


@dataclass(frozen=True)
class Budget:
    """Products, seconds, or whichever is used up first.

    A run whose budget is spent returns what it has, with residuals and errors as large as they are then. The clock
    is looked at between products, so that the last one may take it a little further. What depends on the clock is not
    the same in every run.

    Args:
        products: The most products, a block of k vectors counting k.
        seconds: Of wall-clock time.

    Raises:
        ArgumentError: If neither is given, or one is not positive.

    Example:
        >>> Budget(seconds=60)
        Budget(products=None, seconds=60)
    """

    products: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.products is None and self.seconds is None:
            raise ArgumentError("budget: expected products, seconds, or both, got neither.")
        if self.products is not None:
            require_whole("products", self.products)
            if self.products < 1:
                raise ArgumentError(f"products: expected at least 1, got {self.products}.")
        seconds = self.seconds
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float))):
            raise ArgumentError(f"seconds: expected a number, got {seconds!r}.")
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise ArgumentError(f"seconds: expected a positive finite number, got {seconds}.")


def require_budget(budget: object) -> None:
    """Refuse what is no budget.

    Raises:
        ArgumentError: If it is something else.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise ArgumentError(f"budget: expected a Budget or None, got {budget!r}. Say Budget(products=…, seconds=…).")


def deadline(budget: Budget | None, started: float, share: float = 1.0) -> float:
    """Return when a share of the seconds is over, on the clock that ``started`` was read from."""
    if budget is None or budget.seconds is None:
        return math.inf
    return started + share * budget.seconds

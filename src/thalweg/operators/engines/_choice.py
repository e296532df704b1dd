"""Which engine is fastest here? A trial on the user's own model and block, each candidate held against the others."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import DeterminismError, DifferentiationError
from thalweg.operators.engines._engine import Engine

# A candidate has to be faster by this before it displaces the one before it: the same choice in every run.
_MARGIN = 0.95


@dataclass(frozen=True)
class Choice:
    """The engine that was kept, and why.

    Attributes:
        name: Of the candidate.
        reason: In words, with the ratios of times.
    """

    name: str
    reason: str


def choose(
    candidates: Mapping[str, Callable[[], Engine]],
    block: Tensor,
    *,
    tolerance: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Run every candidate on a block and keep the fastest that agrees with the first, which is trusted.

    Each runs once to warm up and once against the clock, and is gone before the next is made; one that fails where
    the first did not drops out.

    Args:
        candidates: What makes engines for the same matrix, by name, the safest first.
        block: What they are tried on.
        tolerance: Relative difference that rounding explains.
        clock: Seconds.

    Raises:
        DeterminismError: If a candidate does not repeat itself.
    """
    trusted: Tensor | None = None
    seconds, dropped = dict[str, float](), list[str]()
    for name, make in candidates.items():
        try:
            found, again, elapsed = _tried(make(), block, clock)
        except (DifferentiationError, RuntimeError) as error:
            # Vectorised derivatives have holes of many kinds; what the trusted one can do will be done.
            if trusted is None:
                raise
            dropped.append(f"{name} failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]})")
            continue
        if not _agree(again, found, tolerance):
            raise DeterminismError(
                f"product: expected the same product of the same vectors, but two by {name} differ by more than "
                "rounding: a kernel of the model is not deterministic. See torch.use_deterministic_algorithms."
            )
        if trusted is None:
            trusted = found
        elif not _agree(found, trusted, tolerance):
            dropped.append(f"{name} disagrees")
            continue
        seconds[name] = elapsed
    best = next(iter(seconds))
    for name, elapsed in seconds.items():
        if elapsed < _MARGIN * seconds[best]:
            best = name
    others = [
        f"{name} took {elapsed / seconds[best]:.2g}x its time" for name, elapsed in seconds.items() if name != best
    ]
    return Choice(best, "; ".join(["by a trial in which 5 % count as equal", *others, *dropped]))


def _tried(engine: Engine, block: Tensor, clock: Callable[[], float]) -> tuple[Tensor, Tensor, float]:
    """Return two products, and the seconds of the second."""
    found = engine.product(block)
    _wait(block.device)
    started = clock()
    again = engine.product(block)
    _wait(block.device)
    return found, again, clock() - started


def _agree(found: Tensor, trusted: Tensor, tolerance: float) -> bool:
    # Against the largest column: one that nearly vanishes is all rounding.
    gap = torch.linalg.vector_norm(found - trusted, dim=0).max()
    return bool(gap <= tolerance * torch.linalg.vector_norm(trusted, dim=0).max())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

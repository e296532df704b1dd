"""A number with its uncertainty and its cost."""

import math
import platform
from dataclasses import dataclass, field

import torch
from scipy import stats

from thalweg._version import __version__
from thalweg.errors import ArgumentError
from thalweg.record import Record


@dataclass(frozen=True)
class Cost(Record):
    """What a result took.

    Attributes:
        matvecs: Products with a curvature matrix, a block of k vectors counting k.
        gradients: Full gradients of the landscape.
        losses: Full passes that computed losses only.
        seconds: Wall-clock time.
    """

    matvecs: int = 0
    gradients: int = 0
    losses: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.matvecs + other.matvecs,
            self.gradients + other.gradients,
            self.losses + other.losses,
            self.seconds + other.seconds,
        )

    def __str__(self) -> str:
        named = [("product", self.matvecs), ("gradient", self.gradients), ("loss pass", self.losses)]
        words = [f"{n} {_plural(word, n)}" for word, n in named if n]
        return ", ".join([*words, f"{self.seconds:.2g} s" if self.seconds < 99 else f"{self.seconds:.0f} s"])


@dataclass(frozen=True)
class Provenance(Record):
    """How a result was computed: what must be the same for the same bits.

    Attributes:
        engine: The way of computing products, or ``None`` where none was used.
        microbatch: Samples per pass, or ``None`` for whole batches.
        dtype: Of the vectors.
        device: Where they live.
        threads: Of the processor.
        samples: Data items of the landscape, or ``None`` where there is no landscape.
        versions: Of thalweg, torch and python.
    """

    engine: str | None
    microbatch: int | None
    dtype: str
    device: str
    threads: int
    samples: int | None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate(Record):
    """A number, how uncertain it is, and what it cost.

    Attributes:
        value: The estimate.
        standard_error: Of the estimator (finite probes); 0 for a deterministic quantity that is exact to
            rounding, ``None`` where it could not be determined.
        dof: Degrees of freedom behind ``standard_error``; ``None`` means that it is known exactly.
        data_error: Standard error that comes from having these samples and not others; ``None`` where
            it was not determined.
        converged: Whether the accuracy that was asked for has been reached; ``None`` if none was asked for.
        cost: What it took.
        provenance: How it was computed.

    Example:
        >>> print(Estimate(41.7312, 0.0213))
        41.731 ± 0.021
    """

    value: float
    standard_error: float | None = None
    dof: int | None = None
    data_error: float | None = None
    converged: bool | None = None
    cost: Cost = Cost()
    provenance: Provenance | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the two-sided confidence interval of the estimator, by Student's quantile.

        It covers the estimator's error alone, not the data's.

        Raises:
            ArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        if not 0 < level < 1:
            raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")
        if self.standard_error is None:
            return None
        tail = 0.5 + level / 2
        quantile = stats.norm.ppf(tail) if self.dof is None else stats.t.ppf(tail, self.dof)
        half = float(quantile) * self.standard_error
        return self.value - half, self.value + half

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return format_with_error(self.value, self.standard_error)


def format_with_error(value: float, error: float | None) -> str:
    """Write ``value ± error`` with two digits of the error, or four digits of the value alone."""
    if error is None or error == 0 or not math.isfinite(error) or not math.isfinite(value):
        return f"{value + 0.0:.4g}"
    # The exponent is that of the rounded error: 0.0996 is written 0.10.
    decimals = 1 - int(f"{error:.1e}".partition("e")[2])
    if -3 <= decimals <= 6 and abs(value) < 1e6:
        shown = max(decimals, 0)
        # Adding zero takes the sign from a negative zero.
        return f"{round(value, decimals) + 0.0:.{shown}f} ± {round(error, decimals):.{shown}f}"
    digits = max(1, decimals + math.floor(math.log10(abs(value))) + 1) if value else 2
    return f"{value + 0.0:.{min(digits, 15)}g} ± {error:.2g}"


def versions() -> dict[str, str]:
    """Return the versions that a result should be remembered with."""
    return {"thalweg": __version__, "torch": torch.__version__, "python": platform.python_version()}


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    return word + ("es" if word.endswith("s") else "s")

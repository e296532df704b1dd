"""How far what is measured on some data is from what all data would give."""

import math
from dataclasses import dataclass

import torch
from scipy import optimize, stats
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance, format_with_error
from thalweg.record import Record


@dataclass(frozen=True)
class DataErrors(Record):
    r"""The leading eigenvalues and the trace on these data, and how far those of all data may be.

    A maximum over directions follows the noise: :math:`\mathbb{E}\,\lambda_1(\hat A) \ge \lambda_1(A)`. A direction
    fitted on other data cannot: :math:`\mathbb{E}\,\hat v^\top \hat A_{held} \hat v \le \lambda_1(A)`. The truth lies
    between the two.

    Attributes:
        values: In-sample eigenvalues, largest first, shape (k,).
        residuals: Bounds on ‖Âv − λv‖, shape (k,).
        cross_fitted: Quotients of directions fitted on the other folds, shape (k,).
        fitted: Mean eigenvalues of the fits whose directions these are, shape (k,).
        bias: ``values`` less ``cross_fitted``, shape (k,).
        corrected: Where the two biases cancel to second order, shape (k,).
        standard_errors: Of ``cross_fitted``, from having these samples and not others, shape (k,).
        overlaps: Mean squared inner product of the directions of two fits, shape (k,); near 1 where the data fix the
            direction, near 0 where it is noise.
        dof: Degrees of freedom of the standard errors.
        trace: tr Â with the standard error of its probes and, as ``data_error``, that of the data; unbiased.
        samples: Data items N; ``None`` where the parts are no landscapes.
        parts: Into how many parts the samples were cut, whose spread makes the standard errors.
        folds: How many folds of parts were held out in turn.
        cost: What it took; a product with all the data counts one.
        provenance: How it was computed.
    """

    values: Tensor
    residuals: Tensor
    cross_fitted: Tensor
    fitted: Tensor
    bias: Tensor
    corrected: Tensor
    standard_errors: Tensor
    overlaps: Tensor
    dof: int
    trace: Estimate
    samples: int | None
    parts: int
    folds: int
    cost: Cost
    provenance: Provenance | None = None

    def interval(self, level: float = 0.95) -> Tensor:
        r"""Return intervals for the eigenvalues of all data, shape (k, 2), lower end first.

        An interval for a number of which only bounds can be estimated (Imbens & Manski, 2004): from
        :math:`a e^{-cr}` to :math:`b e^{cr}` with a and b the smaller and the larger of ``cross_fitted`` and
        ``corrected``, r the relative standard error, and c such that
        :math:`F(c + \ln(b/a)/r) - F(-c) =` ``level`` for Student's F. Where a = b this is the usual interval, on the
        logarithmic scale since standard errors grow with eigenvalues; where bias dominates it is wide, and covers more
        often than ``level``. Values that are not positive have the same on the plain scale. r takes the noise
        that folds share into account, see :func:`thalweg.data_errors`.

        Raises:
            ArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        _require_level(level)
        rows = zip(self.cross_fitted.tolist(), self.corrected.tolist(), self._spreads(), strict=True)
        return torch.tensor([_between(*row, self.dof, level) for row in rows], dtype=torch.float64)

    def trace_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return an interval for the trace on all data, of the errors of probes and of data together.

        Student's quantile has the degrees of freedom of Welch (1947).

        Raises:
            ArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        _require_level(level)
        errors = [(self.trace.standard_error or 0.0, self.trace.dof or 1), (self.trace.data_error or 0.0, self.dof)]
        variance = sum(error**2 for error, _ in errors)
        if variance == 0:
            return self.trace.value, self.trace.value
        dof = variance**2 / sum(error**4 / freedom for error, freedom in errors)
        half = float(stats.t.ppf(0.5 + level / 2, dof)) * math.sqrt(variance)
        return self.trace.value - half, self.trace.value + half

    def __str__(self) -> str:
        triples = zip(*(x.tolist() for x in (self.values, self.cross_fitted, self.standard_errors)), strict=True)
        shown = [f"{value:.4g} in-sample, {format_with_error(held, error)} held out" for value, held, error in triples]
        trace = format_with_error(self.trace.value, self.trace.data_error)
        return "; ".join([*(f"λ_{i}: {text}" for i, text in enumerate(shown, start=1)), f"trace {trace}"])

    def _spreads(self) -> list[float]:
        # Nadeau & Bengio (2003) for directions that share nothing but their training data; none for stable ones.
        shared = 1 + self.folds / (self.folds - 1) * (1 - self.overlaps.clamp(0, 1).square())
        spreads: list[float] = (self.standard_errors * shared.sqrt()).tolist()
        return spreads


@dataclass(frozen=True)
class ErrorLaw(Record):
    r"""How the error of one quantity falls with the number of samples: :math:`b (N/n)^\alpha` and :math:`s \sqrt{N/n}`.

    Attributes:
        value: The quantity, with its bias removed as far as that is known.
        bias: b, the expected excess of the in-sample value at the N samples at hand; 0 for a mean.
        standard_error: s, at these N samples.
        exponent: α, fitted and kept between ½ and 1; ``None`` for a mean.
        exponent_error: Standard error of the fitted α; ``None`` for a mean.
        misfit: Largest relative distance of a measured gap from the fitted law; ``None`` for a mean.
        relative_error: √(b² + s²) / |value|, at these N samples.
        size: The least n at which that is at most what was asked for; ``None`` where the value cannot be told from 0.
        size_interval: The same for both ends of 95 % intervals of s, α and the value; ``None`` with ``size``.
    """

    value: float
    bias: float
    standard_error: float
    exponent: float | None
    exponent_error: float | None
    misfit: float | None
    relative_error: float
    size: int | None
    size_interval: tuple[int, int] | None


@dataclass(frozen=True)
class SubsetSize(Record):
    """How many samples are enough.

    Attributes:
        size: The largest of the sizes below; ``None`` where one is not known.
        rtol: The relative error asked for.
        samples: N, the samples that the advice is drawn from.
        enough: Whether these N are enough already; ``None`` with ``size``.
        extrapolated: Whether the advice lies outside N/4 to 4N, where the fitted law is only trusted, not seen.
        available: The most samples there are, as given; ``None`` if nothing was said.
        reachable: Whether ``size`` is at most ``available``; ``None`` without either.
        eigenvalue: The law of λ₁; ``None`` if not asked for.
        trace: The law of the trace; ``None`` if not asked for.
        cost: What the advice took.
        provenance: How it was computed.
    """

    size: int | None
    rtol: float
    samples: int
    enough: bool | None
    extrapolated: bool
    available: int | None
    reachable: bool | None
    eigenvalue: ErrorLaw | None
    trace: ErrorLaw | None
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        if self.size is None:
            return f"no size known for {self.rtol:.2g} relative error: a value cannot be told from 0"
        far = ", far beyond what was measured" if self.extrapolated else ""
        short = ", more than there are" if self.reachable is False else ""
        return f"{self.size} samples for {self.rtol:.2g} relative error, from {self.samples}{far}{short}"


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")


def _between(held: float, corrected: float, spread: float, dof: int, level: float) -> tuple[float, float]:
    """The interval of Imbens & Manski for what lies between two estimates with about the same standard error."""
    low, high = sorted((held, corrected))
    if spread == 0:
        return low, high
    if low <= 0:
        c = _critical((high - low) / spread, dof, level)
        return low - c * spread, high + c * spread
    relative = spread / held
    c = _critical(math.log(high / low) / relative, dof, level)
    return low * math.exp(-c * relative), high * math.exp(c * relative)


def _critical(width: float, dof: int, level: float) -> float:
    """The c between the one-sided and the two-sided quantile with F(c + width) − F(−c) = level."""
    law = stats.t(dof)
    least, most = float(law.ppf(level)), float(law.ppf(0.5 + level / 2))

    def excess(c: float) -> float:
        return float(law.cdf(c + width) - law.cdf(-c)) - level

    return float(optimize.brentq(excess, least - 1e-9, most + 1e-9)) if width > 0 and math.isfinite(width) else most

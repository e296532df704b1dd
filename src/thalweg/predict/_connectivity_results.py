"""What fits of connectivity return."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.record import Record


@dataclass(frozen=True)
class VarianceRate(Record):
    """The variance of the loss per unit length of a path, fitted to rises above the chord.

    Attributes:
        rate: ŝ² = 2·mean(x²/r).
        low: Lower end of the interval, exact where the model holds and the pairs are independent.
        high: Its upper end.
        level: Of the interval.
        count: Pairs.
        distance_of_laws: Largest distance between the distributions of the rises, observed and fitted (Kolmogorov).
        p_value: Chance of such a distance if the rises do follow the law of Rayleigh, the rate being fitted.
    """

    rate: float
    low: float
    high: float
    level: float
    count: int
    distance_of_laws: float
    p_value: float

    def __str__(self) -> str:
        return (
            f"s² = {self.rate:.4g} [{self.low:.4g}, {self.high:.4g}] per unit length from {self.count} pairs; "
            f"law of Rayleigh: p = {self.p_value:.2g}"
        )


@dataclass(frozen=True)
class VarianceRateLaw(Record):
    """How the variance rate falls with the number of parameters: s²(d) = s₀² d^{−γ}.

    Attributes:
        exponent: γ.
        exponent_error: Its standard error, from the errors of the rates and, where they scatter more, from that.
        exponent_low: Lower end of its interval.
        exponent_high: Upper end.
        prefactor: s₀².
        sizes: d, shape (m,).
        rates: ŝ² at each, shape (m,).
        level: Of the interval.
        scatter: χ² of the fit by its degrees of freedom; well above 1, a power law is not all; ``None`` for two sizes.
    """

    exponent: float
    exponent_error: float
    exponent_low: float
    exponent_high: float
    prefactor: float
    sizes: Tensor
    rates: Tensor
    level: float
    scatter: float | None

    def rate(self, size: float) -> float:
        """Return s² at a number of parameters; beyond ``sizes`` it is extrapolated."""
        return float(self.prefactor * size**-self.exponent)

    def __str__(self) -> str:
        return (
            f"s² = {self.prefactor:.4g} d^(−γ), γ = {self.exponent:.3g} "
            f"[{self.exponent_low:.3g}, {self.exponent_high:.3g}] from {len(self.sizes)} sizes"
        )


@dataclass(frozen=True)
class Reliability(Record):
    r"""Predicted probabilities held against what happened.

    Attributes:
        predicted: Mean prediction in each bin that holds any, shape (m,).
        observed: Share that came true, shape (m,).
        low: Lower end of its binomial interval (Clopper & Pearson, 1934), shape (m,).
        high: Upper end, shape (m,).
        counts: Predictions in each bin, shape (m,).
        level: Of the intervals.
        brier: Mean of (prediction − outcome)².
        base_rate: Share of all that came true.
        skill: 1 − brier / brier of predicting the base rate; ``None`` where all outcomes are the same.
        calibration_error: Mean of \|predicted − observed\| over the bins, by their counts.
        chi_squared: Sum over the bins of (observed − predicted)² by its variance under the predictions; ``None`` where
            all of them are 0 or 1, or one of 0 or 1 failed.
        p_value: Chance of so large a one if outcomes are independent and have the probabilities predicted; the smallest
            that its draws can tell where a prediction of 0 came true, or one of 1 did not; ``None`` where all are
            0 or 1, and right.
    """

    predicted: Tensor
    observed: Tensor
    low: Tensor
    high: Tensor
    counts: Tensor
    level: float
    brier: float
    base_rate: float
    skill: float | None
    calibration_error: float
    chi_squared: float | None
    p_value: float | None

    def __str__(self) -> str:
        skill = "" if self.skill is None else f", skill {self.skill:.3g}"
        verdict = "" if self.p_value is None else f", calibrated: p = {self.p_value:.2g}"
        return (
            f"reliability of {int(self.counts.sum())} predictions: Brier score {self.brier:.4g}{skill}, "
            f"calibration error {self.calibration_error:.3g}{verdict}"
        )

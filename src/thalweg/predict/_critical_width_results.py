"""What a fit of the critical width returns."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.record import Record


@dataclass(frozen=True)
class CriticalWidth(Record):
    """From which width on barriers are below a threshold: by a power law, and by a logistic fit.

    Attributes:
        width: n_c(ε) = (A L^β / ε)^{1/α}; ``None`` where the fitted barrier does not fall with the width.
        low: Lower end of its bootstrap interval; ``None`` where it has none.
        high: Upper end; ``None`` where it is unbounded, since barriers may well not fall.
        extrapolated: Whether ``width`` lies outside of the widths measured; ``None`` where there is none.
        exponent: α, by which barriers fall.
        exponent_low: Lower end of its bootstrap interval.
        exponent_high: Upper end.
        amplitude: A.
        depth_exponent: β; ``None`` where all networks have the same depth.
        depth: L that ``width`` is for; ``None`` where no depths were given.
        lack_of_fit: p-value of the power law against free means at each width (F-test); a small one says that
            the barriers do not follow a power law, and that ``width`` means little. ``None`` where it cannot be had.
        logistic_width: Where half of the pairs are below the threshold by the logistic fit; ``None`` where their
            share does not rise.
        logistic_low: Lower end of its interval (Fieller); ``None`` where it is unbounded.
        logistic_high: Upper end.
        logistic_extrapolated: Whether ``logistic_width`` lies outside of the widths measured.
        threshold: ε.
        widths: n of each row, shape (m,).
        depths: L of each row, shape (m,); ``None`` where none were given.
        barriers: As given, shape (m, pairs), NaN where missing.
        share: Share of the pairs of each row that are below the threshold, shape (m,).
        dropped: Barriers of 0 or less, which have no logarithm and are left out of the power law.
        level: Of the intervals.
        resamples: Of the bootstrap.
    """

    width: float | None
    low: float | None
    high: float | None
    extrapolated: bool | None
    exponent: float
    exponent_low: float
    exponent_high: float
    amplitude: float
    depth_exponent: float | None
    depth: float | None
    lack_of_fit: float | None
    logistic_width: float | None
    logistic_low: float | None
    logistic_high: float | None
    logistic_extrapolated: bool | None
    threshold: float
    widths: Tensor
    depths: Tensor | None
    barriers: Tensor
    share: Tensor
    dropped: int
    level: float
    resamples: int

    @property
    def bent(self) -> bool:
        """Whether the barriers are refuted to follow a power law, at 5 %."""
        return self.lack_of_fit is not None and self.lack_of_fit < 0.05

    def barrier_at(self, width: float) -> float:
        """Return the fitted barrier at a width, for ``depth``; outside of ``widths`` it is extrapolated."""
        deep = 1.0 if self.depth_exponent is None or self.depth is None else self.depth**self.depth_exponent
        return float(self.amplitude * deep * width**-self.exponent)

    def __str__(self) -> str:
        law = f"α = {self.exponent:.3g} [{self.exponent_low:.3g}, {self.exponent_high:.3g}]"
        if self.width is None:
            return f"no critical width for ε = {self.threshold:g}: barriers do not fall with the width, {law}"
        low = "0" if self.low is None else f"{self.low:.3g}"
        high = "∞" if self.high is None else f"{self.high:.3g}"
        where = (
            f", extrapolated from widths {self.widths.min():g} to {self.widths.max():g}" if self.extrapolated else ""
        )
        dropped = f", {self.dropped} barriers of 0 or less left out" if self.dropped else ""
        doubt = f"; no power law (lack of fit p = {self.lack_of_fit:.1g})" if self.bent else ""
        instead = f", half of the pairs at {self.logistic_width:.3g}" if doubt and self.logistic_width else ""
        return (
            f"critical width {self.width:.3g} [{low}, {high}] for ε = {self.threshold:g}{where}, {law}{dropped}"
            f"{doubt}{instead}"
        )

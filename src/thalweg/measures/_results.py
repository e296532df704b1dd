"""What the measures return."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.estimate import Cost
from thalweg.record import Record


@dataclass(frozen=True)
class SpectralWidth(Record):
    """λ_max − λ_min, never more than the true width.

    Attributes:
        value: λ_max − λ_min of the values computed.
        slack: The true width is at most ``value + slack`` if the values are the extreme ones: the sum of
            their residual bounds. A bound, not a standard error.
        largest: λ_max.
        smallest: λ_min.
        converged: Whether both ends have converged.
        cost: What both ends took.
    """

    value: float
    slack: float
    largest: float
    smallest: float
    converged: bool
    cost: Cost

    def __str__(self) -> str:
        return f"spectral width {self.value:.4g} (true width at most {self.slack:.1e} more)"


@dataclass(frozen=True)
class Conditioning(Record):
    """The condition numbers of a symmetric matrix that may be indefinite or singular.

    λ_max and λ_min are the largest and the smallest *algebraic* eigenvalue. What needs interior
    eigenvalues is ``None`` unless the whole spectrum was given.

    Attributes:
        raw: λ_max / λ_min, with its sign; ``None`` where λ_min = 0.
        damped: λ_max / (max(λ_min, 0) + ε).
        magnitude: λ_max / max(|λ_min|, ε).
        absolute: max|λ| / min|λ|, needs the whole spectrum; ``None`` also where min|λ| = 0.
        effective: λ_max / (smallest eigenvalue above τ·λ_max), needs the whole spectrum.
        bulk: λ_max / (median positive eigenvalue), needs the whole spectrum.
        epsilon: ε, in units of the eigenvalues.
        tau: τ.
    """

    raw: float | None
    damped: float
    magnitude: float
    absolute: float | None
    effective: float | None
    bulk: float | None
    epsilon: float
    tau: float

    def __str__(self) -> str:
        return f"condition number {self.magnitude:.4g} (λ_max / max(|λ_min|, {self.epsilon:.1g}))"


@dataclass(frozen=True)
class NegativeCurvature(Record):
    """Negative eigenvalues that were found: a lower bound on the index unless ``exhaustive``.

    Attributes:
        count: Eigenvalues below −threshold among those computed.
        mass: Σ|λ| over them.
        smallest: The smallest eigenvalue computed.
        threshold: What still counts as zero, in units of the eigenvalues.
        exhaustive: Whether every negative eigenvalue must be among those computed.
    """

    count: int
    mass: float
    smallest: float
    threshold: float
    exhaustive: bool

    def __str__(self) -> str:
        bound = "" if self.exhaustive else "at least "
        return f"{bound}{self.count} negative eigenvalues, mass {self.mass:.4g}, smallest {self.smallest:.4g}"


@dataclass(frozen=True)
class Anisotropy(Record):
    """LAS_k: the share of the gradient's energy in the span of the k leading eigenvectors.

    Attributes:
        shares: LAS_1 … LAS_k, shape (k,); ``None`` at a critical point (‖g‖ = 0), where it is 0/0.
        null_mean: k/P for each k, the mean for a direction drawn uniformly, shape (k,).
        null_sd: √(2k(P−k) / (P²(P+2))) for each k, shape (k,).
        p_values: Upper tail of Beta(k/2, (P−k)/2) at the shares, shape (k,); ``None`` with ``shares``.
    """

    shares: Tensor | None
    null_mean: Tensor
    null_sd: Tensor
    p_values: Tensor | None

    def __str__(self) -> str:
        if self.shares is None:
            return "LAS undefined: the gradient vanishes"
        k = len(self.shares)
        return (
            f"LAS_{k} = {self.shares[-1]:.4g} (a random direction: {self.null_mean[-1]:.2g} ± {self.null_sd[-1]:.1g})"
        )


@dataclass(frozen=True)
class Sharpness(Record):
    """S_ρ = max over ‖δ‖ ≤ ρ of L(θ+δ) − L(θ), or a lower bound on it.

    Attributes:
        value: The largest rise found, never below 0 (δ = 0 is in the ball).
        raw: L(θ+δ) − L(θ) at the δ of the method itself, which may be negative; ``None`` where the
            method has no δ (one step at a vanishing gradient).
        rho: Radius in parameter space.
        method: "one-step", "ascent" or "trust-region".
        base: L(θ).
        restarts: Rise found from each start of the ascent, shape (starts,); ``None`` for the other methods.
        lower_bound: Whether ``value`` is only a lower bound of the maximum.
        cost: What it took.
    """

    value: float
    raw: float | None
    rho: float
    method: str
    base: float
    restarts: Tensor | None
    lower_bound: bool
    cost: Cost

    def __str__(self) -> str:
        sign = "≥" if self.lower_bound else "="
        return f"S_{self.rho:g} {sign} {self.value:.4g} ({self.method})"


@dataclass(frozen=True)
class StepPrediction(Record):
    """The change of the loss for the step −η v: predicted by the quadratic model, and measured.

    Attributes:
        eta: Step length η.
        linear: −η vᵀg.
        quadratic: −η vᵀg + ½η² vᵀHv.
        actual: L(θ − ηv) − L(θ).
        curvature: vᵀHv.
        cost: What it took.
    """

    eta: float
    linear: float
    quadratic: float
    actual: float
    curvature: float
    cost: Cost

    def __str__(self) -> str:
        return f"ΔL = {self.actual:.4g} for η = {self.eta:g} (quadratic model {self.quadratic:.4g})"

"""What the measures of sharpness beyond the ball of one landscape return."""

from dataclasses import dataclass, replace

from torch import Tensor

from thalweg.estimate import Cost, Estimate
from thalweg.record import Record


@dataclass(frozen=True)
class QuadraticSharpness(Record):
    """The largest value of the quadratic model gᵀδ + ½δᵀHδ on ‖δ‖ ≤ ρ, and the rise of the loss where it is reached.

    Attributes:
        value: The rise of the loss at δ, never below 0: a lower bound on S_ρ.
        model: gᵀδ + ½δᵀHδ, the maximum of the quadratic model. With H the Hessian it is S_ρ to third order in ρ, from
            either side.
        slack: The model's maximum is at most ``model + slack``, if λ_max is the largest eigenvalue: the residual of
            δ, and what is left open of λ_max. A bound, not a standard error.
        reached: L(θ+δ) − L(θ), which may be negative; in the hard case the larger one of the two δ.
        rho: Radius in parameter space.
        length: ‖δ‖: ρ, or less where the maximum lies inside.
        multiplier: μ ≥ max(0, λ_max) with (μ − H) δ = g.
        largest: λ_max of H.
        hard_case: Whether (λ_max − H)⁺ g is shorter than ρ, and g has so little along the leading eigenspace that
            either sign of δ's part in it is a maximum, to the tolerance: then μ ≈ λ_max.
        interior: Whether the maximum lies inside of the ball (μ = 0).
        base: L(θ).
        delta: δ, shape (P,), in the hard case the one where the loss is higher; ``None`` after :meth:`without_delta`.
        residual: ‖g − (μ − H) δ‖.
        converged: Whether the eigenpair and δ have converged.
        lower_bound: Whether ``value`` is only a lower bound of S_ρ.
        cost: What it took.
    """

    value: float
    model: float
    slack: float
    reached: float
    rho: float
    length: float
    multiplier: float
    largest: float
    hard_case: bool
    interior: bool
    base: float
    delta: Tensor | None
    residual: float
    converged: bool
    lower_bound: bool
    cost: Cost

    def without_delta(self) -> "QuadraticSharpness":
        """Return the same result without the vector, small enough to store."""
        return replace(self, delta=None)

    def __str__(self) -> str:
        case = " (hard case)" if self.hard_case else " (inside the ball)" if self.interior else ""
        sign = "≥" if self.lower_bound else "="
        return f"S_{self.rho:g} {sign} {self.value:.4g} (trust region); quadratic model {self.model:.4g}{case}"


@dataclass(frozen=True)
class AdaptiveSharpness(Record):
    """Max over ‖T⁻¹δ‖ ≤ ρ of L(θ+δ) − L(θ) with T from the weights, or a lower bound on it.

    Attributes:
        value: The largest rise found, never below 0 (δ = 0 is in the region): a lower bound on the maximum.
        raw: L(θ+δ) − L(θ) at the δ of the method itself, which may be negative; ``None`` where the
            method has no δ (one step where T g = 0).
        rho: Radius, relative to the weights.
        method: "one-step" or "ascent".
        normalization: "element" or "filter".
        eta: What was added to the scales.
        base: L(θ).
        restarts: Rise found from each start of the ascent, shape (starts,); ``None`` for one step.
        lower_bound: Whether ``value`` is only a lower bound of the maximum.
        cost: What it took.
    """

    value: float
    raw: float | None
    rho: float
    method: str
    normalization: str
    eta: float
    base: float
    restarts: Tensor | None
    lower_bound: bool
    cost: Cost

    def __str__(self) -> str:
        sign = "≥" if self.lower_bound else "="
        return f"adaptive S_{self.rho:g} {sign} {self.value:.4g} ({self.normalization}-wise, {self.method})"


@dataclass(frozen=True)
class GroupSharpness(Record):
    """m-sharpness: the mean over groups of m data items of the largest rise of each group's own loss.

    Attributes:
        rise: The mean with its errors: ``standard_error`` for groups that were left out (0 where all were seen, for
            this division into groups), ``data_error`` for having these data items and not others.
        values: Rise of each group that was looked at, never below 0, shape (groups,).
        sizes: Items of each of them.
        rho: Radius in parameter space.
        m: Items a group that were asked for; where m does not divide N some or all groups have fewer.
        groups: How many groups the data were divided into, but for those whose items are all masked.
        method: "one-step" or "ascent".
        lower_bound: Whether each group's rise is only a lower bound of its maximum.
        cost: What it took, in passes over all of the data, rounded up.
    """

    rise: Estimate
    values: Tensor
    sizes: tuple[int, ...]
    rho: float
    m: int
    groups: int
    method: str
    lower_bound: bool
    cost: Cost

    def __str__(self) -> str:
        sign = "≥" if self.lower_bound else "="
        few, many = min(self.sizes, default=self.m), max(self.sizes, default=self.m)
        size = f"{few}" if few == many else f"{few}–{many}"
        return f"{size}-sharpness S_{self.rho:g} {sign} {self.rise} ({self.method}, {len(self.values)} groups)"


@dataclass(frozen=True)
class KeskarSharpness(Record):
    """100 · (max L in the box − L(θ)) / (1 + L(θ)), or a lower bound on it.

    Attributes:
        value: The metric; ``None`` where 1 + L(θ) is not positive.
        rise: The largest rise found in the box, never below 0.
        epsilon: ε of the box |z_i| ≤ ε (|(A⁺θ)_i| + 1).
        subspace: Dimension of the subspace that the box lies in; ``None`` for the whole space.
        base: L(θ).
        restarts: Rise found from each start of the ascent, shape (starts,).
        lower_bound: Whether the rise is only a lower bound of the maximum.
        cost: What it took.
    """

    value: float | None
    rise: float
    epsilon: float
    subspace: int | None
    base: float
    restarts: Tensor
    lower_bound: bool
    cost: Cost

    def __str__(self) -> str:
        if self.value is None:
            return f"sharpness in the box undefined: 1 + L = {1 + self.base:.4g}"
        where = "" if self.subspace is None else f" of {self.subspace} dimensions"
        sign = "≥" if self.lower_bound else "="
        return f"sharpness {sign} {self.value:.4g} in the box{where} with ε = {self.epsilon:g}"


@dataclass(frozen=True)
class PerturbationLaw(Record):
    """ΔL(ε) along unit directions, both ways, against its quadratic model and against ½ε²λ_max.

    The even part, the mean of both ways, is free of the slope: away from a critical point it is what the law
    ΔL ≈ ½ε²vᵀHv speaks of. ``None`` stands for what rounding hides.

    Attributes:
        epsilons: ε, ascending, shape (e,).
        forward: L(θ+εv) − L(θ), shape (directions, e).
        backward: L(θ−εv) − L(θ), shape (directions, e).
        slopes: vᵀg, shape (directions,).
        curvatures: vᵀHv, shape (directions,).
        largest: λ_max, for the ceiling ½ε²λ_max of the quadratic law.
        orders: Fitted exponent of ε in the even part, for each direction: 2 where the law holds. ``None`` where fewer
            than two ε are above rounding.
        reaches: The largest ε up to which the quadratic model predicts both rises to ``tolerance``, for each
            direction: 0 where it fails at the smallest ε that is above rounding, ``None`` where none is.
        tolerance: Relative to ε|vᵀg| + ½ε²|vᵀHv|.
        resolution: Rises below this are rounding.
        base: L(θ).
        cost: What it took.
    """

    epsilons: Tensor
    forward: Tensor
    backward: Tensor
    slopes: Tensor
    curvatures: Tensor
    largest: float
    orders: tuple[float | None, ...]
    reaches: tuple[float | None, ...]
    tolerance: float
    resolution: float
    base: float
    cost: Cost

    @property
    def even(self) -> Tensor:
        """½(ΔL(ε) + ΔL(−ε)), shape (directions, e)."""
        return (self.forward + self.backward) / 2

    @property
    def predicted(self) -> Tensor:
        """The quadratic model ε vᵀg + ½ε² vᵀHv, of ``forward``, shape (directions, e)."""
        return self.slopes[:, None] * self.epsilons + self.curvatures[:, None] * self.epsilons**2 / 2

    @property
    def ceiling(self) -> Tensor:
        """½ε²λ_max, which no even part exceeds where the quadratic law holds, shape (e,)."""
        return self.largest * self.epsilons**2 / 2

    def __str__(self) -> str:
        orders = sorted(order for order in self.orders if order is not None)
        reaches = [reach for reach in self.reaches if reach is not None]
        count = len(self.orders)
        fitted = f"ΔL ~ ε^{orders[len(orders) // 2]:.2f}" if orders else "ΔL hidden by rounding"
        within = f", quadratic up to ε = {min(reaches):.3g}" if reaches else ""
        return f"{fitted} along {count} direction{'s' if count > 1 else ''}{within}"

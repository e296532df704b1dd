"""The quantities that are measured together: each a function of what they share, with its rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from thalweg.estimate import Estimate
from thalweg.measures._alignment import SAME, cosine, surely_positive, trace_of
from thalweg.measures._anisotropy import anisotropy, share_bounds
from thalweg.measures._ascent import Ball
from thalweg.measures._difficulty import difficulty_index, difficulty_slack, unalignable
from thalweg.measures._measure_results import Quantity
from thalweg.measures._shared import Need, Shared
from thalweg.measures._sharpness import one_step

Rows = list[Quantity]


@dataclass(frozen=True)
class Measured:
    """How rows come about, and from what."""

    rows: Callable[[Shared], Rows]
    needs: tuple[Need, ...]


def exact(name: str, value: float | None, note: str = "") -> Quantity:
    """Return a row without an error, or without a value."""
    return Quantity(name, value, None if value is None else 0.0, value, value, "exact", note)


def estimated(name: str, estimate: Estimate | None, absent: str = "") -> Quantity:
    """Return a row with a standard error and its interval."""
    if estimate is None:
        return Quantity(name, None, None, None, None, "estimate", absent)
    low, high = estimate.interval() or (None, None)
    note = "not converged" if estimate.converged is False else ""
    return Quantity(name, estimate.value, estimate.standard_error, low, high, "estimate", note)


def of_data(name: str, estimate: Estimate | None, absent: str = "") -> Quantity:
    """Return a row that is exact for these data, and say how it would differ on others."""
    if estimate is None:
        return exact(name, None, absent)
    other = "" if estimate.data_error is None else f"± {estimate.data_error:.2g} on other data of the kind"
    return exact(name, estimate.value, other)


def bounded(name: str, value: float, residual: float, *, converged: bool) -> Quantity:
    """Return a row of an eigenvalue, which has another one within the residual."""
    note = "" if converged else "not converged"
    return Quantity(name, value, None, value - residual, value + residual, "bounds", note)


def loss(shared: Shared) -> Rows:
    """L(θ)."""
    return [exact("loss", shared.slope[0])]


def gradient_norm(shared: Shared) -> Rows:
    """‖∇L‖."""
    return [exact("gradient norm", shared.landscape.space.norm(shared.slope[1]))]


def eigenvalues(shared: Shared) -> Rows:
    """Both ends of the spectrum, and what is made of them."""
    found = shared.spectrum
    ends = {"largest eigenvalue": found.top, "smallest eigenvalue": found.bottom}
    rows = [
        bounded(name, float(pairs.values[0]), float(pairs.residuals[0]), converged=bool(pairs.converged[0]))
        for name, pairs in ends.items()
    ]
    width = found.width
    rows.append(Quantity("spectral width", width.value, None, width.value, width.value + width.slack, "bounds"))
    rows.append(_condition(shared))
    gap = "no gap" if found.outliers is None else "above the widest gap"
    return [*rows, exact("outliers", None if found.outliers is None else float(found.outliers), gap)]


def _condition(shared: Shared) -> Quantity:
    """λ_max / max(|λ_min|, ε) between what the residuals of both ends allow."""
    found = shared.spectrum
    value, floor = found.conditioning.magnitude, found.conditioning.epsilon
    (top, above), (bottom, below) = (
        (float(pairs.values[0]), float(pairs.residuals[0])) for pairs in (found.top, found.bottom)
    )
    sizes = (max(abs(bottom) - below, floor), max(abs(bottom) + below, floor))
    ends = [upper / size for upper in (top - above, top + above) for size in sizes]
    note = "λ_max / max(|λ_min|, ε)"
    return Quantity("condition number", value, None, min(*ends, value), max(*ends, value), "bounds", note)


def trace(shared: Shared) -> Rows:
    """The trace of H."""
    return [estimated("trace", shared.spectrum.trace)]


def sums(shared: Shared) -> Rows:
    """What else is summed over the eigenvalues."""
    found = shared.spectrum
    return [
        estimated("squared Frobenius norm", found.frobenius),
        estimated("log-determinant of |H| + ε", found.logdet_absolute),
        estimated("negative mass", found.negative_mass),
        estimated("index", found.index),
        estimated("nullity", found.nullity),
        estimated("participation ratio", found.participation_ratio, "the trace may be zero"),
        estimated("stable rank", found.stable_rank, "no positive eigenvalue"),
        estimated("effective dimension", found.effective_dimension),
        estimated("entropy rank", found.entropy_rank, "the matrix is zero"),
    ]


def gradient_share(shared: Shared) -> Rows:
    """LAS_k: the gradient's energy in the leading eigenvectors."""
    pairs = shared.spectrum.top
    shares = anisotropy(shared.slope[1], pairs).shares
    wanted = sorted({1, len(pairs.values)})
    if shares is None:
        return [
            Quantity(f"LAS_{k}", None, None, None, None, "estimate", "undefined at a critical point") for k in wanted
        ]
    low, high = share_bounds(shares, pairs, shared.spectrum.bottom, shared.landscape.size)
    rows = []
    for k in wanted:
        value, least, most = min(1.0, float(shares[k - 1])), low[k - 1], high[k - 1]
        bound = least > 0 or most < 1
        unsure = "" if bool(pairs.converged[:k].all()) else "not converged"
        if not bound:
            unsure = f"eigenvectors not resolved: no gap beyond the residuals{unsure and ', '}{unsure}"
        # Rounding of the shares themselves is not in the bounds.
        below, above = (min(least, value), max(most, value)) if bound else (None, None)
        rows.append(Quantity(f"LAS_{k}", value, None, below, above, "bounds" if bound else "estimate", unsure))
    return rows


def one_step_sharpness(shared: Shared) -> Rows:
    """S_ρ by one step along the gradient that there is."""
    found = one_step(shared.landscape, shared.settings.rho, *shared.slope)
    shared.spend(found.cost.gradients, found.cost.losses)
    if found.raw is None:
        return [_rise_along_eigenvector(shared, f"sharpness at {found.rho:g}")]
    return [Quantity(f"sharpness at {found.rho:g}", found.value, None, found.value, None, "lower bound", "one step")]


def _rise_along_eigenvector(shared: Shared, name: str) -> Quantity:
    """The larger rise at ±ρ along the leading eigenvector, ½ρ²λ_max of a quadratic, if it is there or asked for."""
    if not shared.awaits("spectrum"):
        note = "undefined: the gradient is zero; ask for eigenvalues, too, or call tw.quadratic_sharpness"
        return Quantity(name, None, None, None, None, "lower bound", note)
    (base, gradient), vectors = shared.slope, shared.spectrum.top.vectors
    assert vectors is not None  # noqa: S101 - the spectrum is asked for with them
    ball = Ball(shared.landscape, shared.settings.rho, base)
    edge = ball.edge(vectors[:, 0].to(gradient))
    shared.spend(losses=2)
    rise = max(0.0, *(ball.loss(sign * edge) - base for sign in (1, -1)))
    note = "along the leading eigenvector, as the gradient is zero"
    return Quantity(name, rise, None, rise, None, "lower bound", note)


def noise(shared: Shared) -> Rows:
    """Tr Σ and the scales of one pass over single items, and the largest eigenvalue of Σ."""
    found = shared.items
    rows = [
        of_data("trace of Σ", found.trace),
        of_data("gradient noise scale", found.scale, "undefined at a critical point"),
    ]
    if found.trace.value <= shared.floor:
        return [*rows, Quantity("largest eigenvalue of Σ", None, None, None, None, "bounds", SAME)]
    pairs = shared.noise
    return [
        *rows,
        bounded(
            "largest eigenvalue of Σ",
            float(pairs.values[0]),
            float(pairs.residuals[0]),
            converged=bool(pairs.converged[0]),
        ),
    ]


def noise_alignment(shared: Shared) -> Rows:
    """How Σ lies to H."""
    found = shared.alignment
    return [
        estimated("cosine of Σ and H", found.cosine, found.reason or "a matrix is zero"),
        estimated("Zhu's ratio", found.zhu, found.reason or "a trace may be zero"),
        estimated("share of Σ in the leading eigenvectors", found.top_share, found.reason or "Σ may be zero"),
    ]


def difficulty(shared: Shared) -> Rows:
    """D(θ) from λ_max and the inner products of the alignment; an error of λ_max widens the interval."""
    found, pairs = shared.inner, shared.spectrum.top
    largest = float(pairs.values[0])
    reason = unalignable(found, "cosine", shared.floor)
    if reason is None and largest <= 0:
        reason = "no positive eigenvalue"
    if reason is None and not surely_positive(trace_of(found, 1)):
        reason = "tr H may not be positive; tw.difficulty takes another trace"
    index = None if reason else difficulty_index(found, largest, lambda cross, _: cosine(cross, 0, 1))
    row = estimated("difficulty", index, reason or "undefined")
    if index is None or row.low is None or row.high is None:
        return [row]
    slack = difficulty_slack(index, largest, float(pairs.residuals[0]))
    note = "" if bool(pairs.converged[0]) else "largest eigenvalue not converged"
    return [replace(row, low=row.low - slack, high=row.high + slack, note=note)]


QUANTITIES: dict[str, Measured] = {
    "loss": Measured(loss, ("slope",)),
    "gradient_norm": Measured(gradient_norm, ("slope",)),
    "eigenvalues": Measured(eigenvalues, ("spectrum",)),
    "trace": Measured(trace, ("spectrum",)),
    "sums": Measured(sums, ("spectrum",)),
    "anisotropy": Measured(gradient_share, ("slope", "spectrum")),
    "sharpness": Measured(one_step_sharpness, ("slope", "loss")),
    "noise": Measured(noise, ("slope", "items", "noise")),
    "alignment": Measured(noise_alignment, ("slope", "spectrum", "inner", "quotients")),
    "difficulty": Measured(difficulty, ("slope", "spectrum", "inner")),
}

"""Has training converged, and is this a minimum?"""

from collections.abc import Sequence

from thalweg.figures._numbers import percent, with_error
from thalweg.report._verdict import Column, Fact, Tone, Verdict, joint, pending, share
from thalweg.study._results import Measurement

GAIN = 0.01
"""Converged: a gradient step of length 1/λ₁ would lower the loss by at most this share of it."""
NEGATIVE = 1e-3
"""An eigenvalue is negative where it lies below minus this share of λ₁, by more than its residual."""


def stationarity(measurements: Sequence[Measurement], decay: float | None = None) -> Verdict:
    """Answer whether training has converged, and whether this is a minimum.

    Args:
        measurements: Of each point.
        decay: The weight decay of the training, if it is known.
    """
    settled, cup = [converged(item) for item in measurements], [convex(item) for item in measurements]
    if len(measurements) == 1:
        answer = _alone(measurements[0], settled[0], cup[0])
    else:
        answer = f"Converged along the gradient in {share(settled, 'yes')}"
        if "open" in settled:
            answer += f", open in {settled.count('open')}"
        answer += f"; negative curvature in {share(cup, 'no')}"
        if "open" in cup:
            answer += f", open in {cup.count('open')}"
        elif set(cup) == {"no"}:
            answer += ", so none is a minimum"
    return Verdict(
        "Has training converged, and is this a minimum?",
        f"{answer}.",
        joint([_both(a, b) for a, b in zip(settled, cup, strict=True)]),
        tuple(Column(item.name, _facts(item)) for item in measurements),
        f"Converged: the gain of a gradient step of length 1/λ₁ is at most {percent(GAIN, 0)} of the loss. "
        f"Negative: below −{percent(NEGATIVE)} of λ₁ by more than the residual."
        + (f" Weight decay ({decay:g}) is no part of this loss, though training had it." if decay else ""),
    )


def converged(item: Measurement) -> Tone:
    """Say whether training has converged, as far as the gradient tells."""
    gain = relative_gain(item)
    if gain is None:
        # With no positive curvature at all, a gradient that does not vanish leads down without end.
        downhill = float(item.top.values[0]) <= 0 and bool(item.top.converged[0])
        return "no" if downhill else "open"
    return "yes" if gain <= GAIN else "no"


def relative_gain(item: Measurement) -> float | None:
    """Return the gain of a gradient step of length 1/λ₁ as a share of the loss.

    The larger of the measured decrease and that of the quadratic model: a claim of convergence has to
    hold for both. ``None`` where it has no meaning: λ₁ ≤ 0, or a loss that is not positive.
    """
    if item.gradient_norm.value == 0:
        return 0.0
    if item.step is None or item.train.loss.value <= 0:
        return None
    return max(-item.step.actual, -item.step.quadratic, 0.0) / item.train.loss.value


def convex(item: Measurement) -> Tone:
    """Say whether no negative curvature was found: "no" where there is some, "open" where residuals hide it."""
    if negative_count(item):
        return "no"
    smallest, residual = float(item.bottom.values[0]), float(item.bottom.residuals[0])
    undecided = not bool(item.bottom.converged[0]) or smallest - residual < -NEGATIVE * curvature_scale(item)
    return "open" if undecided else "yes"


def negative_count(item: Measurement) -> int:
    """Count the eigenvalues that lie below −``NEGATIVE``·λ₁ by more than their residuals.

    Ritz values interlace the eigenvalues, so at least as many eigenvalues lie there.
    """
    upper = item.bottom.values.double() + item.bottom.residuals.double()
    return int((upper < -NEGATIVE * curvature_scale(item)).sum())


def curvature_scale(item: Measurement) -> float:
    """Return λ₁, which residuals and negative eigenvalues are held against; |λ_min| where λ₁ ≤ 0."""
    largest, smallest = float(item.top.values[0]), float(item.bottom.values[0])
    return largest if largest > 0 else abs(smallest)


def _alone(item: Measurement, settled: Tone, cup: Tone) -> str:
    first = {"yes": "Converged along the gradient", "no": "Not converged"}.get(settled, "Convergence is open")
    if cup == "no":
        count = negative_count(item)
        bound = "" if item.negative.exhaustive else "at least "
        return f"{first}; not a minimum: {bound}{count} negative eigenvalue{'' if count == 1 else 's'}"
    if cup == "yes":
        return f"{first}; no negative curvature among the {len(item.bottom.values)} smallest eigenvalues computed"
    return f"{first}; the smallest eigenvalue is not known well enough to tell a minimum"


def _both(settled: Tone, cup: Tone) -> Tone:
    if settled != "yes":
        return settled
    return "partly" if cup == "no" else cup


def _facts(item: Measurement) -> tuple[Fact, ...]:
    gain, settled, cup = relative_gain(item), converged(item), convex(item)
    smallest, residual = float(item.bottom.values[0]), float(item.bottom.residuals[0])
    if cup == "no":
        found = ("" if item.negative.exhaustive else "≥ ") + str(negative_count(item))
    else:
        found = f"none in {len(item.bottom.values)}" if cup == "yes" else "open"
    return (
        Fact("‖∇L‖", with_error(item.gradient_norm.value, item.gradient_norm.standard_error)),
        Fact("gain", "not determined" if gain is None else percent(gain, 2), settled == "no"),
        Fact("λ < 0", found, cup == "no"),
        Fact("lowest λ", with_error(smallest, residual, 2) + pending(bool(item.bottom.converged[0]))),
    )

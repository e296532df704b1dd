"""The first screen: five questions, each answered in one sentence and a few numbers, with the rule stated.

Every function here is pure: findings in, sentences out. None claims more than its numbers carry: a
count of negative eigenvalues is a lower bound unless all must have been found, a residual that is
too large leaves a question open, and so does a number that was not determined.
"""

from collections.abc import Sequence

from thalweg.estimate import Cost
from thalweg.figures._numbers import duration, number, percent, thousands, with_error
from thalweg.report._connectivity import batch_norm, connectivity
from thalweg.report._stationarity import curvature_scale, stationarity
from thalweg.report._verdict import Column, Fact, Tone, Verdict, pending, spread
from thalweg.study._results import Findings, Measurement

RESIDUAL = 0.01
"""An eigenvalue is known where its residual is at most this share of λ₁."""
TRACE_ERROR = 0.1
"""A trace is known where its standard error is at most this share of it."""


def verdicts(findings: Findings) -> tuple[Verdict, ...]:
    """Answer the five questions of the first screen."""
    return (
        stationarity(findings.measurements, _decay(findings)),
        sharpness(findings.measurements),
        directions(findings.measurements),
        connectivity(findings.connections, batch_norm(findings)),
        trust(findings),
    )


def sharpness(measurements: Sequence[Measurement]) -> Verdict:
    """Answer how sharp the points are."""
    values = [float(item.top.values[0]) for item in measurements]
    low, high = min(values), max(values)
    if high <= 0:
        answer = "No positive curvature was found, so none bounds the learning rate."
    elif len(measurements) == 1:
        residual, done = float(measurements[0].top.residuals[0]), bool(measurements[0].top.converged[0])
        answer = f"λ₁ = {with_error(high, residual)}{pending(done)}: in its direction plain gradient descent is stable "
        answer += f"below a learning rate of {'about ' if not done else ''}{number(2 / high)}."
    else:
        names = [measurements[values.index(value)].name for value in (low, high)]
        answer = f"λ₁ runs from {number(low)} ({names[0]}) to {number(high)} ({names[1]})."
    radii = " or ".join(f"{radius:g}" for radius in sorted({item.ascent.rho for item in measurements}))
    return Verdict(
        "How sharp is it?",
        answer,
        "value",
        tuple(Column(item.name, _sharpness_facts(item)) for item in measurements),
        f"S is the largest rise of the loss found within a ball of radius ρ = {radii}, a lower bound where it says ≥. "
        "2/λ₁ is the largest stable learning rate of plain gradient descent on the quadratic model.",
    )


def directions(measurements: Sequence[Measurement]) -> Verdict:
    """Answer how many directions matter."""
    counts = [item.outliers for item in measurements]
    known = [count for count in counts if count is not None]
    ranks = [item.effective_rank.value for item in measurements if item.effective_rank is not None]
    if not known:
        first = "No gap sets outliers apart"
    elif len(known) < len(counts):
        first = f"{spread(known)} outliers in {len(known)} of {len(counts)}, no gap in the rest"
    else:
        first = f"{spread(known)} outlier{'' if set(known) == {1} else 's'}"
    second = "the effective rank was not determined"
    if ranks:
        sizes = spread([item.size for item in measurements])
        second = f"an effective rank of {spread(ranks)} among {sizes} parameters"
    return Verdict(
        "How many directions matter?",
        f"{first}; {second}.",
        "value",
        tuple(Column(item.name, _direction_facts(item)) for item in measurements),
        "Outliers lie above the largest gap among the largest eigenvalues. "
        "Effective rank: (tr H)² / tr H². Gradient: its share in the leading eigenvectors.",
    )


def trust(findings: Findings) -> Verdict:
    """Answer how far all this is to be trusted."""
    items = findings.measurements
    total = sum((item.cost for item in items), Cost())
    total = sum((connection.path.cost for connection in findings.connections), total)
    undone, pairs = sum(map(_unconverged, items)), sum(len(i.top.values) + len(i.bottom.values) for i in items)
    partial = sum(not (item.top.complete and item.bottom.complete) for item in items)
    first = f"{undone} of {pairs} eigenvalues did not converge" if undone else f"All {pairs} eigenvalues converged"
    if partial:
        first += ", copies of multiple ones may be missing"
    errors = [_trace_error(item) for item in items]
    known = [error for error in errors if error is not None]
    second = f"the trace is known to ± {percent(max(known))}" if known else "the trace has no error bar"
    if 0 < len(known) < len(errors):
        second += f" in {len(known)} of {len(errors)}, and has no error bar in the rest"
    every_datum = all(item.trace.data_error is not None for item in items)
    third = "was determined" if every_datum else "was not determined"
    sound = not undone and not partial and len(known) == len(errors) and max(known) <= TRACE_ERROR
    sound = sound and all(_residual_share(item) <= RESIDUAL for item in items)
    tone: Tone = "open" if not sound else "yes" if every_datum else "partly"
    return Verdict(
        "How far can this be trusted?",
        f"{first}; {second}; what other data would change in the curvature {third}.",
        tone,
        tuple(Column(item.name, _trust_facts(item)) for item in items),
        f"All of it took {thousands(total.matvecs)} products with the Hessian and {duration(findings.seconds)}. "
        "± is the estimator’s error: a residual bound, or a standard error over probes.",
    )


def _sharpness_facts(item: Measurement) -> tuple[Fact, ...]:
    rate, rise, done = item.stable_learning_rate, item.ascent, bool(item.top.converged[0])
    value = with_error(float(item.top.values[0]), float(item.top.residuals[0]), 2)
    return (
        Fact("λ₁", value + pending(done), not done),
        Fact("S", ("≥ " if rise.lower_bound else "") + number(rise.value)),
        Fact("2/λ₁", "none: λ₁ ≤ 0" if rate is None else number(rate), rate is None),
    )


def _direction_facts(item: Measurement) -> tuple[Fact, ...]:
    whole = item.top.complete and bool(item.top.converged.all())
    rank, shares = item.effective_rank, item.anisotropy.shares
    among = f"{'' if whole else '≥ '}{item.outliers} in top {len(item.top.values)}"
    facts = [
        Fact("outliers", "no gap" if item.outliers is None else among),
        Fact("eff. rank", "not determined" if rank is None else with_error(rank.value, rank.standard_error)),
    ]
    if shares is not None and len(shares):
        facts.append(Fact("gradient", f"{percent(float(shares[-1]), 0)} in top {len(shares)}"))
    return tuple(facts)


def _trust_facts(item: Measurement) -> tuple[Fact, ...]:
    undone, error, residual = _unconverged(item), _trace_error(item), _residual_share(item)
    residuals = f"{undone} not converged" if undone else f"≤ {percent(residual, 3)} of λ₁"
    return (
        Fact("residuals", residuals, bool(undone) or residual > RESIDUAL),
        Fact("trace", "no error bar" if error is None else f"± {percent(error)}", error is None or error > TRACE_ERROR),
        Fact("products", thousands(item.cost.matvecs)),
        Fact("time", duration(item.cost.seconds)),
    )


def _decay(findings: Findings) -> float | None:
    value = findings.configuration.get("weight_decay")
    return float(value) if isinstance(value, (int, float)) else None


def _trace_error(item: Measurement) -> float | None:
    if item.trace.standard_error is None or item.trace.value == 0:
        return None
    return abs(item.trace.standard_error / item.trace.value)


def _unconverged(item: Measurement) -> int:
    return int((~item.top.converged).sum()) + int((~item.bottom.converged).sum())


def _residual_share(item: Measurement) -> float:
    worst = max(float(item.top.residuals.max()), float(item.bottom.residuals.max()))
    return worst / (curvature_scale(item) or 1.0)

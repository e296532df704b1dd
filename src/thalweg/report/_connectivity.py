"""Are the solutions connected?"""

from collections.abc import Sequence

from thalweg.figures._numbers import number, percent
from thalweg.report._verdict import Column, Fact, Tone, Verdict, joint, share
from thalweg.study._results import Connection, Findings

BARRIER = 0.1
"""Connected: the loss rises above the chord by at most this share of the larger end loss."""
ACCURACY_DROP = 0.02
"""A barrier in the loss is one in the accuracy, too, where that falls by more than this below its chord."""

_QUESTION = "Are the solutions connected?"


def connectivity(connections: Sequence[Connection], statistics: str | None = None) -> Verdict:
    """Answer whether the solutions are connected.

    Args:
        connections: The paths.
        statistics: What was done about batch normalisation on them, to be quoted.
    """
    rule = (
        f"Connected along the path: at the points scanned the loss stays within {percent(BARRIER, 0)} of the larger "
        "end loss above the chord. A barrier on a straight line does not exclude a curved path without one."
    )
    if not connections:
        answer = "Not measured: this run has no path between two points."
        return Verdict(_QUESTION, answer, "open", (), rule, shared=False)
    if statistics is not None:
        rule += f" Batch normalisation: {statistics}."
    tones = [connected(item) for item in connections]
    answer = f"Connected in {share(tones, 'yes')} paths; barriers in {share(tones, 'no')}."
    if len(connections) == 1:
        answer = _alone(connections[0], tones[0])
    columns = tuple(Column(f"{c.path.labels[0]} → {c.path.labels[1]}", _facts(c)) for c in connections)
    return Verdict(_QUESTION, answer, joint(tones), columns, rule, shared=False)


def connected(item: Connection) -> Tone:
    """Say whether a path joins its ends without a barrier; "partly" where the accuracy does not notice it."""
    ends = [item.path.loss[item.path.position == end].double() for end in (0, 1)]
    if item.barrier.excluded or any(len(end) != 1 or not bool(end.isfinite().all()) for end in ends):
        return "open"
    if item.barrier.linear <= BARRIER * max(float(end[0]) for end in ends):
        return "yes"
    drop = accuracy_drop(item)
    return "partly" if drop is not None and drop <= ACCURACY_DROP else "no"


def accuracy_drop(item: Connection) -> float | None:
    """Return how far the accuracy falls below the chord between its ends; ``None`` without an accuracy."""
    curve = item.path.metrics.get("accuracy")
    if curve is None or not bool(curve.isfinite().all()):
        return None
    start, end = (curve[item.path.position == at].double() for at in (0, 1))
    if len(start) != 1 or len(end) != 1:
        return None
    alpha = item.path.position.double()
    return float(((1 - alpha) * start + alpha * end - curve.double()).max())


def batch_norm(findings: Findings) -> str | None:
    """Return what the configuration says about batch normalisation, if it says anything."""
    for key, value in findings.configuration.items():
        if "".join(filter(str.isalnum, key.lower())).startswith("batchnorm") and value is not None:
            return str(value).rstrip(".")
        if key == "path.buffers" and value == "interpolated":
            return (
                "running statistics are interpolated with the weights; estimated anew at each point, they often give "
                "a lower barrier"
            )
    return None


def _alone(item: Connection, tone: Tone) -> str:
    along = "the straight line" if item.path.kind == "linear" else f"this {item.path.kind} path"
    rise, drop = number(item.barrier.linear), accuracy_drop(item)
    if tone == "yes":
        return f"Yes, along {along}: the loss rises by no more than {rise} above the chord."
    if tone == "partly":
        return f"Nearly, along {along}: the loss rises by {rise} above the chord, but the accuracy hardly falls."
    if tone == "open":
        return f"Open: the loss is not finite at some points of {along}."
    lost = "" if drop is None else f", and the accuracy drops by {_points(drop)}"
    return f"Not along {along}: the loss rises by {rise} above the chord{lost}."


def _facts(item: Connection) -> tuple[Fact, ...]:
    barrier, drop = item.barrier, accuracy_drop(item)
    facts = [Fact("linear", f"{number(barrier.linear)} at α = {barrier.position:.2f}")]
    if drop is not None:
        facts.append(Fact("accuracy", f"−{_points(drop)}", drop > ACCURACY_DROP))
    facts += [
        Fact("max", number(barrier.max)),
        Fact("mean", number(barrier.mean)),
        Fact("min", number(barrier.min)),
        Fact("peak loss", number(barrier.peak)),
        Fact("scanned", f"{len(item.path.position)} points"),
    ]
    if barrier.excluded:
        facts.append(Fact("not finite", f"{barrier.excluded} points", flag=True))
    return tuple(facts)


def _points(drop: float) -> str:
    return f"{100 * max(drop, 0.0):.1f} points"

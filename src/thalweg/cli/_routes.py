"""Ways from one solution to another, each with its barrier."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.paths import Barrier, Curve, PathScan, barrier, repaired_path, straight
from thalweg.paths._along import Statistics

_SPARE = 56
"""Points that a bracket may take beyond those it begins with, as by default in :func:`barrier`."""


@dataclass(frozen=True)
class Route:
    """A path that has been measured.

    Attributes:
        name: As the table says it.
        scan: Its points.
        barrier: The rise of the loss.
        fall: How far the accuracy falls below its chord; ``None`` where there is no accuracy.
    """

    name: str
    scan: PathScan
    barrier: Barrier
    fall: Barrier | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; the points are told once."""
        parts = {"barrier": self.barrier, "accuracy_barrier": self.fall}
        return {"path": self.scan.to_dict()} | {
            name: None if found is None else replace(found, path=None).to_dict() for name, found in parts.items()
        }


@dataclass(frozen=True)
class Measured:
    """How paths are measured.

    Attributes:
        points: To begin with.
        tolerance: Of the bracket around the highest point, in units of the range of the loss.
        on: The landscape of an end on the data to measure.
        estimate_on: Batches for the statistics of batch norm; ``None``: those that are measured.
    """

    points: int
    tolerance: float
    on: Callable[[Landscape], Landscape]
    estimate_on: Iterable[Batch] | None

    def curve(self, name: str, curve: Curve, start: Landscape, end: Landscape, statistics: Statistics) -> Route:
        """Bracket the barrier of a curve."""
        found = barrier(
            curve,
            self.on(start),
            self.on(end),
            points=self.points,
            tolerance=self.tolerance,
            budget=self.points + _SPARE,
            statistics=statistics,
            estimate_on=self.estimate_on if statistics == "re-estimated" else None,
            progress=True,
        )
        return _route(name, cast("PathScan", found.path), found)

    def line(
        self, name: str, start: Landscape, end: Landscape, labels: tuple[str, str], statistics: Statistics
    ) -> Route:
        """Bracket the barrier of the straight line."""
        return self.curve(name, straight(start.theta, end.theta, labels=labels), start, end, statistics)

    def repaired(self, name: str, start: Landscape, end: Landscape, labels: tuple[str, str]) -> Route:
        """Measure the repaired line at evenly spaced points."""
        scan = repaired_path(start, end, points=self.points, labels=labels, progress=True)
        return _route(name, scan, barrier(scan))


def _route(name: str, scan: PathScan, found: Barrier) -> Route:
    ends = "accuracy" in scan.metrics and all(scan.metrics["accuracy"][end].isfinite() for end in (0, -1))
    return Route(name, scan, found, barrier(scan, metric="accuracy") if ends else None)


def route_rows(routes: list[Route]) -> list[tuple[str, list[str]]]:
    """Return the rows of a table, a text for each route."""
    found = [route.barrier for route in routes]
    rows = [
        (f"loss of {label}", [_digits(float(route.scan.loss[end])) for route in routes])
        for label, end in zip(routes[0].scan.labels, (0, -1), strict=True)
    ]
    rows += [
        ("length", [_digits(float(route.scan.distance[-1])) for route in routes]),
        ("largest loss on the way", [_interval(b.peak, b.peak_interval) for b in found]),
        ("  at α", [f"{b.peak_position:.3g}" for b in found]),
        ("barrier above the chord", [_interval(b.linear, b.interval) for b in found]),
        ("  at α", [f"{b.position:.3g}" for b in found]),
        ("  above the higher end", [_above(b, b.max) for b in found]),
        ("  above the mean of the ends", [_above(b, b.mean) for b in found]),
        ("  above the lower end", [_above(b, b.min) for b in found]),
    ]
    for name in routes[0].scan.metrics:
        rows.append((f"{name} of the ends", [_ends(route.scan, name) for route in routes]))
        rows.append(("  on the way", [_range(route.scan, name) for route in routes]))
        if name == "accuracy":
            rows.append(("  fall below the chord", [_fall(route.fall) for route in routes]))
    rows.append(("points", [f"{len(route.scan.position)}, {_bracketed(route.barrier)}" for route in routes]))
    if any(b.excluded for b in found):
        rows.append(("points not finite, left out", [str(b.excluded) for b in found]))
    rows.append(("cost", [str(route.scan.cost) for route in routes]))
    return rows


def _ends(scan: PathScan, name: str) -> str:
    return ", ".join(_digits(float(scan.metrics[name][end])) for end in (0, -1))


def _fall(found: Barrier | None) -> str:
    return "–" if found is None else _digits(found.linear)


def _bracketed(found: Barrier) -> str:
    if found.converged is None:
        return "not refined"
    return "refined" if found.converged else "refined, not converged"


def _above(found: Barrier, value: float) -> str:
    spare = None if found.peak_interval is None else found.peak_interval[1] - found.peak
    return _interval(value, None if spare is None else (value, value + spare))


def _interval(value: float, interval: tuple[float, float] | None = None) -> str:
    """A value, and what it is at most where that is known and differs."""
    texts = [_digits(value)] if interval is None else [_digits(end) for end in interval]
    return " to ".join(dict.fromkeys(texts))


def _range(scan: PathScan, name: str) -> str:
    values = scan.metrics[name]
    known = values[values.isfinite()]
    return _interval(float(known.min()), (float(known.min()), float(known.max()))) if len(known) else "–"


def _digits(value: float) -> str:
    return f"{value:.4g}"

"""What figures of paths show, before it is drawn: one panel a quantity, one curve a path."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures._palette import SERIES, series
from thalweg.paths._results import Barrier, PathScan


@dataclass(frozen=True)
class PathCurve:
    """One path in one panel.

    Attributes:
        name: For the legend.
        x: Positions.
        y: Values, NaN where they are not finite.
        colour: Of the line.
        gaps: Positions without a value.
        floor: Where to mark those.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str
    gaps: np.ndarray
    floor: float

    @property
    def holed(self) -> bool:
        """Whether some values are missing, and not all."""
        return 0 < self.gaps.size < self.x.size


@dataclass(frozen=True)
class PathPanel:
    """One quantity along all paths.

    Attributes:
        label: Its name.
        curves: The paths that have it.
        chord: Its values at the ends of the first path.
        rise: α, the chord's height there, and the curve's: the barrier.
        box: First and last α and lowest and highest value between which its top is.
    """

    label: str
    curves: list[PathCurve]
    chord: tuple[float, float] | None
    rise: tuple[float, float, float] | None
    box: tuple[float, float, float, float] | None


def path_panels(scans: Sequence[PathScan], barrier: Barrier | None) -> list[PathPanel]:
    """Return the panels, the loss first.

    Raises:
        ArgumentError: If what stands beside the first path is none.
    """
    for scan in scans:
        if not isinstance(scan, PathScan):
            raise ArgumentError(f"beside: expected paths, got {type(scan).__name__}.")
    names = _names(scans)
    labels = list(dict.fromkeys(["loss", *(name for scan in scans for name in scan.metrics)]))
    panels: list[PathPanel] = []
    for index, label in enumerate(labels):
        curves = [
            _curve(scan, label, name, _colour(index) if len(scans) == 1 else _colour(order))
            for order, (scan, name) in enumerate(zip(scans, names, strict=True))
            if label == "loss" or label in scan.metrics
        ]
        chord = _chord(curves[0])
        rise, box = _rise(label, chord, barrier)
        panels.append(PathPanel(label, curves, chord, rise, box))
    return panels


def _curve(scan: PathScan, label: str, name: str, colour: str) -> PathCurve:
    x = scan.position.double().cpu().numpy()
    y = (scan.loss if label == "loss" else scan.metrics[label]).double().cpu().numpy().copy()
    y[~np.isfinite(y)] = np.nan
    finite = y[np.isfinite(y)]
    return PathCurve(name, x, y, colour, x[np.isnan(y)], float(finite.min()) if finite.size else 0.0)


def _chord(curve: PathCurve) -> tuple[float, float] | None:
    ends = [curve.y[np.isclose(curve.x, end)] for end in (0, 1)]
    if not all(end.size == 1 and np.isfinite(end[0]) for end in ends):
        return None
    return float(ends[0][0]), float(ends[1][0])


def _rise(
    label: str, chord: tuple[float, float] | None, barrier: Barrier | None
) -> tuple[tuple[float, float, float] | None, tuple[float, float, float, float] | None]:
    if barrier is None or chord is None or not barrier.linear > 0:
        return None, None
    # A rise of the error is a fall of the accuracy.
    if label != ("accuracy" if barrier.metric == "error" else barrier.metric):
        return None, None
    sign = -1 if label == "accuracy" else 1
    at = barrier.position
    low = (1 - at) * chord[0] + at * chord[1]
    box = None
    if barrier.interval is not None and barrier.between is not None:
        bottom, top = sorted(low + sign * end for end in barrier.interval)
        box = (*barrier.between, bottom, top)
    return (at, low, low + sign * barrier.linear), box


def _names(scans: Sequence[PathScan]) -> list[str]:
    """A name for each path: its kind, how its statistics were had where that differs, and a number if need be."""
    treatments = {scan.statistics for scan in scans}
    named = [scan.kind + (f", statistics {scan.statistics}" if len(treatments) > 1 else "") for scan in scans]
    return [
        name if named.count(name) == 1 else f"{name} ({named[:order].count(name) + 1})"
        for order, name in enumerate(named)
    ]


def _colour(index: int) -> str:
    # The second series colour is the barrier's.
    return SERIES[0] if index == 0 else series(index + 1)

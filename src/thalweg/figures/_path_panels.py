"""What figures of paths show, before it is drawn: one panel a quantity, one curve a path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.errors import ArgumentError
from thalweg.figures._dispatch import choice
from thalweg.figures._palette import SERIES
from thalweg.figures._ticks import decades
from thalweg.paths._results import Barrier, PathScan

Scale = Literal["auto", "linear", "log"]
_WIDE = 10.0
"""Peaks further apart than this do not fit on one linear axis."""
_COLOURS = (SERIES[0], *SERIES[2:])


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
        dash: "solid", or "dot" where the colours have begun again.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str
    gaps: np.ndarray
    floor: float
    dash: Literal["solid", "dot"] = "solid"

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
        ticks: Of a logarithmic axis; ``None`` for a linear one.
    """

    label: str
    curves: list[PathCurve]
    chord: tuple[float, float] | None
    rise: tuple[float, float, float] | None
    box: tuple[float, float, float, float] | None
    ticks: list[float] | None = None

    def chord_points(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return where to draw the chord: a line that bends on a logarithmic axis."""
        if self.chord is None:
            return (), ()
        x = np.linspace(0, 1, 2 if self.ticks is None else 65)
        return tuple(x.tolist()), tuple(((1 - x) * self.chord[0] + x * self.chord[1]).tolist())


def path_panels(
    scans: Sequence[PathScan], barrier: Barrier | None, names: Sequence[str] = (), scale: Scale = "linear"
) -> list[PathPanel]:
    """Return the panels, the loss first.

    Args:
        scans: The paths.
        barrier: Of the first.
        names: Of the paths, for the legend; by default what they are.
        scale: Of the loss; "auto" is logarithmic where the peaks of several paths are far apart.

    Raises:
        ArgumentError: If what stands beside the first path is none, names are too few or too many, or there is no
            logarithm.
    """
    choice("scale", scale, ("auto", "linear", "log"))
    if names and len(names) != len(scans):
        raise ArgumentError(f"names: expected one for each of {len(scans)} paths, got {len(names)}.")
    for scan in scans:
        if not isinstance(scan, PathScan):
            raise ArgumentError(f"beside: expected paths, got {type(scan).__name__}.")
    names = list(names) or _names(scans)
    labels = list(dict.fromkeys(["loss", *(name for scan in scans for name in scan.metrics)]))
    panels: list[PathPanel] = []
    for index, label in enumerate(labels):
        curves = [
            _curve(scan, label, name, index if len(scans) == 1 else order)
            for order, (scan, name) in enumerate(zip(scans, names, strict=True))
            if label == "loss" or label in scan.metrics
        ]
        chord = _chord(curves[0])
        rise, box = _rise(label, chord, barrier)
        ticks = _log_ticks(curves, scale) if label == "loss" else None
        panels.append(PathPanel(label, curves, chord, rise, box, ticks))
    return panels


def _log_ticks(curves: Sequence[PathCurve], scale: Scale) -> list[float] | None:
    """Ticks of a logarithmic axis, where there is to be one."""
    known = [curve.y[np.isfinite(curve.y)] for curve in curves]
    known = [values for values in known if values.size]
    low, high = (min(float(v.min()) for v in known), max(float(v.max()) for v in known)) if known else (0.0, 0.0)
    if scale == "log" and low <= 0:
        raise ArgumentError(f"scale: 'log' needs positive losses, got {low:.4g} on a path; use 'linear'.")
    peaks = [float(values.max()) for values in known]
    if scale == "linear" or (scale == "auto" and not (low > 0 and max(peaks) > _WIDE * min(peaks))):
        return None
    return decades(low, high)


def _curve(scan: PathScan, label: str, name: str, order: int) -> PathCurve:
    x = scan.position.double().cpu().numpy()
    y = (scan.loss if label == "loss" else scan.metrics[label]).double().cpu().numpy().copy()
    y[~np.isfinite(y)] = np.nan
    finite = y[np.isfinite(y)]
    floor = float(finite.min()) if finite.size else 0.0
    # The second series colour is the barrier's.
    colour, again = _COLOURS[order % len(_COLOURS)], order >= len(_COLOURS)
    return PathCurve(name, x, y, colour, x[np.isnan(y)], floor, "dot" if again else "solid")


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

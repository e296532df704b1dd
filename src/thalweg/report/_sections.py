"""The figures of a report, in the order of the page, each with the sentence that says how to read it."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from thalweg.figures import draw, plot
from thalweg.figures._measurements import MEASURES, bars
from thalweg.figures._types import PaperFigure, ScreenFigure
from thalweg.krylov._results import Eigenpairs
from thalweg.study._results import Findings, Measurement
from thalweg.surfaces._results import Surface

# A browser keeps about sixteen; beyond this many the static picture stands in.
_WEBGL = 10


@dataclass(frozen=True)
class Figure:
    """One figure: what it shows, and how it is drawn on the screen and on paper."""

    name: str
    stem: str
    result: Any
    options: dict[str, Any]
    webgl: bool = False
    interactive: bool = True

    def screen(self) -> ScreenFigure:
        """Draw it for the screen."""
        return plot(self.result, **self.options)

    def paper(self) -> PaperFigure:
        """Draw it for paper."""
        return draw(self.result, title=self.name, **self.options)


@dataclass(frozen=True)
class Section:
    """Figures of one kind under a heading."""

    anchor: str
    short: str
    heading: str
    reading: str
    figures: tuple[Figure, ...]
    layout: str = "pairs"


_READING = {
    "measures": (
        "Longer bars are larger values; a whisker is the estimator’s standard error or residual, for accuracy"
        " the standard error over the data, and bars whose whiskers overlap are not told apart."
    ),
    "training": (
        "Solid is the training set, dashed the test set, both in evaluation mode; a widening gap between them"
        " is overfitting, and a training loss still falling at the right edge means that training had not "
        "ended."
    ),
    "spectrum": (
        "Eigenvalues of the Hessian by rank: the largest at the left and, after a gap, the smallest at the "
        "right, on an axis that is linear near zero; whiskers are residual bounds, mostly smaller than the "
        "dots, and dots below zero are directions in which the loss curves down."
    ),
    "density": (
        "The share of all directions that have a given curvature, on a logarithmic axis: the tall bulk near "
        "zero is nearly all of them, separate bumps are one direction or a few; every peak is as wide as the "
        "Gaussian that smooths it, beyond the ends of the spectrum too; the band is one standard error over the probes."
    ),
    "path": (
        "The loss, and the accuracy beside it, along the path from one solution (α = 0) to the other (α = 1);"
        " the vertical bar is the barrier, the largest rise above the dashed chord between the ends."
    ),
    "surface": (
        "The loss over a plane through the solution, as a relief and as contours: both axes are true "
        "distances in parameter space, colour is height on one scale for all, blank cells had no finite loss,"
        " the circle is the solution and the cross (in the relief the dot) the lowest cell; closely packed "
        "contours are steep walls."
    ),
    "line": (
        "The true loss against the quadratic model that gradient and curvature predict: how far from zero the"
        " two agree is how far second-order numbers such as λ₁ can be trusted."
    ),
}


def sections(findings: Findings) -> tuple[Section, ...]:
    """Return the sections that these findings have figures for."""
    items, paths = findings.measurements, findings.connections
    built = (
        _section("measures", "Measures", "Measures side by side", _measures(items), "trios"),
        _section(
            "training", "Training", "Training",
            (_figure(m.name, i, "training", m.history) for i, m in enumerate(items) if m.history is not None),
        ),
        _section("spectrum", "Eigenvalues", "Largest and smallest eigenvalues", _spectra(items)),
        _section("density", "Density", "Spectral density", _densities(items)),
        _section(
            "path", "Path", "Between the solutions",
            (_figure(f"{c.path.labels[0]} → {c.path.labels[1]}", i, "path", c) for i, c in enumerate(paths)), "wide",
        ),
        _section("surface", "Surface", "The surface around each solution", _surfaces(items)),
        _section(
            "line", "Line", "Along one direction",
            (_figure(m.name, i, "line", m.line) for i, m in enumerate(items) if m.line is not None),
        ),
    )  # fmt: skip
    return tuple(section for section in built if section.figures)


def slug(name: str, longest: int = 40) -> str:
    """Make a piece of a file name from any text: lower-case letters, digits and hyphens.

    Example:
        >>> slug("Vanilla CNN, seed 0"), slug("../../etc/passwd"), slug("损失")
        ('vanilla-cnn-seed-0', 'etc-passwd', 'unnamed')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:longest].strip("-") or "unnamed"


def _section(anchor: str, short: str, heading: str, figures: Iterable[Figure], layout: str = "pairs") -> Section:
    return Section(anchor, short, heading, _READING[anchor], tuple(figures), layout)


def _figure(name: str, index: int, prefix: str, result: Any, **options: Any) -> Figure:
    return Figure(name, f"{prefix}-{index + 1:02d}-{slug(name)}", result, options)


def _measures(items: tuple[Measurement, ...]) -> Iterator[Figure]:
    # One bar alone would compare nothing.
    for index, measure in enumerate(MEASURES if len(items) > 1 else ()):
        (panel,) = bars(items, (measure,))
        if any(value is not None for value in panel.values):
            options = {"measures": (measure,), "headed": False}
            yield Figure(panel.label, f"measures-{index + 1:02d}-{measure}", items, options)


def _spectra(items: tuple[Measurement, ...]) -> Iterator[Figure]:
    everything = [pairs for item in items for pairs in (item.top, item.bottom)]
    for index, item in enumerate(items):
        yield _figure(item.name, index, "spectrum", item.top, bottom=item.bottom, beside=everything)


def _densities(items: tuple[Measurement, ...]) -> Iterator[Figure]:
    for index, item in enumerate(items):
        yield _figure(item.name, index, "density", item.density, outliers=_outliers(item.top, item.outliers))


def _outliers(top: Eigenpairs, count: int | None) -> Any:
    return top.values[:count] if count else None


def _surfaces(items: tuple[Measurement, ...]) -> Iterator[Figure]:
    found = [(i, m.name, m.surface) for i, m in enumerate(items) if m.surface is not None and _drawable(m.surface)]
    everything = [surface for _, _, surface in found]
    for count, (index, name, surface) in enumerate(found):
        relief = _figure(name, index, "relief", surface, kind="3d", beside=everything)
        yield replace(relief, webgl=True, interactive=count < _WEBGL)
        yield _figure(name, index, "contours", surface, kind="contour", beside=everything)


def _drawable(surface: Surface) -> bool:
    return bool(surface.loss.isfinite().any())

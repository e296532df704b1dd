"""What quantities measured together cost, beside the spectrum that they share."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import _trained
from _records import Record

import thalweg as tw

WHICH = (
    "gradient_norm",
    "eigenvalues",
    "trace",
    "noise",
    "anisotropy",
    "alignment",
    "difficulty",
    "sharpness",
)


def together(root: Path | None, quick: bool) -> Iterator[Record]:
    """Time the table against its parts: the spectrum alone, and the products with Σ by themselves."""
    case = _trained.perceptron(root, quick, count=256 if quick else 1024)
    settings = tw.MeasureSettings(top=5, bottom=2, steps=10, probes=4) if quick else tw.MeasureSettings()
    landscape = case.landscape()
    pairs = []
    for turn in range(1 if quick else 3):
        calls: list[Callable[[], object]] = [
            lambda: tw.measure(landscape, WHICH, settings=settings),
            lambda: _parts(landscape, settings),
        ]
        seconds = {index: _seconds(calls[index]) for index in ((0, 1) if turn % 2 else (1, 0))}
        pairs.append((seconds[0], seconds[1]))
    name = f"eight quantities, {case.name}"
    yield Record(name, "thalweg", "ours", "time", statistics.median(one for one, _ in pairs), "s", None)
    yield Record(name, "spectrum and Σ alone", "reference", "time", statistics.median(o for _, o in pairs), "s", None)
    ratio = statistics.median(one / other for one, other in pairs)
    yield Record(name, "thalweg", "ours", "time ratio", ratio, "of spectrum and Σ alone", None)


def _parts(landscape: tw.Landscape, settings: tw.MeasureSettings) -> None:
    """The spectrum with the same settings, then as many products with Σ as the table makes."""
    tw.spectrum(
        tw.hessian(landscape, engine="double-backward"),
        top=settings.top,
        bottom=settings.bottom,
        probes=settings.probes,
        steps=settings.steps,
        rtol=settings.rtol,
        tol=settings.tol,
    )
    noise = tw.gradient_covariance(landscape)
    tw.eigenpairs(noise, settings.noise, tol=settings.tol)
    block = noise.space.randn(count=settings.alignment + settings.top)
    noise @ block


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

"""What the noise of gradients costs in products with the Gauss-Newton matrix, and in memory."""

import statistics
from collections.abc import Callable, Iterator

from _memory import forget_peak, peak_bytes
from _networks import Case, decoder, perceptron, residual
from _records import Record
from _timing import in_turn

import thalweg as tw

BLOCK, BATCHES = 8, 8


def noise(quick: bool) -> Iterator[Record]:
    """Time tr Σ with the noise scale, and a product with Σ in blocks, in products with the Gauss-Newton matrix."""
    for case in (perceptron(quick), residual(quick), decoder(quick)):
        yield from _products(case, quick)
        yield from _memory(case)


def _products(case: Case, quick: bool) -> Iterator[Record]:
    # As many batches as make the trial of the first one small beside the rest, as on real data.
    landscape = tw.Landscape(case.model, case.objective, [case.batch] * BATCHES, check=False)
    curvature, covariance = tw.ggn(landscape), tw.gradient_covariance(landscape)
    vector, block = curvature.space.randn(), curvature.space.randn(count=BLOCK)
    calls: dict[str, Callable[[], object]] = {
        "tr Σ and noise scale": lambda at=landscape: tw.gradient_noise(at),
        f"Σv in blocks of {BLOCK}": lambda matrix=covariance, v=block: matrix @ v,
    }
    for call in calls.values():
        call()
    timed = in_turn(lambda: curvature @ vector, calls, 3 if quick else 11, landscape.space.device)
    for name, pairs in timed.items():
        each = BLOCK if name.startswith("Σv") else 1
        ratio = statistics.median(seconds / unit / each for unit, seconds in pairs)
        yield Record(case.name, "thalweg", "ours", name, ratio, "products with G", None)


def _memory(case: Case) -> Iterator[Record]:
    """Peak memory of tr Σ on the items as they are and four times over, beyond what was resident before."""
    peaks = []
    for copies in (1, 8):
        batches = [case.batch] * copies
        landscape = tw.Landscape(case.model, case.objective, batches, check=False)
        forget_peak()
        before = peak_bytes()
        tw.gradient_noise(landscape)
        peaks.append((peak_bytes() - before) / 2**20)
    for copies, peak in zip((1, 8), peaks, strict=True):
        yield Record(case.name, "thalweg", "ours", f"memory of tr Σ, data × {copies}", peak, "MiB", None)

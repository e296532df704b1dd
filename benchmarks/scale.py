"""How do time and memory of a Hessian product grow?

Perceptrons grow in width, in depth, in both at a fixed ratio (from 1e4 parameters to what the memory holds), and in the
size of the batch. Each point is measured in a process of its own, on one thread: seconds of a gradient and of a product
with graphs kept and rebuilt, and the peak resident size less that after one gradient. Exponents are fitted by least
squares to the logarithms, with standard errors.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from _memory import measure
from _powers import exponent
from _records import Record, finish, parser

from thalweg.memory import free_bytes

WAYS = {
    "thalweg, kept": {"engine": "double-backward", "keep": True},
    "thalweg, rebuilt": {"engine": "double-backward", "keep": False},
}
UNITS = {"gradient": "s", "product": "s", "memory": "bytes"}
# Below these, fixed costs hide how something grows: calls of Python, pages that the allocator holds anyway.
FLOORS = {"gradient": 2e-3, "product": 2e-3, "memory": 4 * 2**20}
# Model, point, gradients, vectors and the kept graph's own copies, in vectors of the size of the parameters.
VECTORS = 20


@dataclass(frozen=True)
class Sweep:
    """Networks that grow.

    Attributes:
        against: What the figures are plotted against.
        sizes: From the knob to the layers' sizes.
        batch: From the knob to the items a batch.
        knobs: The points.
        by_knob: Whether figures are plotted against the knob, or else against the number of parameters.
    """

    against: str
    sizes: Callable[[int], list[int]]
    batch: Callable[[int], int]
    knobs: list[int]
    by_knob: bool


def sweeps(quick: bool) -> list[Sweep]:
    """Return what grows; the last sweep goes as far as the memory does. The quick form leaves out the first."""
    depths = [4, 8, 16] if quick else [2, 4, 8, 16, 32, 64]
    batches = [256, 512, 1024] if quick else [64, 256, 1024, 4096, 16384]
    most = 1e7 if quick else min(1e9, free_bytes(torch.device("cpu")) / (4 * VECTORS))
    found = [
        Sweep("width", lambda w: [w, w, w, w, 10], lambda _: 256, [128, 256, 512, 1024, 2048, 4096], by_knob=True),
        Sweep("depth", lambda d: [256] * (d + 1) + [10], lambda _: 256, depths, by_knob=True),
        Sweep("batch", lambda _: [256, 256, 256, 10], lambda b: b, batches, by_knob=True),
        Sweep("parameters", _proportioned, lambda _: 64, list(_grown(most, 1 if quick else 2)), by_knob=False),
    ]
    return found[1:] if quick else found


def followed(sweep: Sweep, repeats: int) -> list[Record]:
    """Measure every point of a sweep, both ways, and fit."""
    records = []
    for name, options in WAYS.items():
        points: dict[str, list[tuple[float, float]]] = {metric: [] for metric in UNITS}
        for knob in sweep.knobs:
            found = measure(sweep.sizes(knob), batch=sweep.batch(knob), repeats=repeats, **options)
            if isinstance(found, str):
                print(f"{sweep.against} {knob}, {name}: stopped: {found}")
                break
            at = knob if sweep.by_knob else found["parameters"]
            for metric, unit in UNITS.items():
                points[metric].append((at, found[metric]))
                records.append(Record(f"{sweep.against} {at:,}", name, "ours", metric, found[metric], unit, None))
        for metric, pairs in points.items():
            large = [(x, y) for x, y in pairs if y >= FLOORS[metric]]
            fit = exponent([x for x, _ in large], [y for _, y in large])
            if fit is None:
                print(f"{metric} against {sweep.against}, {name}: fewer than three points above {FLOORS[metric]:g}")
                continue
            question = f"{metric} against {sweep.against}, {large[0][0]:,} to {large[-1][0]:,}"
            records.append(Record(question, name, "ours", "exponent", fit[0], "", None))
            records.append(Record(question, name, "ours", "standard error", fit[1], "", None))
    return records


def main() -> None:
    """Follow every sweep."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    repeats = 2 if options.quick else 5
    records = [record for sweep in sweeps(options.quick) for record in followed(sweep, repeats)]
    finish(records, options.json)


def _proportioned(width: int) -> list[int]:
    """A hidden layer for every 32 units of its width."""
    return [width] * (max(1, round(width / 32)) + 1) + [10]


def _grown(most: float, steps: int) -> Iterator[int]:
    """Widths from 1e4 parameters on, so many steps for a factor of ten, while there are at most so many."""
    for step in itertools.count():
        parameters = 10 ** (4 + step / steps)
        if parameters > most:
            return
        # About width² parameters a layer, and width / 32 layers.
        yield round((32 * parameters) ** (1 / 3))


if __name__ == "__main__":
    main()

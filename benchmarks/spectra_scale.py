"""Does a spectrum cost in proportion to the parameters?

Perceptrons from 1e4 to 1e7 parameters, grown in width and depth at a fixed ratio, with 64 random items and one thread:
``tw.eigenpairs`` with a fixed number of products, so that the work is the same everywhere, and ``tw.spectrum`` with its
ends cut off likewise. Seconds of the processor, which others on the machine take no part of, in products and outside
of them; exponents by least squares of the logarithms.
"""

import statistics
import time
import warnings
from collections.abc import Callable

import torch
from _eigensolvers import Timed
from _powers import exponent
from _records import Record, finish, parser
from scale import sweeps

import thalweg as tw
from thalweg.errors import ConvergenceWarning

PRODUCTS = 60
# Below so many seconds, calls of Python hide how something grows; and they are felt below so many parameters.
FLOOR, LARGE = 0.02, 300_000
Question = Callable[[Timed], object]
QUESTIONS: dict[str, Question] = {
    f"eigenpairs, {PRODUCTS} products": lambda op: tw.eigenpairs(op, 20, tol=1e-12, max_matvecs=PRODUCTS),
    f"spectrum, {PRODUCTS} products for the ends": lambda op: tw.spectrum(
        op, probes=4, steps=20, rtol=None, tol=1e-12, max_matvecs=PRODUCTS
    ),
}


def landscape(sizes: list[int], items: int) -> tw.Landscape:
    """A perceptron on random items."""
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp(sizes, generator=source)
    batch = torch.randn(items, sizes[0], generator=source), torch.randint(10, (items,), generator=source)
    return tw.Landscape(model, tw.objectives.cross_entropy(), [batch])


def followed(name: str, question: Question, networks: list[tw.Landscape], repeats: int) -> list[Record]:
    """Time a question on every network, and fit."""
    records, points = [], dict[str, list[tuple[int, float]]]()
    for network in networks:
        parts: dict[str, list[float]] = {"seconds": [], "in products": [], "outside products": []}
        for _ in range(repeats):
            operator = Timed(tw.hessian(network), time.process_time)
            started = time.process_time()
            question(operator)
            total = time.process_time() - started
            for part, took in zip(parts, (total, operator.inside, total - operator.inside), strict=True):
                parts[part].append(took)
        for part, took in parts.items():
            points.setdefault(part, []).append((network.size, statistics.median(took)))
            records.append(
                Record(f"{name}, P = {network.size:,}", "thalweg", "ours", part, points[part][-1][1], "s", None)
            )
    for part, pairs in points.items():
        seen = [(x, y) for x, y in pairs if y >= FLOOR]
        for chosen in (seen, [(x, y) for x, y in seen if x >= LARGE]):
            records.extend(grown(f"{name}, {part} against P", chosen))
    return records


def grown(case: str, points: list[tuple[int, float]]) -> list[Record]:
    """Fit an exponent, where there are points enough."""
    fit = exponent([x for x, _ in points], [y for _, y in points])
    if fit is None:
        return []
    case = f"{case}, {points[0][0]:,} to {points[-1][0]:,}"
    return [
        Record(case, "thalweg", "ours", metric, value, "", None)
        for metric, value in zip(("exponent", "standard error"), fit, strict=True)
    ]


def main() -> None:
    """Follow both questions."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    # What a fixed number of products leaves open is meant to be left open.
    warnings.simplefilter("ignore", ConvergenceWarning)
    sweep = sweeps(quick=True)[-1]
    points = [10 ** (4 + step / (1 if options.quick else 2)) for step in range(3 if options.quick else 7)]
    knobs = [round((32 * parameters) ** (1 / 3)) for parameters in points]
    networks = [landscape(sweep.sizes(knob), sweep.batch(knob)) for knob in knobs]
    repeats = 2 if options.quick else 3
    records = [record for name, ask in QUESTIONS.items() for record in followed(name, ask, networks, repeats)]
    finish(records, options.json)


if __name__ == "__main__":
    main()

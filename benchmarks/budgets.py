"""Is memory= kept?

Hessian products of a perceptron on eight batches, for budgets from an eighth of what is taken without one, each in a
process of its own: the peak resident size less that after one gradient, against the budget, and what the product
costs then. An allocator does not repeat itself, so that each budget is measured several times and the largest counts.
"""

from collections.abc import Iterable

import torch
from _memory import measure
from _records import Record, finish, parser

MEBI = 2**20


def budgets(quick: bool, repeats: int) -> list[Record]:
    """Peak memory over the budget, for budgets from an eighth of what is taken without one."""
    sizes, batch = ([784, 256, 256, 10], 1024) if quick else ([784, 1024, 1024, 10], 2048)
    records = []
    free = measure(sizes, batch=batch, batches=8, repeats=repeats)
    if isinstance(free, str):
        raise TypeError(f"budgets: the measurement without a budget failed: {free}")
    records.append(Record("memory='auto'", "thalweg", "ours", "peak", free["memory"] / MEBI, "MiB", None))
    for part in (8, 4, 2, 1):
        budget = int(free["memory"] / part)
        found = _largest(measure(sizes, batch=batch, batches=8, repeats=1, memory=budget) for _ in range(repeats))
        question = f"memory={budget // MEBI} MiB"
        if isinstance(found, str):
            print(f"{question}: refused: {found}")
            continue
        records.append(Record(question, "thalweg", "ours", "peak", found["memory"] / MEBI, "MiB", None))
        records.append(Record(question, "thalweg", "ours", "peak / budget", found["memory"] / budget, "", None))
        ratio = found["product"] / found["gradient"]
        records.append(Record(question, "thalweg", "ours", "product", ratio, "gradients", None))
    return records


def _largest(runs: Iterable[dict[str, float] | str]) -> dict[str, float] | str:
    """Return the run of the highest peak, or why one was refused."""
    found = list(runs)
    return next((run for run in found if isinstance(run, str)), None) or max(found, key=lambda run: run["memory"])


def main() -> None:
    """Measure the budgets."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    finish(budgets(options.quick, 2 if options.quick else 5), options.json)


if __name__ == "__main__":
    main()

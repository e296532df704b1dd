"""What does a product with a curvature matrix cost?

In units of one gradient of the same batch, on one thread: products with the Hessian H, the Gauss-Newton matrix G and
the gradients' covariance Σ of three networks, single and per vector in blocks of 8 and 32. Contestants run in turn,
each between two gradients, and the median of the ratios counts. Each answer is held against one in double precision;
who is wrong is shown with a cross and does not compete. "Arithmetic" is the least possible, from counted operations.
"""

import functools
import statistics
import warnings
from collections import defaultdict
from dataclasses import dataclass

import torch
from _arithmetic import counted
from _contestants import AUTO, MAKERS, Contestant, gradient, ours, peers, vectors
from _networks import Case, decoder, perceptron, residual
from _records import Record, finish, parser
from _reference import relative_error, trusted
from _timing import in_turn

import thalweg as tw

# Single precision gives 1e-6. Finite differences see the kinks of ReLU networks; automatic differentiation does not.
WRONG = 1e-4
REPEATS = {1: 21, 8: 7, 32: 3}
QUICK = {1: 5, 8: 3, 32: 1}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Figure:
    """The cost of a product for one vector, in gradients, and the largest relative error."""

    contestant: Contestant
    width: int
    units: float
    error: float

    @property
    def right(self) -> bool:
        """Whether the answer counts."""
        return self.error <= WRONG


def measured(case: Case, repeats: dict[int, int], notes: dict[str, str]) -> tuple[list[Figure], float]:
    """Time every contestant on one network; also return the seconds of a gradient."""
    contestants = [contestant for matrix in MAKERS for contestant in ours(matrix)] + peers()
    figures, gradients = list[Figure](), list[float]()
    for width, rounds in repeats.items():
        calls, errors = {}, {}
        block = vectors(case, width)
        truth = {matrix: trusted(matrix, case, block) for matrix in MAKERS}
        for contestant in contestants:
            if width > 1 and not contestant.blocks:
                continue
            # Each in the layout that it is faster with.
            given = block if contestant.role == "ours" else block.contiguous()
            try:
                product = contestant.build(case)
                errors[contestant] = relative_error(product(given), truth[contestant.matrix])
            except (RuntimeError, ValueError, tw.errors.ThalwegError) as error:
                print(f"{case.name}, {contestant.matrix}, {width}: {contestant.name} failed: {error}")
                continue
            calls[contestant] = functools.partial(product, given)
            if contestant.name == AUTO:
                notes[f"{case.name}, {contestant.matrix}, {_block(width)}"] = product.__self__.engine
        for contestant, pairs in in_turn(gradient(case), calls, rounds, CPU).items():
            units = statistics.median(call / unit for unit, call in pairs) / width
            figures.append(Figure(contestant, width, units, errors[contestant]))
            gradients += [unit for unit, _ in pairs]
    return figures, statistics.median(gradients)


def compared(case: str, figures: list[Figure]) -> list[Record]:
    """Ours over the best peer with the right answer, "auto" over the best engine, and Σ over G."""
    records = []
    auto = {(f.contestant.matrix, f.width): f for f in figures if f.contestant.name == AUTO}
    for (matrix, width), mine in auto.items():
        question = f"{case}, {matrix}, {_block(width)}"
        same = [f for f in figures if f.contestant.matrix == matrix and f.right]
        # Who takes one vector at a time needs as long for each vector of a block.
        rivals = [f for f in same if f.contestant.role == "peer" and f.width == (width if f.contestant.blocks else 1)]
        if rivals and mine.right:
            best = min(rivals, key=lambda f: f.units)
            ratio = mine.units / best.units
            records.append(_ratio(question, mine, "time over best peer", ratio, f"of {best.contestant.name}"))
        engines = [f for f in same if f.contestant.forced and f.width == width]
        if engines:
            best = min(engines, key=lambda f: f.units)
            ratio = mine.units / best.units
            records.append(_ratio(question, mine, "time over best engine", ratio, f"of {best.contestant.name}"))
    if ("Σ", 1) in auto and ("G", 1) in auto:
        ratio = auto["Σ", 1].units / auto["G", 1].units
        records.append(_ratio(f"{case}, Σ, {_block(1)}", auto["Σ", 1], "time over G's", ratio, f"of G by {AUTO}"))
    return records


def summary(records: list[Record]) -> list[Record]:
    """Median and maximum of the ratios to the best peer, over all networks and matrices."""
    ratios = [record for record in records if record.metric == "time over best peer"]
    kinds = {
        "all single vectors": [r for r in ratios if r.case.endswith(_block(1))],
        "all blocks": [r for r in ratios if not r.case.endswith(_block(1))],
        "all": ratios,
    }
    found = []
    for kind, chosen in kinds.items():
        for name, statistic in (("median", statistics.median), ("maximum", max)):
            if chosen:
                value, error = statistic(r.value for r in chosen), max(r.error for r in chosen)
                found.append(Record(kind, AUTO, "ours", f"{name} ratio", value, "of the best peer", error))
    return found


def table(columns: list[str], figures: dict[str, list[Figure]], least: dict[str, dict[str, float]]) -> str:
    """The figures as Markdown, a row a contestant and a column a network."""
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for column in columns:
        for figure in sorted(figures[column], key=lambda f: ("HGΣ".index(f.contestant.matrix), f.width)):
            cross = "" if figure.right else f" ✗ {figure.error:.0e}"
            row = f"{figure.contestant.matrix}v, {_block(figure.width)}: {figure.contestant.name}"
            rows[row][column] = f"{figure.units:.2f}{cross}"
    for column in columns:
        for name, units in least[column].items():
            rows[f"{name}: arithmetic"][column] = f"{units:.2f}"
    lines = [["in gradients, a vector", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(cells.get(column, "") for column in columns)] for row, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure three networks, compare, and print."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    figures, least, notes = dict[str, list[Figure]](), dict[str, dict[str, float]](), dict[str, str]()
    records = []
    for build in (perceptron, residual, decoder):
        case = build(options.quick)
        operations = counted(case)
        least[case.name] = operations.units()
        figures[case.name], unit = measured(case, QUICK if options.quick else REPEATS, notes)
        records.append(Record(case.name, "PyTorch", "reference", "gradient", unit, "s", None))
        records += [
            Record(case.name, "arithmetic", "reference", name, units, "gradients", None)
            for name, units in least[case.name].items()
        ]
        double = operations.double_backward / operations.gradient
        records.append(Record(case.name, "PyTorch", "reference", "operations of Hv", double, "gradients", None))
        for figure in figures[case.name]:
            question = f"{case.name}, {figure.contestant.matrix}, {_block(figure.width)}"
            name, role = figure.contestant.name, figure.contestant.role
            records.append(Record(question, name, role, "time", figure.units, "gradients a vector", figure.error))
        records += compared(case.name, figures[case.name])
    finish(records + summary(records), options.json, chosen=notes)
    print("\nWhat auto chose:", *(f"  {question}: {engine}" for question, engine in notes.items()), sep="\n")
    print(f"\n{table(list(figures), figures, least)}")


def _block(width: int) -> str:
    return "single" if width == 1 else f"block of {width}"


def _ratio(question: str, mine: Figure, metric: str, value: float, unit: str) -> Record:
    return Record(question, mine.contestant.name, "ours", metric, value, unit, mine.error)


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    main()

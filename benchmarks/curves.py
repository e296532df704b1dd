"""What does a step of training a curve cost?

A step of ``tw.train_curve`` with one and with three bends ("mean": one gradient at one random position), against one
of the same optimizer of ``torch.optim`` on the network alone, in plain PyTorch; both take the next items of the same
data in random order, in turn. SGD with momentum 0.9, and Adam. The perceptron 784-256-256-10 with 128 items a step, and
ResNet-20 with 64 images of 32 x 32. One thread.
"""

import copy
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from _records import Record, finish, parser
from _timing import in_turn
from torch import Tensor, nn

import thalweg as tw
from thalweg.descent import Minibatches, adam, momentum
from thalweg.landscape._reestimated import normalising_by_batch
from thalweg.paths import Curve
from thalweg.paths._curve_slope import CurveSlope

RATE, BETA, BENDS = 0.01, 0.9, (1, 3)


@dataclass(frozen=True)
class Case:
    """A network with data of its shape.

    Attributes:
        name: Of the case.
        model: The network.
        shape: Of an item.
        items: In the data.
        batch: Items a step.
        repeats: Rounds of timing, and with ``--quick``.
    """

    name: str
    model: nn.Module
    shape: tuple[int, ...]
    items: int
    batch: int
    repeats: tuple[int, int]


def main() -> None:
    """Time all cases."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    cases = [
        Case("perceptron, B = 128", tw.models.mlp((784, 256, 256, 10)), (784,), 4096, 128, (300, 60)),
        Case("ResNet-20, B = 64", tw.models.resnet20(3, 10), (3, 32, 32), 256, 64, (8, 2)),
    ]
    records = [record for case in cases for rule in ("sgd", "adam") for record in timed(case, rule, options.quick)]
    finish(records, options.json)


def data(case: Case) -> tuple[Tensor, Tensor]:
    """Noise of the shape of the images."""
    source = torch.Generator().manual_seed(0)
    return torch.randn(case.items, *case.shape, generator=source), torch.randint(10, (case.items,), generator=source)


def ordinary(case: Case, rule: str) -> Callable[[], None]:
    """A step of PyTorch's optimizer."""
    inputs, targets = data(case)
    model = copy.deepcopy(case.model).train()
    parameters = list(model.parameters())
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(parameters, lr=RATE, momentum=BETA) if rule == "sgd" else torch.optim.Adam(parameters, lr=RATE)
    )
    source, order = torch.Generator().manual_seed(0), torch.empty(0, dtype=torch.long)

    def step() -> None:
        nonlocal order
        if len(order) < case.batch:
            order = torch.randperm(case.items, generator=source)
        index, order = order[: case.batch], order[case.batch :]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[index]), targets[index]).backward()
        optimizer.step()

    return step


def timed(case: Case, rule: str, quick: bool) -> list[Record]:
    """Time steps in turn; ratios are those of neighbours in time."""
    curves = dict[str, Callable[[], None]]()
    with ExitStack() as held:
        for bends in BENDS:
            curves[f"{bends} bend{'s'[: bends > 1]}"] = held.enter_context(curve_step(case, rule, bends))
        pairs = in_turn(ordinary(case, rule), curves, case.repeats[quick], torch.device("cpu"))
    unit = 1e3 * statistics.median(pair[0] for found in pairs.values() for pair in found)
    name = f"{case.name}, {rule}"
    records = [Record(name, "torch.optim", "reference", "milliseconds", unit, "ms", None)]
    for contestant, found in pairs.items():
        own = 1e3 * statistics.median(pair[1] for pair in found)
        ratio = statistics.median(call / reference for reference, call in found)
        records.append(Record(name, contestant, "ours", "milliseconds", own, "ms", None))
        records.append(Record(name, contestant, "ours", "time over an ordinary step's", ratio, "", None))
    return records


@contextmanager
def curve_step(case: Case, rule: str, bends: int) -> Iterator[Callable[[], None]]:
    """A step of ``train_curve`` as ``follow`` takes it."""
    model, source = copy.deepcopy(case.model), torch.Generator().manual_seed(1)
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [data(case)], microbatch=64, check=False)
    first, last = landscape.theta, landscape.theta + 0.01 * landscape.space.randn(source)
    nodes = torch.stack([first.lerp(last, place / (bends + 1)) for place in range(bends + 2)])
    slope = CurveSlope(Curve(nodes), landscape, Minibatches(landscape, case.batch), "mean", 1, 1.0, source)
    mover = momentum(RATE, BETA, in_place=True) if rule == "sgd" else adam(RATE, in_place=True)
    inner = nodes[1:-1].reshape(-1).clone()
    with landscape.reading(), normalising_by_batch(model), slope.walking() as evaluate:

        def step() -> None:
            nonlocal inner
            inner = mover(inner, evaluate(inner)[1], 1.0)

        yield step


if __name__ == "__main__":
    main()

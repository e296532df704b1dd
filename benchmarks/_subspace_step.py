"""What a step in a random subspace costs beside one of all parameters."""

import statistics
from collections.abc import Callable

import torch
from _records import Record
from _timing import in_turn

import thalweg as tw
from thalweg.descent import Minibatches, momentum
from thalweg.measures._subspace import Subspace

ITEMS, BATCH, DIMENSION, RATE = 4096, 128, 750, 0.01
SIZES = (784, 200, 200, 10)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of the shape of MNIST."""
    source = torch.Generator().manual_seed(0)
    return torch.randn(ITEMS, SIZES[0], generator=source), torch.randint(SIZES[-1], (ITEMS,), generator=source)


def ordinary() -> Callable[[], None]:
    """A step of PyTorch's optimizer."""
    inputs, targets = data()
    model = tw.models.mlp(SIZES)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    source, order = torch.Generator().manual_seed(0), torch.empty(0, dtype=torch.long)

    def step() -> None:
        nonlocal order
        if len(order) < BATCH:
            order = torch.randperm(ITEMS, generator=source)
        index, order = order[:BATCH], order[BATCH:]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[index]), targets[index]).backward()
        optimizer.step()

    return step


def steps(repeats: int) -> list[Record]:
    """Time steps in turn; ratios are those of neighbours in time."""
    landscape = tw.Landscape(tw.models.mlp(SIZES), tw.objectives.cross_entropy(), [data()])
    subspace = Subspace(landscape, tw.random_projection(landscape, DIMENSION), Minibatches(landscape, BATCH))
    whole, rule, by_all = Minibatches(landscape, BATCH), momentum(RATE, 0.0), momentum(RATE, 0.0)
    z, theta, case = subspace.start, landscape.theta, "intrinsic-dimension step"
    with landscape.reading(), subspace.walking() as slope:

        def within() -> None:
            nonlocal z
            z = rule(z, slope(z)[1], 1.0)

        def everything() -> None:
            nonlocal theta
            theta = by_all(theta, whole.slope(theta)[1], 1.0)

        named = {"fastfood, d = 750": within, "all parameters": everything}
        pairs = in_turn(ordinary(), named, repeats, torch.device("cpu"))
    records = [Record(case, "torch.optim.SGD", "reference", "milliseconds", _milliseconds(pairs, 0), "ms", None)]
    for name, timed in pairs.items():
        records.append(Record(case, name, "ours", "milliseconds", _milliseconds({name: timed}, 1), "ms", None))
        ratio = statistics.median(call / unit for unit, call in timed)
        records.append(Record(case, name, "ours", "time over SGD's", ratio, "", None))
    return records


def _milliseconds(pairs: dict[str, list[tuple[float, float]]], place: int) -> float:
    return 1e3 * statistics.median(pair[place] for timed in pairs.values() for pair in timed)

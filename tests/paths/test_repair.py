"""Statistics of hidden units lie between those of the ends, and barriers between trained networks fall."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import randn, scrambled
from tests.paths.networks import CLASSES, CROSS, ROWS, landscape, perceptron
from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.paths import align, barrier, linear_path, repaired_path
from thalweg.paths._repair import Repairs


def preactivations(there: Landscape) -> list[torch.Tensor]:
    """Outputs of the hidden linear layers of a perceptron, by hand."""
    tensors, x, out = there.split(there.theta), ROWS, []
    for layer in ("1.0", "2.0"):
        x = functional.linear(x, tensors[f"{layer}.weight"], tensors[f"{layer}.bias"])
        out.append(x)
        x = torch.relu(x)
    return out


@pytest.mark.parametrize("alpha", [0.25, 0.7])
def test_means_and_deviations_are_those_in_between(alpha):
    start, end = perceptron(1), perceptron(2)
    there = Repairs(start, end).at(alpha)
    for now, ours, theirs in zip(*map(preactivations, (there, start, end)), strict=True):
        for statistic in (lambda x: x.mean(0), lambda x: x.std(0, correction=0)):
            wanted = (1 - alpha) * statistic(ours) + alpha * statistic(theirs)
            torch.testing.assert_close(statistic(now), wanted, rtol=1e-10, atol=1e-10)


def test_batches_and_order_of_data_do_not_matter():
    batches = [(ROWS[:2], CLASSES[:2]), (ROWS[2:], CLASSES[2:])]
    pair = [perceptron(seed) for seed in (1, 2)]
    cut = [one.on(batches) for one in pair]
    whole, parts = (Repairs(*ends).at(0.4).theta for ends in (pair, cut))
    torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-10)


def test_the_ends_are_met():
    start, end = perceptron(1), perceptron(2)
    path = repaired_path(start, end, points=5)
    assert path.loss[0] == pytest.approx(start.loss(), rel=1e-12)
    assert path.loss[-1] == pytest.approx(end.loss(), rel=1e-12)
    assert (path.statistics, path.kind, len(path.position)) == ("repaired", "linear", 5)
    # Five points, the two ends' statistics, a pass for either layer at each of three points, and the check.
    assert path.cost.losses == 5 + 2 + 3 * 2 + 1


def test_between_a_network_and_itself_nothing_is_repaired():
    start = perceptron(1)
    torch.testing.assert_close(Repairs(start, start).at(0.5).theta, start.theta, rtol=1e-12, atol=1e-12)


def test_channels_are_repaired_over_their_pixels():
    def model() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3))

    batch = (torch.randn(5, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64), CLASSES)
    start, end = (landscape(model(), batch, seed) for seed in (1, 2))
    there = Repairs(start, end).at(0.5)

    def spread(one: Landscape) -> torch.Tensor:
        return functional.conv2d(batch[0], one.split(one.theta)["0.weight"]).transpose(0, 1).flatten(1).std(1)

    torch.testing.assert_close(spread(there), (spread(start) + spread(end)) / 2, rtol=1e-10, atol=1e-10)


def test_a_unit_that_never_varies_stays():
    start, end = perceptron(1), perceptron(2)
    dead = [one.at(one.theta.index_fill(0, torch.arange(4), 0.0)) for one in (start, end)]
    assert Repairs(*dead).at(0.5).theta.isfinite().all()


def test_batch_norm_is_re_estimated():
    start, end = (landscape(tw.models.mlp((4, 6, 3), norm="batch"), seed=seed) for seed in (1, 2))
    path = repaired_path(start, end, points=5)
    torch.testing.assert_close(path.loss, linear_path(start, end, points=5, statistics="re-estimated").loss)
    assert path.statistics == "re-estimated"


def test_ends_must_be_of_one_architecture():
    with pytest.raises(ArgumentError, match="end: expected the parameters of start"):
        repaired_path(perceptron(), landscape(tw.models.mlp((4, 7, 5, 3))))


def test_positions_are_between_the_ends():
    with pytest.raises(ArgumentError, match="alpha: expected a position from 0 to 1, got 2"):
        Repairs(perceptron(1), perceptron(2)).at(2.0)


def trained(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, steps: int, seed: int) -> Landscape:
    source = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        rows = torch.randint(len(inputs), (100,), generator=source)
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
        optimizer.step()
    return Landscape(model.eval(), CROSS, [(inputs, targets)], check=False)


@pytest.mark.parametrize("kind", ["perceptron", pytest.param("batch norm", marks=pytest.mark.slow)])
def test_barriers_of_trained_networks_fall(kind):
    sklearn = pytest.importorskip("sklearn.datasets")
    digits = sklearn.load_digits()
    inputs, targets = torch.tensor(digits.data[:1000] / 16).float(), torch.tensor(digits.target[:1000])
    ends = []
    for seed in (1, 2):
        source = torch.Generator().manual_seed(seed)
        if kind == "perceptron":
            model, steps = tw.models.mlp((64, 128, 128, 10), generator=source), 150
        else:
            inputs = inputs.reshape(-1, 1, 8, 8)
            model = tw.models.vanilla_cnn(1, 10, width=0.125, norm="batch", image_size=8, generator=source)
            steps = 100
        ends.append(trained(model, inputs, targets, steps, seed))
    raw = barrier(linear_path(*ends, points=5)).linear
    for method in ("weights", "activations"):
        aligned = align(*ends, method=method).apply(ends[1])
        straight = barrier(linear_path(ends[0], aligned, points=5)).linear
        repaired = barrier(repaired_path(ends[0], aligned, points=5)).linear
        # Measured: perceptron 0.35, 0.01, 0.003; batch norm 2.4, 1.1 (0.6), 0.24.
        assert straight < (0.1 if kind == "perceptron" else 0.7) * raw
        assert repaired < 0.8 * straight


class Turned(nn.Module):
    """A layer over channels that lie behind the places: PyTorch multiplies first, and adds the bias afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.o(torch.relu(self.a(x.transpose(1, 2))).mean(1))


def test_a_bias_that_is_added_afterwards_is_the_layers():
    data = randn(5, 5, 8)
    start, end = (Landscape(scrambled(Turned(), seed).double(), CROSS, [(data, CLASSES)]) for seed in (1, 2))
    repairs = Repairs(start, end)
    assert [layer.bias for layer in repairs.layers] == ["a.bias"]

    def outputs(there: Landscape) -> torch.Tensor:
        tensors = there.split(there.theta)
        return functional.linear(data.transpose(1, 2), tensors["a.weight"], tensors["a.bias"]).flatten(0, 1)

    now, ours, theirs = map(outputs, (repairs.at(0.3), start, end))
    for statistic in (lambda x: x.mean(0), lambda x: x.std(0, correction=0)):
        wanted = 0.7 * statistic(ours) + 0.3 * statistic(theirs)
        torch.testing.assert_close(statistic(now), wanted, rtol=1e-10, atol=1e-10)


def test_statistics_of_training_data_under_test_data():
    train = [(randn(9, 4, seed=5), CLASSES[:1].expand(9))]
    start, end = perceptron(1), perceptron(2)
    found = repaired_path(start, end, points=3, estimate_on=train)
    expected = start.loss(Repairs(start.on(train), end.on(train)).at(0.5).theta)
    assert float(found.loss[1]) == pytest.approx(expected, rel=1e-12)
    assert float(repaired_path(start, end, points=3).loss[1]) != pytest.approx(expected, rel=1e-3)

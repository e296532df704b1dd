"""The product that cells share: the same answers, whatever the model does before it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import classes, randn, scrambled
from tests.landscape.snapshot import unchanged
from thalweg.surfaces import grid_scan, plane_scan, random_directions
from thalweg.surfaces._first_layer import FirstLayer

WIDE = 70


def perceptron(*, bias: bool = True) -> nn.Module:
    return scrambled(
        nn.Sequential(nn.Flatten(), nn.Linear(WIDE, 5, bias=bias), nn.Tanh(), nn.Linear(5, 3)).double(), scale=0.2
    )


class Twice(nn.Module):
    """Uses the first weight again, on what it has made of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(WIDE, WIDE))

    def forward(self, x):
        return functional.linear(functional.linear(x, self.weight).tanh(), weight=self.weight)[:, :3]


class Overwriting(nn.Module):
    """Writes into what it was given, after the first layer has read it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(WIDE, WIDE), nn.Linear(WIDE, 3)

    def forward(self, x):
        x = x.clone()
        y = self.first(x)
        return self.last(x.mul_(0.5) + y.relu_())


class Stateful(nn.Module):
    """Another input to the first layer at every other pass: no landscape, but none that may be answered wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.calls = nn.Linear(WIDE, 3), [0]

    def forward(self, x):
        self.calls[0] += 1
        return self.body(x * (1 + self.calls[0] % 2))


class Scaled(nn.Module):
    """A parameter before the first layer: nothing to share."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.body = nn.Parameter(torch.ones(1)), nn.Linear(WIDE, 3)

    def forward(self, x):
        return self.body(x * self.scale)


class Asking(nn.Module):
    """Asks a parameter for its type first, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(WIDE, 3)

    def forward(self, x):
        return self.body(x.to(self.body.weight.dtype) + 1)


def landscape_of(model: nn.Module, data=None, **options) -> tw.Landscape:
    batches = data or [(randn(6, WIDE), classes(6)), (randn(2, WIDE, seed=3), classes(2))]
    return tw.Landscape(scrambled(model.double(), scale=0.2), tw.objectives.cross_entropy(), batches, **options)


def shared_parts(landscape: tw.Landscape, memory: int = 1 << 28, cells: int = 100) -> int:
    vectors = random_directions(landscape).vectors.mT.contiguous()
    with unchanged(landscape.model):
        return FirstLayer(landscape, vectors, cells, memory).parts


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (perceptron(), 2),
        (perceptron(bias=False), 2),
        (Twice(), 2),
        (Overwriting(), 2),
        (Asking(), 2),
        (Scaled(), 0),
        (nn.Sequential(nn.Linear(WIDE, WIDE), nn.Linear(WIDE, 3)), 2),
        (nn.Sequential(nn.LayerNorm(WIDE), nn.Linear(WIDE, 3)), 0),
        (nn.Sequential(nn.LayerNorm(WIDE, elementwise_affine=False), nn.Linear(WIDE, 3)), 2),
    ],
)
def test_the_answers_are_those_without_sharing(model, parts):
    landscape = landscape_of(model, check=False)
    assert shared_parts(landscape) == parts
    directions = random_directions(landscape)
    with unchanged(model):
        shared = plane_scan(landscape, directions, points=5)
    plain = plane_scan(landscape, directions, points=5, share=False)
    torch.testing.assert_close(shared.loss, plain.loss, rtol=1e-13, atol=1e-14)
    assert torch.equal(shared.metrics["accuracy"], plain.metrics["accuracy"])
    # Where something is shared the rounding is another, or else the test would compare nothing.
    assert torch.equal(shared.loss, plain.loss) == (parts == 0)
    assert float(shared.loss[2, 2]) == landscape.evaluate().loss.value


def test_another_input_than_was_multiplied_is_multiplied_anew():
    model = Stateful()
    landscape = landscape_of(model, [(randn(6, WIDE), classes(6))], check=False)
    directions = random_directions(landscape)

    def scan(share: bool, start: int):
        model.calls[0] = start
        return plane_scan(landscape, directions, points=5, share=share).loss

    # The first pass is the one that looks.
    torch.testing.assert_close(scan(share=True, start=0), scan(share=False, start=1), rtol=1e-13, atol=1e-14)


def test_three_directions_and_a_bias_that_does_not_move():
    landscape = landscape_of(perceptron(), params=["1.weight", "3.*"])
    directions = random_directions(landscape, 3)
    shared, plain = (grid_scan(landscape, directions, points=3, share=share).loss for share in (True, False))
    torch.testing.assert_close(shared, plain, rtol=1e-13, atol=1e-14)
    assert not torch.equal(shared, plain)


def test_a_loader_that_makes_new_tensors_each_time_is_recognised_by_their_bits():
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(randn(7, WIDE), classes(7)), batch_size=4)
    landscape = landscape_of(perceptron(), data)
    directions = random_directions(landscape)
    shared, plain = (plane_scan(landscape, directions, points=5, share=share).loss for share in (True, False))
    assert not torch.equal(shared, plain)
    torch.testing.assert_close(shared, plain, rtol=1e-13, atol=1e-14)


def test_the_budget_is_kept():
    """Five numbers for each of 6 and 2 items, in four copies, and the items themselves."""
    landscape = landscape_of(perceptron())
    first, second = ((4 * 5 + WIDE) * items * 8 for items in (6, 2))
    assert shared_parts(landscape, memory=first + second) == 2
    assert shared_parts(landscape, memory=first + second - 1) == 1
    assert shared_parts(landscape, memory=first - 1) == 0


def test_little_work_is_not_prepared_for():
    assert shared_parts(landscape_of(perceptron()), cells=11) == 0
    narrow = nn.Sequential(nn.Linear(10, 3))
    assert shared_parts(landscape_of(narrow, [(randn(4, 10), classes(4))])) == 0


def test_rounding_inside_the_model_is_not_shared():
    assert shared_parts(landscape_of(perceptron(), autocast=torch.bfloat16)) == 0


def test_the_first_layer_is_multiplied_once_for_each_direction(monkeypatch):
    landscape = landscape_of(perceptron(), [(randn(6, WIDE), classes(6))])
    seen, linear = [0], functional.linear

    class Count(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen[0] += func is linear and args[0].shape[-1] == WIDE
            return func(*args, **(kwargs or {}))

    directions = random_directions(landscape)
    with Count():
        plane_scan(landscape, directions, points=5)
    # θ and two directions; the cell of θ itself; and the layer that was met while looking.
    assert seen[0] <= 5

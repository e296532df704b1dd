"""Statistics of batch norm taken anew, against PyTorch's own train mode."""

import copy

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import Counting, classes, cnn, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DataError
from thalweg.landscape import reestimated_buffers

CROSS = tw.objectives.cross_entropy()
IMAGES, CLASSES = randn(8, 1, 6, 6), classes(8)


def batches(sizes):
    return list(zip(IMAGES.split(sizes), CLASSES.split(sizes), strict=True))


def by_torch(model, data):
    """Train-mode passes with cumulative averages, on a copy."""
    model = copy.deepcopy(model).train()
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
            layer.momentum = None
        if isinstance(layer, nn.Dropout):
            layer.eval()
    with torch.no_grad():
        for inputs, _ in data:
            model(inputs)
    return dict(model.named_buffers())


def deep():
    """Two batch norms, so that the second sees what the first normalised, and dropout between."""
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Dropout(0.9), nn.Conv2d(2, 3, 3)]
    return scrambled(nn.Sequential(*layers, nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3)).double())


@pytest.mark.parametrize("make", [cnn, deep])
@pytest.mark.parametrize("size", [8, 4, 2])
def test_equal_batches_as_torch(make, size):
    model = scrambled(make())
    landscape = tw.Landscape(model, CROSS, batches(size))
    with unchanged(model):
        found = reestimated_buffers(landscape)
    expected = by_torch(model, batches(size))
    assert found.keys() == expected.keys() == landscape.buffers.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-13, atol=1e-14)


def test_ragged_batches_count_by_their_items():
    landscape = tw.Landscape(cnn(), CROSS, batches([5, 3]))
    big, small = (by_torch(cnn(), [batch]) for batch in batches([5, 3]))
    found = reestimated_buffers(landscape)
    for name in ("1.running_mean", "1.running_var"):
        torch.testing.assert_close(found[name], (5 * big[name] + 3 * small[name]) / 8, rtol=1e-13, atol=1e-14)


def test_a_whole_batch_is_normalised_to_mean_zero_and_variance_one():
    body, norm = scrambled(nn.Linear(4, 3).double()), nn.BatchNorm1d(3).double()
    x = randn(50, 4)
    landscape = tw.Landscape(nn.Sequential(body, norm), CROSS, [(x, classes(50))])
    theta = torch.cat([landscape.theta[:15], torch.ones(3).double(), torch.zeros(3).double()])
    there = landscape.at(theta)
    repaired = landscape.at(theta, buffers=reestimated_buffers(there))
    with repaired.reading(), torch.no_grad():
        outputs = repaired.outputs(repaired.leaves(grad=False), (x, classes(50)))
    torch.testing.assert_close(outputs.mean(dim=0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    assert outputs.var(dim=0).tolist() == pytest.approx([1.0] * 3, rel=1e-3)


def test_the_point_asked_for_is_the_landscapes_and_not_the_models():
    landscape = tw.Landscape(cnn(), CROSS, batches(4))
    other = landscape.at(2 * landscape.theta)
    found = reestimated_buffers(other)
    torch.testing.assert_close(found["1.running_var"], 4 * reestimated_buffers(landscape)["1.running_var"])
    assert not torch.equal(other.buffers["1.running_var"], found["1.running_var"])


def test_other_data_and_micro_batches():
    model = cnn()
    landscape = tw.Landscape(model, CROSS, batches(8))
    fours = by_torch(model, batches(4))
    for found in (
        reestimated_buffers(landscape, batches(4)),
        reestimated_buffers(tw.Landscape(model, CROSS, batches(8), microbatch=4)),
        reestimated_buffers(tw.Landscape(model, CROSS, batches(2), microbatch=4), batches(8)),
    ):
        torch.testing.assert_close(found["1.running_var"], fours["1.running_var"], rtol=1e-13, atol=0)


def test_a_layer_used_twice_sees_both_and_one_never_used_stays():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.unused, self.head = nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 3)
            self.register_buffer("steps", torch.tensor(7))

        def forward(self, x):
            return self.head(self.norm(3 * self.norm(x)))

    model = scrambled(Twice().double())
    data = [(randn(6, 4), classes(6))]
    landscape = tw.Landscape(model, CROSS, data, check=False)
    found, expected = reestimated_buffers(landscape), by_torch(model, data)
    torch.testing.assert_close(found["norm.running_mean"], expected["norm.running_mean"])
    torch.testing.assert_close(found["norm.running_var"], expected["norm.running_var"])
    assert (int(found["norm.num_batches_tracked"]), int(found["steps"])) == (2, 7)
    assert torch.equal(found["unused.running_var"], model.unused.running_var)


@pytest.mark.parametrize("model", [mlp(), scrambled(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)).double())])
def test_nothing_to_estimate_takes_no_pass(model):
    counting = Counting(model)
    landscape = tw.Landscape(counting, CROSS, [(randn(6, 4), classes(6))])
    before = counting.seen[0]
    assert reestimated_buffers(landscape).keys() == landscape.buffers.keys()
    assert counting.seen[0] == before


def test_one_pass_and_nothing_left_behind_when_it_fails():
    model = Counting(cnn())
    landscape = tw.Landscape(model, CROSS, batches(4))
    before = model.seen[0]
    reestimated_buffers(landscape)
    assert model.seen[0] == before + 2
    model.fail_at = model.seen[0] + 2
    momenta = [layer.momentum for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    with unchanged(model), pytest.raises(RuntimeError, match="the model stops here"):
        reestimated_buffers(landscape)
    assert momenta == [layer.momentum for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)] == [0.1]


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ArgumentError, match="landscape: expected one in eval mode, got train mode"):
        reestimated_buffers(tw.Landscape(cnn(), CROSS, batches(4), mode="train"))
    flat = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    data = [(randn(4, 4), classes(4))]
    landscape = tw.Landscape(flat, CROSS, data)
    with pytest.raises(DataError, match="data: expected batches of more than one value a channel"):
        reestimated_buffers(landscape, [(randn(1, 4), classes(1))])
    with pytest.raises(DataError, match="data: expected at least one batch, got none"):
        reestimated_buffers(landscape, [])
    with unchecked(), pytest.raises(DataError, match="got a tensor of shape"):
        reestimated_buffers(landscape, randn(4, 4))

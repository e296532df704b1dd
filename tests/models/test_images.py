"""What all networks for images share, each checked over every combination of its switches."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import functional_call

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.models import mlp, resnet20, simple_resnet, vanilla_cnn
from thalweg.models._initialise import initialised

NORMS = (None, "batch", "layer")
NETWORKS = {"vanilla_cnn": vanilla_cnn, "simple_resnet": simple_resnet, "resnet20": resnet20}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]


def build(network, channels=1, size=8, **switches):
    if network is vanilla_cnn:
        switches["image_size"] = size
    return network(channels, 10, **{"width": 0.0625, **switches})


def images(count, channels=1, size=8, dtype=torch.float32):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(7), dtype=dtype)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def convolutions(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def closed_form(channels_in, classes, stages, blocks, norm, projections):
    """Parameters of a residual network: 9 weights a pair of channels, one bias, or two for the norm, a channel."""
    extra = 1 if norm is None else 2
    total = (9 * channels_in + extra) * stages[0]
    previous = stages[0]
    for stage in stages:
        total += (9 * previous + extra) * stage + (9 * stage + extra) * stage * (2 * blocks - 1)
        if projections and previous != stage:
            total += (previous + extra) * stage
        previous = stage
    return total + (previous + 1) * classes


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("skip", [True, False])
def test_every_image_gives_ten_logits(network, channels, size, norm, skip):
    model = build(network, channels, size, norm=norm, skip=skip)
    outputs = model(images(2, channels, size))
    assert outputs.shape == (2, 10)
    assert outputs.isfinite().all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("width", [1.0, 0.125])
def test_the_number_of_parameters_of_the_residual_networks(norm, skip, width):
    stages = [round(stage * width) for stage in (64, 128, 256)]
    model = simple_resnet(3, 10, norm=norm, skip=skip, width=width)
    assert count(model) == closed_form(3, 10, stages, 2, norm, projections=skip)
    stages = [round(stage * width) for stage in (16, 32, 64)]
    assert count(resnet20(1, 7, norm=norm, skip=skip, width=width)) == closed_form(1, 7, stages, 3, norm, False)


def test_resnet20_has_the_published_size():
    """He et al. (2016, table 6): 0.27 million, and twenty layers with weights."""
    model = resnet20(3, 10)
    assert count(model) == 269_722
    assert len(convolutions(model)) + sum(isinstance(layer, nn.Linear) for layer in model.modules()) == 20
    assert (
        count(resnet20(3, 10, shortcut="projection")) == 272_474 == closed_form(3, 10, (16, 32, 64), 3, "batch", True)
    )


def test_simple_resnet_has_six_blocks_of_two_convolutions():
    assert len(convolutions(simple_resnet(3, 10, skip=False))) == 1 + 2 * 6


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("width", "size", "side"), [(1.0, 8, 1), (0.125, 28, 3), (0.25, 32, 4)])
def test_the_number_of_parameters_of_the_vanilla_network(norm, skip, width, size, side):
    model = vanilla_cnn(1, 10, width=width, norm=norm, skip=skip, image_size=size)
    extra, widths = 1 if norm is None else 2, [1, *(round(channels * width) for channels in (64, 128, 256))]
    pairs = list(pairwise(widths))
    expected = sum((9 * previous + extra) * channels for previous, channels in pairs)
    expected += sum((previous + extra) * channels for previous, channels in pairs) if skip else 0
    expected += (side**2 * widths[-1] + 1) * widths[-1] + (widths[-1] + 1) * 10
    assert count(model) == expected


def test_each_switch_changes_the_function(network):
    x = images(4)

    def outputs(**switches):
        return build(network, width=0.25, **{"norm": None, "skip": False, **switches})(x)

    variants = [outputs(**switches) for switches in (
        {}, {"norm": "batch"}, {"norm": "layer"}, {"skip": True}, {"activation": "tanh"}, {"activation": "gelu"},
    )]  # fmt: skip
    for index, one in enumerate(variants):
        for other in variants[index + 1 :]:
            assert not torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_pooling_by_the_maximum_and_by_the_mean_differ():
    x = images(4)
    highest, mean = (vanilla_cnn(1, 10, image_size=8, width=0.25, pool=pool)(x) for pool in ("max", "average"))
    assert not torch.allclose(highest, mean, rtol=1e-2)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_norm_undoes_the_scale_of_the_convolution_before_it(network, norm):
    model, x = build(network, norm=norm, width=0.25).double(), images(4, dtype=torch.float64)
    before = model(x)
    with torch.no_grad():
        for convolution in convolutions(model):
            convolution.weight.mul_(1e4)
    scaled = model(x)
    with torch.no_grad():
        for convolution in convolutions(model):
            convolution.weight.mul_(7)
    torch.testing.assert_close(model(x), scaled, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(before, torch.zeros_like(before))


def test_blocks_that_add_nothing_leave_the_shortcuts():
    """With the body of every block at zero, resnet20 is stem, subsampling, mean and linear layer."""
    model, x = resnet20(1, 10, width=0.25, norm=None), images(4)
    stem, *bodies = convolutions(model)
    with torch.no_grad():
        for convolution in bodies:
            convolution.weight.zero_()
            convolution.bias.zero_()
    last = list(model.modules())[-1]
    pooled = torch.relu(stem(x))[:, :, ::4, ::4].mean(dim=(2, 3))
    torch.testing.assert_close(model(x), pooled @ last.weight[:, :4].T + last.bias)
    assert last.weight.shape == (10, 16)


def test_the_seed_decides_the_parameters(network, untouched_rng):
    def draw(seed):
        return build(network, generator=torch.Generator().manual_seed(seed)).state_dict()

    one, again, other, default = draw(0), draw(0), draw(1), build(network).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert all(torch.equal(one[name], default[name]) for name in one)
    weights = [name for name in one if one[name].ndim > 1]
    assert not any(torch.equal(one[name], other[name]) for name in weights)


def test_a_generator_that_goes_on_gives_another_network(network, generator):
    first, second = (build(network, generator=generator).state_dict() for _ in range(2))
    name = next(iter(first))
    assert not torch.equal(first[name], second[name])


def test_parameters_start_as_documented():
    """Uniform on ±1/√fan_in: standard deviation bound/√3; norms at one and zero; statistics reset."""
    model = simple_resnet(3, 10, width=0.5)
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            assert layer.weight.abs().max() <= bound
            spread, error = bound / math.sqrt(3), bound / math.sqrt(layer.weight.numel())
            assert abs(layer.weight.mean()) < 5 * error
            assert abs(layer.weight.std() - spread) < 5 * error
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()
            assert (layer.running_var == 1).all()
            assert not layer.running_mean.any()
            assert layer.num_batches_tracked == 0


def test_layers_without_a_rule_are_refused():
    with pytest.raises(
        ArgumentError, match="build: expected linear, convolutional and normalisation layers, got Embedding"
    ):
        initialised(lambda: nn.Embedding(2, 3), None)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [*NETWORKS, "mlp"])
def test_the_second_derivative_is_that_of_the_gradient(name, norm):
    """Double backward against a central difference of the gradient, in eval mode, smooth everywhere."""
    smooth = {"activation": "tanh", "norm": norm}
    if name == "mlp":
        model = mlp((64, 6, 6, 10), skip=True, **smooth)
    else:
        model = build(NETWORKS[name], **smooth, **({"pool": "average"} if name == "vanilla_cnn" else {}))
    model, x = model.double().eval(), images(3, dtype=torch.float64)
    names, point = zip(*model.named_parameters(), strict=True)
    direction = [
        torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(k)) for k, p in enumerate(point)
    ]

    def gradient(step, create_graph=False):
        moved = [(p.detach() + step * d).requires_grad_() for p, d in zip(point, direction, strict=True)]
        value = functional_call(model, dict(zip(names, moved, strict=True)), (x,)).square().sum()
        return moved, torch.autograd.grad(value, moved, create_graph=create_graph)

    moved, exact = gradient(0.0, create_graph=True)
    product = torch.autograd.grad(sum((g * d).sum() for g, d in zip(exact, direction, strict=True)), moved)
    ahead, behind = gradient(1e-5)[1], gradient(-1e-5)[1]
    numeric = torch.cat([((a - b) / 2e-5).reshape(-1) for a, b in zip(ahead, behind, strict=True)])
    analytic = torch.cat([part.reshape(-1) for part in product])
    assert (analytic - numeric).norm() < 1e-5 * numeric.norm()
    assert analytic.norm() > 0


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        (vanilla_cnn, {"in_channels": 0}, r"in_channels: expected a whole number of at least 1, got 0\."),
        (vanilla_cnn, {"classes": 0}, r"classes: expected a whole number of at least 1, got 0\."),
        (vanilla_cnn, {"image_size": 7}, r"image_size: expected a whole number of at least 8, got 7\."),
        (vanilla_cnn, {"pool": "min"}, r"pool: expected one of \['average', 'max'\], got 'min'\."),
        (vanilla_cnn, {"norm": "group"}, r"norm: expected one of \('batch', 'layer', None\), got 'group'\."),
        (simple_resnet, {"in_channels": 0}, r"in_channels: expected a whole number of at least 1, got 0\."),
        (simple_resnet, {"classes": -1}, r"classes: expected a whole number of at least 1, got -1\."),
        (simple_resnet, {"width": -1.0}, r"width: expected a positive finite number, got -1\.0\."),
        (resnet20, {"shortcut": "conv"}, r"shortcut: expected 'pad' or 'projection', got 'conv'\."),
        (resnet20, {"skip": False, "shortcut": "projection"}, r"shortcut: expected 'pad' .* together with skip=False"),
    ],
)  # fmt: skip
def test_bad_input_is_named(network, arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        network(**{"in_channels": 1, "classes": 10, **arguments})

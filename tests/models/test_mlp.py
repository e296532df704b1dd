"""Oracles: the closed-form count, the network written out by hand, and symmetries that it must have."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.models import mlp


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def inputs(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.booleans(), st.sampled_from([None, "batch", "layer"]))
def test_the_number_of_parameters(sizes, bias, norm):
    expected = sum((fan_in + bias) * fan_out for fan_in, fan_out in pairwise(sizes))
    expected += 2 * sum(sizes[1:-1]) if norm else 0
    assert count(mlp(sizes, norm=norm, bias=bias)) == expected


@pytest.mark.parametrize(
    ("activation", "function"), [("relu", torch.relu), ("tanh", torch.tanh), ("gelu", functional.gelu)]
)
def test_the_function_is_the_one_written_by_hand(activation, function):
    model, x = mlp((3, 4, 4, 2), activation, skip=True), inputs(5, 3)
    first, second, last = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
    hidden = function(x @ first.weight.T + first.bias)
    hidden = hidden + function(hidden @ second.weight.T + second.bias)
    torch.testing.assert_close(model(x), hidden @ last.weight.T + last.bias)


def test_images_are_flattened():
    model, x = mlp((64, 5, 10)), inputs(3, 1, 8, 8)
    torch.testing.assert_close(model(x), model(x.reshape(3, 64)))


@pytest.mark.parametrize("norm", [None, "layer"])
def test_permuting_hidden_units_leaves_the_function_fixed(norm):
    model, x = mlp((4, 6, 3), "tanh", norm=norm), inputs(10, 4)
    before = model(x)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    hidden, last = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        hidden.weight.copy_(hidden.weight[order])
        hidden.bias.copy_(hidden.bias[order])
        last.weight.copy_(last.weight[:, order])
    torch.testing.assert_close(model(x), before)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_norm_undoes_the_scale_of_the_weights_before_it(norm):
    model, x = mlp((4, 6, 3), norm=norm).double(), 100 * inputs(10, 4, dtype=torch.float64)
    before = model(x)
    hidden = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        hidden.weight.mul_(3)
        hidden.bias.mul_(3)
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)


def test_each_switch_changes_the_function():
    plain, x = mlp((4, 6, 6, 3))(inputs(10, 4)), inputs(10, 4)
    for switch in (
        {"activation": "tanh"},
        {"activation": "gelu"},
        {"norm": "batch"},
        {"norm": "layer"},
        {"skip": True},
    ):
        assert not torch.allclose(mlp((4, 6, 6, 3), **switch)(x), plain, rtol=1e-2), switch
    batch, layer = (mlp((4, 6, 6, 3), norm=norm)(x) for norm in ("batch", "layer"))
    assert not torch.allclose(batch, layer, rtol=1e-2)


def test_without_biases_zero_is_mapped_to_zero():
    assert not mlp((4, 6, 3), "tanh", bias=False)(torch.zeros(1, 4)).any()
    assert mlp((4, 6, 3), "tanh")(torch.zeros(1, 4)).any()


def test_a_shortcut_costs_no_parameters():
    assert count(mlp((4, 6, 6, 3), skip=True)) == count(mlp((4, 6, 6, 3)))


@pytest.mark.parametrize(("width", "hidden"), [(0.5, 5), (1.26, 13), (0.001, 1), (2.0, 20)])
def test_the_width_multiplies_the_hidden_layer_alone(width, hidden):
    assert count(mlp((7, 10, 3), width=width)) == 8 * hidden + (hidden + 1) * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (3,)}, r"sizes: expected at least two numbers, input and output, got \(3,\)\."),
        ({"sizes": (3, 0, 2)}, r"sizes: expected a whole number of at least 1, got 0\."),
        ({"sizes": (3, 4, 2), "width": 0.0}, r"width: expected a positive finite number, got 0\.0\."),
        ({"sizes": (3, 4, 2), "width": float("inf")}, r"width: expected a positive finite number, got inf\."),
        ({"sizes": (3, 4, 5, 2), "skip": True}, r"skip: expected a hidden layer .* got the sizes \(3, 4, 5, 2\)\."),
        ({"sizes": (3, 4, 2), "activation": "si"}, r"activation: expected one of \['gelu', .*\], got 'si'\."),
        ({"sizes": (3, 4, 2), "norm": "group"}, r"norm: expected one of \('batch', 'layer', None\), got 'group'\."),
    ],
)  # fmt: skip
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        mlp(**arguments)

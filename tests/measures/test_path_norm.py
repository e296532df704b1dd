"""Path norms against networks of powers built by hand, and against the enumeration of all paths."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.landscape.models import (
    Attention,
    ConvolutionalResidual,
    MultiHead,
    Recurrent,
    Residual,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import path_norm
from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError

CROSS_ENTROPY = tw.objectives.cross_entropy()


def on(model, *shape, **options):
    return tw.Landscape(model, CROSS_ENTROPY, [(randn(4, *shape), classes(4))], **options)


def powers(*layers, p):
    """Sum of the outputs of a chain of layers, parameters to the power p, fed with ones."""
    with torch.no_grad():
        for layer in layers:
            for parameter in layer.parameters():
                parameter.copy_(parameter.abs() ** p)
        return nn.Sequential(*layers)


def enumerated(model: nn.Sequential, p: int) -> float:
    """All paths from all inputs and all biases of a multilayer perceptron, one by one."""
    layers = [module for module in model if isinstance(module, nn.Linear)]
    total = 0.0
    for start in range(len(layers)):
        widths = [layer.out_features for layer in layers[start:]]
        if layers[start].bias is not None:
            for units in itertools.product(*map(range, widths)):
                product = float(layers[start].bias.detach()[units[0]])
                for layer, (i, o) in zip(layers[start + 1 :], itertools.pairwise(units), strict=True):
                    product *= float(layer.weight.detach()[o, i])
                total += abs(product) ** p
    widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
    for units in itertools.product(*map(range, widths)):
        product = 1.0
        for layer, (i, o) in zip(layers, itertools.pairwise(units), strict=True):
            product *= float(layer.weight.detach()[o, i])
        total += abs(product) ** p
    return total


@settings(max_examples=5)
@given(
    st.lists(st.integers(1, 3), min_size=2, max_size=4), st.booleans(), st.integers(0, 2**31), st.sampled_from([1, 2])
)
def test_every_path_counts_once(sizes, bias, seed, p):
    layers = []
    for n_in, n_out in itertools.pairwise([*sizes, 3]):
        layers += [nn.Linear(n_in, n_out, bias=bias), nn.ReLU()]
    model = scrambled(nn.Sequential(*layers[:-1]).double(), seed, scale=1.0)
    assert path_norm(on(model, sizes[0], check=False), p).value == pytest.approx(enumerated(model, p), rel=1e-11)


@pytest.mark.parametrize("p", [1, 2])
def test_a_convolutional_network_with_batch_norm_folded_by_hand(p):
    model = cnn()
    landscape = on(model, 1, 6, 6)
    with unchecked(), unchanged(model):
        found = path_norm(landscape, p)
    conv, norm = model[0], model[1]
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    with torch.no_grad():
        weight = conv.weight * scale.view(-1, 1, 1, 1)
        bias = (conv.bias - norm.running_mean) * scale + norm.bias
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    twin = powers(conv, nn.AvgPool2d(2), nn.Flatten(), model[5], p=p)
    expected = float(twin(torch.ones(1, 1, 6, 6).double()).sum().detach())
    assert found.value == pytest.approx(expected, rel=1e-11)
    assert found.standard_error == 0


def test_a_root():
    landscape = on(mlp(), 4)
    assert path_norm(landscape, root=True).value == pytest.approx(math.sqrt(path_norm(landscape).value))
    assert path_norm(landscape, 1, root=True).value == path_norm(landscape, 1).value


def test_shortcuts_add_and_batch_norms_that_are_shared_stand_alone():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm, self.head = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 3, bias=False)

        def forward(self, x):
            y = self.layer(x)
            return self.head(y + torch.relu(self.norm(y)))

    model = scrambled(Shared().double())
    found = path_norm(on(model, 2)).value
    with torch.no_grad():
        before = (model.layer.weight**2).sum(dim=1) + model.layer.bias**2
        scale = model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()
        shift = model.norm.bias - model.norm.running_mean * scale
        expected = (model.head.weight**2 @ (before + scale**2 * before + shift**2)).sum()
    assert found == pytest.approx(float(expected), rel=1e-11)


def test_activations_are_the_identity_wherever_they_are_called():
    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 3)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            x = self.drop(nn.functional.leaky_relu(self.a(x), 0.1))
            return 0.5 * self.c(nn.functional.gelu(self.b(x).tanh()))

    model = scrambled(Called().double())
    plain = nn.Sequential(model.a, nn.ReLU(), model.b, nn.ReLU(), model.c)
    assert path_norm(on(model, 3)).value == pytest.approx(0.25 * enumerated(plain, 2), rel=1e-11)
    assert path_norm(on(model, 3), 1).value == pytest.approx(0.5 * enumerated(plain, 1), rel=1e-11)


def test_models_of_the_library():
    data = [(torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.long))]
    for model in (
        tw.models.resnet20(3, 10, width=0.25),
        tw.models.vanilla_cnn(3, 10, width=0.1, norm="batch", skip=True, image_size=8),
        tw.models.simple_resnet(3, 10, width=0.1),
    ):
        found = path_norm(tw.Landscape(model, CROSS_ENTROPY, data, check=False))
        assert 0 < found.value < math.inf
    assert path_norm(on(scrambled(ConvolutionalResidual().double()), 1, 6, 6)).value > 0


@pytest.mark.parametrize(
    ("model", "shape", "operation"),
    [
        (Attention, (3, 4), "scaled_dot_product_attention"),
        (MultiHead, (3, 4), "multi_head_attention_forward"),
        (Recurrent, (3, 4), "lstm"),
        (Residual, (4,), "layer_norm"),
    ],
)
def test_what_has_no_paths_of_weights_is_refused(model, shape, operation):
    landscape = on(scrambled(model().double()), *shape)
    with pytest.raises(ObjectiveError, match=rf"path norm: expected a feed-forward network.*{operation} is none"):
        path_norm(landscape)


class Odd(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(3, 3), nn.Linear(3, 3), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (torch.sigmoid, "sigmoid"),
        (lambda x: x * x, "mul"),
        (lambda x: x @ x.mT @ x, "matmul"),
        (lambda x: x - 1, "sub"),
        (lambda x: x + 1, "add"),
        (lambda x: torch.add(x, x, alpha=-2), "add"),
        (lambda x: x.softmax(dim=-1), "softmax"),
        (lambda x: x / 2, "div"),
    ],
)
def test_operations_without_paths_are_named(function, operation):
    with pytest.raises(ObjectiveError, match=rf"path norm: .*{operation} is none of these"):
        path_norm(on(Odd(function).double(), 3))


def test_parameters_without_a_layer_multiply_and_add_like_weights():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain, self.shift = nn.Parameter(randn(3)), nn.Parameter(randn(3, seed=1))
            self.mix = nn.Parameter(randn(3, 3, seed=2))

        def forward(self, x):
            return (self.gain * x + self.shift) @ self.mix

    model = Bare()
    expected = ((model.gain**2 + model.shift**2) @ model.mix**2).sum().detach()
    assert path_norm(on(model, 3)).value == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("function", [torch.add, torch.mul], ids=["add", "mul"])
def test_buffers_have_no_powers_and_are_refused(function):
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)
            self.register_buffer("by", torch.tensor([1.0, -2.0, 3.0]).double())

        def forward(self, x):
            return function(self.layer(x), self.by)

    with pytest.raises(ObjectiveError, match="is none of these"):
        path_norm(on(Shifted().double(), 3))


def test_bad_input_is_named():
    landscape = on(mlp(), 4)
    for p in (0, 3, True, "2"):
        with unchecked(), pytest.raises(ArgumentError, match="p: expected 1 or 2"):
            path_norm(landscape, p)
    with pytest.raises(ArgumentError, match="expected one in eval mode"):
        path_norm(on(mlp(), 4, mode="train"))
    with pytest.raises(NonFiniteError, match="path norm: expected a finite sum over paths"):
        path_norm(landscape.at(torch.full_like(landscape.theta, 1e200)))
    with pytest.raises(ObjectiveError, match="embedding is none of these"):
        path_norm(tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens()]))

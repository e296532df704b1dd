"""Norm-based capacity against naive dense twins, PyTorch's own folding, and what must not move it."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

import thalweg as tw
from tests.golden import g1, g2
from tests.landscape.models import (
    ConvolutionalResidual,
    Grouped,
    MultiHead,
    classes,
    cnn,
    generator,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import capacity, fisher_rao_norm, margins
from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError

CROSS_ENTROPY = tw.objectives.cross_entropy()


def on(model, *shape, count=6, objective=CROSS_ENTROPY, **options):
    return tw.Landscape(model, objective, [(randn(count, *shape), classes(count))], **options)


def linear(*matrices, activation=nn.ReLU):
    """A network without biases."""
    layers = []
    for matrix in matrices:
        layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(matrix)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def matrices(seed=0, sizes=(4, 6, 5, 3)):
    return [randn(sizes[i + 1], sizes[i], seed=seed + i) for i in range(len(sizes) - 1)]


def numbers(found):
    return {name: measure.log for name, measure in found.measures.items()}


# ---------------------------------------------------------------------- values


def test_two_layers_in_closed_form():
    """O56: W₁ = [[1, −2], [3, 4]], W₂ = [[1, −1]]."""
    first, second = torch.tensor([[1.0, -2.0], [3.0, 4.0]]).double(), torch.tensor([[1.0, -1.0]]).double()
    data = [(randn(3, 2), randn(3, 1))]
    found = capacity(tw.Landscape(linear(first, second), tw.objectives.squared_error(), data), quantile=None)
    values = {name: measure.value for name, measure in found.measures.items()}
    assert values["prod_of_spec"] == pytest.approx(52.3606797750, rel=1e-11)
    assert math.sqrt(values["prod_of_spec"]) == pytest.approx(7.2360679775, rel=1e-11)
    assert values["fro_over_spec"] == pytest.approx(2.14589803375, rel=1e-11)
    assert values["path_norm"] == pytest.approx(30, rel=1e-14)
    assert values["path_norm_l1"] == pytest.approx(10, rel=1e-14)
    assert values["prod_of_fro"] == pytest.approx(60)
    assert values["sum_of_fro"] == pytest.approx(2 * math.sqrt(60))
    assert values["param_norm"] == pytest.approx(32)
    assert found.measures["param_norm"].scaled == pytest.approx(math.sqrt(32 / 3))
    assert found.measures["param_norm"].log == pytest.approx(math.log(32))
    assert (found.samples, found.margin, found.left_out, found.unfolded) == (3, None, (), ())
    assert "no margin was asked for" in found.undetermined["path_norm_over_margin"]
    assert found.undetermined["fro_dist"] == "no initial point"


def test_all_measures_by_a_naive_twin():
    weights, start = matrices(0), matrices(10)
    # Labels that the network gives itself, so that margins are positive.
    model, inputs = linear(*weights), randn(40, 4, seed=5)
    labels = model(inputs).argmax(dim=1)
    landscape = tw.Landscape(model, CROSS_ENTROPY, [(inputs[:13], labels[:13]), (inputs[13:], labels[13:])])
    initial = tw.Landscape(linear(*start), CROSS_ENTROPY, [(inputs, labels)])
    with unchecked(), unchanged(landscape.model), unchanged(initial.model):
        found = capacity(landscape, initial)
    logits = model(inputs).detach().numpy()
    gaps = [row[y] - max(np.delete(row, y)) for row, y in zip(logits, labels.tolist(), strict=True)]
    gamma = np.quantile(gaps, 0.1)
    spec = [np.linalg.norm(w.numpy(), 2) for w in weights]
    fro = [np.linalg.norm(w.numpy()) for w in weights]
    away = [np.linalg.norm((w - v).numpy()) for w, v in zip(weights, start, strict=True)]
    away_spec = [np.linalg.norm((w - v).numpy(), 2) for w, v in zip(weights, start, strict=True)]

    def complexity(sums):
        inner = sum((a / s) ** (2 / 3) for a, s in zip(sums, spec, strict=True))
        return (np.prod(spec) * inner**1.5) ** 2

    rows = [sum(np.linalg.norm(row) for row in w.numpy()) for w in weights]
    rows_away = [sum(np.linalg.norm(row) for row in (w - v).numpy()) for w, v in zip(weights, start, strict=True)]
    path = float((weights[2] ** 2 @ weights[1] ** 2 @ weights[0] ** 2).sum())
    product, product_fro = np.prod(spec) ** 2, np.prod(fro) ** 2
    ratio = sum((f / s) ** 2 for f, s in zip(fro, spec, strict=True))
    moved = sum((f / s) ** 2 for f, s in zip(away, spec, strict=True))
    expected = {
        "prod_of_spec": product,
        "sum_of_spec": 3 * product ** (1 / 3),
        "prod_of_fro": product_fro,
        "sum_of_fro": 3 * product_fro ** (1 / 3),
        "param_norm": sum(f**2 for f in fro),
        "fro_dist": sum(f**2 for f in away),
        "spec_dist": sum(f**2 for f in away_spec),
        "fro_over_spec": ratio,
        "init_over_spec": moved,
        "spectral_complexity": complexity(rows),
        "spectral_complexity_init": complexity(rows_away),
        "path_norm": path,
        "path_norm_l1": float((weights[2].abs() @ weights[1].abs() @ weights[0].abs()).sum()),
        "fisher_rao": fisher_rao_norm(landscape).value,
        "inverse_margin": gamma**-2,
        "prod_of_spec_over_margin": product / gamma**2,
        "sum_of_spec_over_margin": 3 * (product / gamma**2) ** (1 / 3),
        "prod_of_fro_over_margin": product_fro / gamma**2,
        "sum_of_fro_over_margin": 3 * (product_fro / gamma**2) ** (1 / 3),
        "path_norm_over_margin": path / gamma**2,
        "spectral_complexity_over_margin": complexity(rows) / gamma**2,
        "spectral_complexity_init_over_margin": complexity(rows_away) / gamma**2,
        "spec_orig_main": product / gamma**2 * ratio,
        "spec_init_main": product / gamma**2 * moved,
    }
    values = {name: measure.value for name, measure in found.measures.items()}
    assert values == pytest.approx(expected, rel=1e-9)
    assert found.margin == pytest.approx(gamma)
    assert not found.undetermined
    assert [layer.name for layer in found.layers] == ["0", "2", "4"]
    again = capacity(landscape, torch.cat([w.flatten() for w in start]))
    assert numbers(again) == pytest.approx(numbers(found), rel=1e-12)
    assert capacity(landscape, landscape.theta).measures["fro_dist"].value == 0


def test_convolutions_are_matrices_of_outputs_by_the_rest():
    model = scrambled(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double())
    found = capacity(on(model, 2, 4, 4), quantile=None)
    matrix = model[0].weight.detach().numpy().reshape(3, 18)
    assert (found.layers[0].rows, found.layers[0].columns) == (3, 18)
    assert found.layers[0].spectral == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)
    assert found.left_out == ("0.bias", "3.bias")


def test_what_overflows_has_its_logarithm():
    # Zeros and the labels keep the loss finite.
    landscape = tw.Landscape(
        linear(*[1e30 * torch.eye(3).double()] * 20), CROSS_ENTROPY, [(torch.zeros(6, 3).double(), classes(6))]
    )
    found = capacity(landscape, quantile=None)
    product = found.measures["prod_of_spec"]
    assert product.value is None
    assert product.log == pytest.approx(20 * 2 * math.log(1e30))
    assert found.measures["sum_of_spec"].value == pytest.approx(20e60)
    assert "e^2763.1" in str(found)
    assert "path norm: expected a finite sum" in found.undetermined["path_norm"]
    small = capacity(on(linear(1e-200 * torch.eye(3).double()), 3), quantile=None)
    assert small.layers[0].spectral == pytest.approx(1e-200, rel=1e-12)
    assert small.measures["fro_over_spec"].value == pytest.approx(3)


def test_a_layer_of_zeros_has_no_ratios():
    found = capacity(on(linear(randn(4, 3), torch.zeros(3, 4).double()), 3), quantile=None)
    assert found.measures["prod_of_spec"].value == 0
    assert found.measures["prod_of_spec"].log is None
    assert found.undetermined["fro_over_spec"] == "the weights of 2 are zero"
    assert "spectral_complexity" not in found.measures


def test_noise_tolerances_are_listed():
    landscape = g2()
    plain = tw.noise_tolerance(landscape, 0.1, draws=3)
    aware = tw.noise_tolerance(landscape, 0.1, draws=3, magnitude_aware=True)
    found = capacity(landscape, noise=[plain, aware])
    assert found.measures["pacbayes_flatness"].value == pytest.approx(plain.sigma.value**-2)
    assert found.measures["pacbayes_mag_flatness"].value == pytest.approx(aware.sigma.value**-2)


def test_a_result_is_a_record():
    found = capacity(g2(), quantile=0.9)
    back = type(found).from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert back.measures == found.measures
    assert back.layers == found.layers
    text = str(found)
    assert text.startswith("capacity of 2 layers on 4 samples")
    assert "not in the norms: 0.bias, 2.bias" in text


# ---------------------------------------------------------------------- batch norm


def test_batch_norm_is_folded_as_pytorch_folds_it():
    model = cnn().eval()
    fused = nn.Sequential(fuse_conv_bn_eval(model[0], model[1]), *model[2:])
    found, plain = capacity(on(model, 1, 6, 6), quantile=None), capacity(on(fused, 1, 6, 6), quantile=None)
    ours, theirs = numbers(found), numbers(plain)
    assert ours == pytest.approx(theirs, rel=1e-10)
    assert found.layers[0].norm == "1"
    assert found.left_out == ("0.bias", "1.bias", "5.bias")
    assert found.unfolded == ()


def test_the_fisher_rao_norm_of_folded_weights_against_a_dense_twin():
    """A layer with a bias before a batch norm without parameters, and one without before one that has them."""
    body = [nn.Linear(4, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, 6, bias=False)]
    model = scrambled(nn.Sequential(*body, nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()).eval()
    first = fuse_linear_bn_eval(model[0], _with_affine(model[1]))
    fused = nn.Sequential(first, model[2], fuse_linear_bn_eval(model[3], model[4]), *model[5:])
    fused.requires_grad_()
    inputs, targets = randn(6, 4), classes(6)
    expected = 0.0
    for x, y in zip(inputs, targets, strict=True):
        parameters = list(fused.parameters())
        gradients = torch.autograd.grad(nn.functional.cross_entropy(fused(x[None]), y[None]), parameters)
        expected += float(sum((p.detach() * g).sum() for p, g in zip(parameters, gradients, strict=True))) ** 2 / 6
    landscape = tw.Landscape(model, CROSS_ENTROPY, [(inputs, targets)])
    with unchanged(model):
        found = fisher_rao_norm(landscape)
    assert found.value == pytest.approx(expected, rel=1e-10)
    # What is not selected is not counted: θ is then the last layer.
    last = tw.Landscape(model, CROSS_ENTROPY, [(inputs, targets)], params=["6.weight"])
    plain = tw.Landscape(fused, CROSS_ENTROPY, [(inputs, targets)], params=[f"{len(fused) - 1}.weight"])
    assert fisher_rao_norm(last).value == pytest.approx(fisher_rao_norm(plain).value, rel=1e-10)


def test_a_batch_norm_that_shares_its_parameters_is_not_folded_silently():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3)).double().eval()
    model[3].bias = model[1].bias
    with pytest.raises(ArgumentError, match="expected a batch norm with parameters of its own"):
        fisher_rao_norm(on(model, 3))


def test_the_fisher_rao_norm_refuses_train_mode():
    with pytest.raises(ArgumentError, match="has no gradient of its own"):
        fisher_rao_norm(on(cnn(), 1, 6, 6, mode="train"))


class WithUnused(nn.Module):
    """Two layers, one that never runs, and one that runs for large inputs only; one used without a call."""

    def __init__(self):
        super().__init__()
        self.first, self.never, self.seldom = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 5)
        self.matrix = nn.Linear(5, 3)
        self.parametrised = parametrizations.weight_norm(nn.Linear(5, 5))
        self.idle = parametrizations.weight_norm(nn.Linear(5, 5))

    def forward(self, x):
        hidden = self.parametrised(self.first(x).relu())
        if bool((x > 50).any()):
            hidden = self.seldom(hidden)
        return hidden @ self.matrix.weight.T


def test_layers_that_are_never_used_are_left_out_by_name():
    inputs = randn(6, 4)
    inputs[4, 0] = 100.0
    model = WithUnused().double()
    with unchanged(model):
        with pytest.warns(tw.errors.UnreachedParameterWarning):
            landscape = tw.Landscape(model, CROSS_ENTROPY, [(inputs[:3], classes(3)), (inputs[3:], classes(3))])
        found = capacity(landscape)
    assert [layer.name for layer in found.layers] == ["first", "seldom", "matrix", "parametrised"]
    assert "never.weight" in found.left_out
    assert any(name.startswith("idle.parametrizations") for name in found.left_out)


def test_a_model_that_uses_no_layer():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.never, self.scale = nn.Linear(3, 3), nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x * self.scale

    landscape = on(Idle().double(), 3, params=["scale"])
    with pytest.raises(ArgumentError, match="has none that it uses"):
        capacity(landscape)


def test_batch_norm_behind_a_linear_layer():
    body = [nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, 3)]
    model = scrambled(nn.Sequential(*body).double()).eval()
    fused = nn.Sequential(fuse_linear_bn_eval(model[0], _with_affine(model[1])), *model[2:])
    ours, theirs = (numbers(capacity(on(m, 4), quantile=None)) for m in (model, fused))
    for each in (ours, theirs):
        each.pop("fisher_rao")
    assert ours == pytest.approx(theirs, rel=1e-10)


def _with_affine(norm):
    other = nn.BatchNorm1d(5).double().eval()
    other.running_mean, other.running_var = norm.running_mean, norm.running_var
    return other


def test_folding_follows_the_data_and_not_the_order_of_modules():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_b, self.b = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)
            self.a, self.norm_a, self.before = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2)
            self.shared, self.norm_shared = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
            self.head = nn.Linear(2, 3)

        def forward(self, x):
            x = torch.relu(self.norm_a(self.a(x)))
            x = torch.relu(self.norm_b(self.b(self.before(x))))
            y = self.shared(x)
            return self.head((self.norm_shared(y) + y).mean(dim=(2, 3)))

    found = capacity(on(scrambled(Crossed().double()), 1, 3, 3), quantile=None)
    assert {layer.name: layer.norm for layer in found.layers} == {
        "a": "norm_a",
        "b": "norm_b",
        "shared": None,
        "head": None,
    }
    assert found.unfolded == ("before", "norm_shared")
    assert "not folded: before, norm_shared" in str(found)
    assert {"before.weight", "norm_shared.weight"} <= set(found.left_out)


def test_every_batch_norm_of_a_residual_network_is_folded():
    found = capacity(on(scrambled(ConvolutionalResidual().double()), 1, 6, 6), quantile=None)
    assert found.unfolded == ()
    deep = tw.models.resnet20(3, 10, width=0.25)
    deep = capacity(tw.Landscape(deep, CROSS_ENTROPY, [(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]))]), quantile=None)
    assert deep.unfolded == ()
    assert sum(layer.norm is not None for layer in deep.layers) == 19


def test_batch_norm_over_positions_is_no_part_of_a_linear_layer():
    model = scrambled(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Flatten(), nn.Linear(25, 3)).double())
    found = capacity(on(model, 5, 4), quantile=None)
    assert found.unfolded == ("1",)


def test_with_batch_norm_the_start_needs_its_statistics():
    landscape = on(cnn(), 1, 6, 6)
    with pytest.raises(ArgumentError, match=r"initial: expected a Landscape .* running statistics"):
        capacity(landscape, landscape.theta, quantile=None)
    assert capacity(landscape, landscape, quantile=None).measures["fro_dist"].value == 0


# ---------------------------------------------------------------------- what moves it, and what does not


def rescaled(weights, by):
    """Multiply what goes into each unit of the first layer, and divide what comes out of it."""
    return [by.unsqueeze(1) * weights[0], weights[1] / by, *weights[2:]]


def test_rescaling_of_units_and_layers():
    weights, source = matrices(), generator(4)
    base = numbers(capacity(on(linear(*weights), 4), quantile=None))
    units = numbers(
        capacity(on(linear(*rescaled(weights, 0.5 + torch.rand(6, generator=source).double())), 4), quantile=None)
    )
    layer = capacity(on(linear(*rescaled(weights, torch.full((6,), 7.0).double())), 4), quantile=None)
    for name in ("path_norm", "path_norm_l1", "fisher_rao"):
        assert units[name] == pytest.approx(base[name], rel=1e-10), name
        assert layer.measures[name].log == pytest.approx(base[name], rel=1e-10), name
    # A layer as a whole moves no product and no ratio, and the sum of squares by its factors.
    for name in ("prod_of_spec", "prod_of_fro", "sum_of_spec", "fro_over_spec", "spectral_complexity"):
        assert layer.measures[name].log == pytest.approx(base[name], rel=1e-10), name
        assert abs(units[name] - base[name]) > 1e-3, name
    squares = [float((w**2).sum()) for w in weights]
    assert layer.measures["param_norm"].value == pytest.approx(49 * squares[0] + squares[1] / 49 + squares[2])


def test_permutation_of_units_moves_nothing():
    weights, start = matrices(), matrices(10)
    order = torch.randperm(6, generator=generator(2))
    swap = lambda w: [w[0][order], w[1][:, order], w[2]]  # noqa: E731
    pairs = [(weights, start), (swap(weights), swap(start))]
    first, second = (numbers(capacity(on(linear(*w), 4), on(linear(*v), 4), quantile=None)) for w, v in pairs)
    assert first == pytest.approx(second, rel=1e-11)


@pytest.mark.parametrize("objective", [CROSS_ENTROPY, tw.objectives.squared_error()], ids=lambda o: o.name)
def test_eulers_identity_for_the_fisher_rao_norm(objective):
    """θᵀFθ = D² E⟨∇_f ℓ, f⟩² for a ReLU network of D = 3 layers without biases, by hand-written derivatives."""
    model, inputs = linear(*matrices()), randn(20, 4, seed=3)
    targets = classes(20) if objective.name == "cross_entropy" else randn(20, 3, seed=4)
    outputs = model(inputs).detach()
    if objective.name == "cross_entropy":
        slopes = outputs.softmax(dim=1) - nn.functional.one_hot(targets, 3)
    else:
        slopes = outputs - targets
    found = fisher_rao_norm(tw.Landscape(model, objective, [(inputs, targets)]))
    assert found.value == pytest.approx(9 * float((slopes * outputs).sum(dim=1).square().mean()), rel=1e-10)
    assert (found.cost.matvecs, found.standard_error) == (1, 0)


@pytest.mark.parametrize("outputs", [2, 3])
def test_the_fisher_rao_norm_does_not_see_how_a_loss_is_written(outputs):
    """The mean of squares over C outputs, C terms an item, is 2/C times half their sum, one term an item."""
    model, inputs, targets = linear(*matrices(sizes=(4, 5, outputs))), randn(6, 4), randn(6, outputs, seed=1)
    means, sums = (
        fisher_rao_norm(tw.Landscape(model, objective, [(inputs, targets)])).value
        for objective in (tw.objectives.mse(), tw.objectives.squared_error())
    )
    assert means == pytest.approx((2 / outputs) ** 2 * sums, rel=1e-12)


def test_the_fisher_rao_norm_of_text_is_that_of_its_sequences():
    """Sequences with several tokens, some masked: θᵀ(Σ + ∇L∇Lᵀ)θ."""
    batch = {"input_ids": tokens(4), "labels": tokens(4).masked_fill(tokens(4) == 1, -100)}

    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = tied()

        def forward(self, input_ids):
            return self.body(input_ids)

    landscape = tw.Landscape(Text(), tw.objectives.causal_lm(), [batch])
    theta, gradient = landscape.theta, landscape.gradient()
    expected = float(theta @ (tw.gradient_covariance(landscape) @ theta) + (theta @ gradient) ** 2)
    assert fisher_rao_norm(landscape).value == pytest.approx(expected, rel=1e-10)


def test_the_fisher_rao_norm_of_the_models_own_targets():
    landscape = g2()
    dense = tw.fisher(landscape).dense()
    expected = float(landscape.theta @ dense @ landscape.theta)
    assert fisher_rao_norm(landscape, tw.fisher).value == pytest.approx(expected, rel=1e-10)
    with unchecked(), pytest.raises(ArgumentError, match="matrix: expected a function of a landscape"):
        fisher_rao_norm(landscape, dense)


# ---------------------------------------------------------------------- models and arguments


def test_what_is_no_layer_is_named():
    found = capacity(on(scrambled(Grouped().double()), 4), quantile=None)
    assert found.left_out == ("first.bias", "norm.weight", "norm.bias", "last.bias")
    assert "group_norm is none of these" in found.undetermined["path_norm"]
    heads = capacity(on(scrambled(MultiHead().double()), 3, 4), quantile=None)
    assert {"attention.in_proj_weight", "attention.in_proj_bias"} <= set(heads.left_out)
    assert [layer.name for layer in heads.layers] == ["attention.out_proj", "head"]


def test_an_objective_without_terms_has_no_fisher_rao_norm():
    black_box = tw.objectives.from_function(lambda model, batch: model(batch).square().mean(), len)
    found = capacity(tw.Landscape(mlp(), black_box, [randn(6, 4)]), quantile=None)
    assert "black box" in found.undetermined["fisher_rao"]
    assert found.measures["prod_of_spec"].value > 0


def test_tied_weights_count_once():
    objective = tw.objectives.causal_lm()
    landscape = tw.Landscape(tied(), objective, [tokens()])
    found = capacity(landscape, quantile=None)
    assert [layer.name for layer in found.layers] == ["mix", "head"]
    assert found.left_out == ("mix.bias",)


def test_without_classes_what_needs_a_margin_is_undetermined():
    for landscape in (tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens()]), g1()):
        found, without = capacity(landscape), capacity(landscape, quantile=None)
        assert found.margin is None
        assert found.undetermined.keys() == without.undetermined.keys()
        assert {name: each.value for name, each in found.measures.items()} == {
            name: each.value for name, each in without.measures.items()
        }
        for name in ("inverse_margin", "path_norm_over_margin", "spec_orig_main", "prod_of_spec_over_margin"):
            if name in found.undetermined:
                assert f"{landscape.objective.name} has no classes" in found.undetermined[name]
        assert "inverse_margin" in found.undetermined


def test_parametrised_weights_are_what_they_make():
    model = scrambled(nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 5)), nn.ReLU(), nn.Linear(5, 3)).double())
    found = capacity(on(model, 4), quantile=None)
    assert found.layers[0].frobenius == pytest.approx(float(torch.linalg.vector_norm(model[0].weight.detach())))
    assert found.left_out == ("0.bias", "2.bias")
    assert "parametrised" in found.undetermined["path_norm"]


def test_the_landscapes_point_counts_and_not_the_models():
    landscape = on(mlp(), 4)
    theta = landscape.theta
    before = numbers(capacity(landscape, quantile=None))
    with torch.no_grad():
        landscape.model[0].weight.mul_(2)
    assert numbers(capacity(landscape, quantile=None)) == before
    doubled = numbers(capacity(landscape.at(2 * theta), quantile=None))
    assert doubled["prod_of_spec"] - before["prod_of_spec"] == pytest.approx(2 * 2 * math.log(2))
    half = tw.Landscape(copy.deepcopy(mlp()), CROSS_ENTROPY, [(randn(6, 4), classes(6))], params="2.*")
    for name in ("prod_of_spec", "path_norm"):
        assert numbers(capacity(half, quantile=None))[name] == pytest.approx(before[name])


@pytest.mark.parametrize("quantile", [-0.1, 1.5, "0.1", True])
def test_a_wrong_quantile_is_named(quantile):
    with unchecked(), pytest.raises(ArgumentError, match="quantile: expected a number from 0 to 1 or None"):
        capacity(g2(), quantile=quantile)


def test_bad_input_is_named():
    with pytest.raises(ArgumentError, match=r"with weight matrices .* BatchNorm1d has none"):
        capacity(on(nn.BatchNorm1d(3).double(), 3), quantile=None)
    with unchecked(), pytest.raises(ArgumentError, match=r"initial: expected a Landscape, θ₀ or None, got Sequential"):
        capacity(g2(), mlp())
    with pytest.raises(ArgumentError, match=r"initial: expected the same network, with layers 0 \(3, 2\), 2 \(3, 3\)"):
        capacity(g2(), g1(), quantile=None)
    with pytest.raises(ArgumentError, match=r"theta: expected shape \(21,\)"):
        capacity(g2(), torch.zeros(3, dtype=torch.float64))
    with unchecked(), pytest.raises(ArgumentError, match="noise: expected noise tolerances, got float"):
        capacity(g2(), noise=[0.1])
    with pytest.raises(ArgumentError, match="landscape: expected one in eval mode"):
        capacity(on(mlp(), 4, mode="train"))
    with unchecked(), pytest.raises(ArgumentError, match="landscape: expected a Landscape"):
        capacity(mlp())
    infinite = g2()
    with pytest.raises(NonFiniteError, match="expected finite weights, and 0 has others"):
        capacity(infinite.at(torch.full_like(infinite.theta, math.inf)), quantile=None)


# ---------------------------------------------------------------------- margins


def test_margins_over_batches_and_masks():
    logits = randn(7, 4)
    targets = torch.tensor([0, 3, 1, -100, 2, 0, 1])
    model = linear(torch.eye(4).double())
    landscape = tw.Landscape(model, CROSS_ENTROPY, [(logits[:3], targets[:3]), (logits[3:], targets[3:])])
    found = margins(landscape)
    rows = [(row, y) for row, y in zip(logits.tolist(), targets.tolist(), strict=True) if y >= 0]
    expected = [row[y] - max(v for j, v in enumerate(row) if j != y) for row, y in rows]
    assert found.values.tolist() == pytest.approx(expected)
    assert found.quantile(0.1) == pytest.approx(np.quantile(expected, 0.1))
    accuracy = landscape.evaluate().metrics["accuracy"].value
    assert float((found.values > 0).double().mean()) == pytest.approx(accuracy)
    assert str(found).startswith("6 margins, ")
    with pytest.raises(ArgumentError, match="level: expected a number from 0 to 1, got 2"):
        found.quantile(2)


def test_margins_of_sequences_and_of_targets_that_are_probabilities():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x):
            return self.factor * x

    logits, labels = randn(2, 3, 5), classes(10).reshape(2, 5)
    found = margins(tw.Landscape(Scaled(), CROSS_ENTROPY, [(logits, labels)])).values
    flat = logits.movedim(1, -1).reshape(10, 3)
    whole = margins(tw.Landscape(Scaled(), CROSS_ENTROPY, [(flat, labels.flatten())])).values
    torch.testing.assert_close(found, whole)
    soft = 0.8 * nn.functional.one_hot(labels.flatten(), 3).double() + 0.2 / 3
    torch.testing.assert_close(margins(tw.Landscape(Scaled(), CROSS_ENTROPY, [(flat, soft)])).values, whole)


def test_margins_of_two_classes_by_one_logit_and_by_two():
    """The logit of one against the difference of two."""
    logits, targets = randn(5, 1), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0]).double().unsqueeze(1)
    binary = tw.objectives.binary_cross_entropy()
    one = margins(tw.Landscape(linear(torch.ones(1, 1).double()), binary, [(logits, targets)])).values
    two = linear(torch.tensor([[0.0], [1.0]]).double())
    both = margins(tw.Landscape(two, CROSS_ENTROPY, [(logits, targets[:, 0].long())])).values
    torch.testing.assert_close(one, both)
    single = linear(torch.ones(1, 1).double())
    with pytest.raises(ObjectiveError, match="at least two classes"):
        margins(tw.Landscape(single, CROSS_ENTROPY, [(logits, torch.zeros(5, dtype=torch.long))]))


def test_a_margin_that_is_not_positive_determines_nothing():
    found = capacity(g2())
    assert found.margin < 0
    assert "is not positive" in found.undetermined["prod_of_spec_over_margin"]
    assert "spec_orig_main" not in found.measures

"""Which parameters span the landscape, in which precision."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import Tied, classes, mlp, randn, scrambled, tied, tokens

CROSS = tw.objectives.cross_entropy()
NAMES = ("0.weight", "0.bias", "2.weight", "2.bias")


def data(dtype: torch.dtype = torch.float64):
    return list(zip(randn(8, 4, dtype=dtype).split(3), classes(8).split(3), strict=True))


SELECTIONS = {
    "all": (None, NAMES),
    "a name": ("2.weight", ("2.weight",)),
    "a pattern": ("*.bias", ("0.bias", "2.bias")),
    "a pattern of one letter": ("?.weight", ("0.weight", "2.weight")),
    "a list, in the model's order": (["2.bias", "0.*"], ("0.weight", "0.bias", "2.bias")),
    "a tuple with repeats": (("0.bias", "0.bias", "0.b*"), ("0.bias",)),
    "a predicate": (lambda name, parameter: parameter.ndim == 2, ("0.weight", "2.weight")),
}


@pytest.mark.parametrize("case", SELECTIONS)
def test_selected_parameters_span_a_block_of_the_whole(case):
    chosen, names = SELECTIONS[case]
    model = mlp()
    whole = tw.Landscape(model, CROSS, data())
    part = tw.Landscape(model, CROSS, data(), params=chosen)
    assert part.layout.names == names
    parameters = dict(model.named_parameters())
    assert torch.equal(part.theta, torch.cat([parameters[name].detach().flatten() for name in names]))
    place = torch.cat([torch.full((parameters[name].numel(),), name in names) for name in NAMES])
    assert part.loss() == whole.loss()
    torch.testing.assert_close(part.gradient(), whole.gradient()[place], rtol=1e-13, atol=1e-15)
    expected = tw.hessian(whole).dense()[place][:, place]
    torch.testing.assert_close(tw.hessian(part).dense(), expected, rtol=1e-12, atol=1e-14)


def test_split_names_the_parts():
    model = mlp()
    landscape = tw.Landscape(model, CROSS, data())
    parts = landscape.split(landscape.theta)
    assert parts.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert torch.equal(parts[name], parameter)
    vector = landscape.theta
    landscape.split(vector)["0.bias"].zero_()
    assert not vector[20:25].any()


def test_frozen_parameters_are_left_out_unless_named():
    model = mlp()
    model[0].weight.requires_grad_(False)
    assert tw.Landscape(model, CROSS, data()).layout.names == NAMES[1:]
    named = tw.Landscape(model, CROSS, data(), params="0.weight")
    reference = tw.Landscape(mlp(), CROSS, data(), params="0.weight")
    assert torch.equal(named.gradient(), reference.gradient())
    assert not model[0].weight.requires_grad


def test_tied_weights_are_one_parameter():
    """Both uses contribute: the derivative is that of the tied function."""
    landscape = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens()])
    assert landscape.layout.names == ("embed.weight", "mix.weight", "mix.bias")
    reference = tied()
    logits = reference(tokens())[:, :-1].flatten(end_dim=1)
    nn.functional.cross_entropy(logits, tokens()[:, 1:].flatten()).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in reference.parameters()])
    torch.testing.assert_close(landscape.gradient(), expected, rtol=1e-12, atol=1e-15)
    # Fixed while another parameter spans the landscape, they stay tied: moving mix alone.
    part = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens()], params="mix.*")
    torch.testing.assert_close(part.gradient(), expected[15:], rtol=1e-12, atol=1e-15)
    untied = Tied().double()
    untied.load_state_dict(tied().state_dict())
    untied.head.weight = nn.Parameter(untied.head.weight.detach().clone())
    both = tw.Landscape(untied, tw.objectives.causal_lm(), [tokens()])
    torch.testing.assert_close(
        both.split(both.gradient())["embed.weight"] + both.split(both.gradient())["head.weight"],
        landscape.split(landscape.gradient())["embed.weight"],
        rtol=1e-12,
        atol=1e-15,
    )


def test_a_model_of_single_precision_can_be_measured_in_double():
    model = mlp().float()
    exact = tw.Landscape(model, CROSS, data(torch.float32), dtype=torch.float64)
    twin = mlp().float().double()
    reference = tw.Landscape(twin, CROSS, [(x.double(), y) for x, y in data(torch.float32)])
    assert exact.space.dtype == exact.theta.dtype == torch.float64
    assert exact.loss() == reference.loss()
    assert torch.equal(tw.hessian(exact).dense(), tw.hessian(reference).dense())
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_low_precision_is_near_double(dtype, rtol):
    reference = tw.Landscape(mlp(), CROSS, data())
    landscape = tw.Landscape(mlp().to(dtype), CROSS, data(dtype))
    assert landscape.theta.dtype == landscape.gradient().dtype == dtype
    assert landscape.loss() == pytest.approx(reference.loss(), rel=rtol)
    v = reference.space.randn()
    for found, expected in (
        (landscape.gradient(), reference.gradient()),
        (tw.hessian(landscape) @ v.to(dtype), tw.hessian(reference) @ v),
    ):
        assert float((found.double() - expected).norm() / expected.norm()) < 2 * rtol


def test_mixed_precision_is_promoted():
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = scrambled(nn.Linear(4, 5))
            self.second = scrambled(nn.Linear(5, 3).double())

        def forward(self, x):
            return self.second(torch.tanh(self.first(x)).double())

    landscape = tw.Landscape(Mixed(), CROSS, data(torch.float32))
    assert landscape.theta.dtype == torch.float64
    exact = tw.Landscape(Mixed(), CROSS, data(torch.float32), dtype=torch.float64)
    torch.testing.assert_close(landscape.gradient(), exact.gradient(), rtol=1e-4, atol=1e-6)
    v = exact.space.randn()
    torch.testing.assert_close(tw.hessian(landscape) @ v, tw.hessian(exact) @ v, rtol=1e-4, atol=1e-5)
    assert tw.Landscape(Mixed(), CROSS, data(torch.float32), params="first.*").theta.dtype == torch.float32


def test_scalar_and_empty_parameters():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
            self.none = nn.Parameter(torch.zeros(0, 3, dtype=torch.float64))

        def forward(self, x):
            return self.scale.square() * x[:, :3] + self.none.sum()

    landscape = tw.Landscape(Odd(), CROSS, data())
    assert landscape.size == 1
    assert landscape.split(landscape.theta)["scale"].shape == ()
    step = torch.full_like(landscape.theta, 1e-6)
    slope = (landscape.loss(landscape.theta + step) - landscape.loss(landscape.theta - step)) / 2e-6
    assert float(landscape.gradient()) == pytest.approx(slope, rel=1e-7)


def test_at_is_the_same_landscape_elsewhere():
    model = mlp()
    landscape = tw.Landscape(model, CROSS, data())
    there = landscape.at(landscape.theta + 0.5)
    moved = mlp()
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter += 0.5
    fresh = tw.Landscape(moved, CROSS, data())
    assert there.loss() == fresh.loss() == landscape.loss(landscape.theta + 0.5)
    assert torch.equal(there.gradient(), fresh.gradient())
    assert torch.equal(tw.hessian(there).dense(), tw.hessian(fresh).dense())
    assert (there.count, there.weight, there.size) == (landscape.count, landscape.weight, landscape.size)
    assert there.loss() != landscape.loss()


def test_at_with_other_buffers():
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double())
    landscape = tw.Landscape(model, CROSS, data())
    other = {name: buffer * 2 for name, buffer in landscape.buffers.items()}
    there = landscape.at(landscape.theta, buffers=other)
    model[1].load_state_dict({**model[1].state_dict(), **{k.removeprefix("1."): v for k, v in other.items()}})
    assert there.loss() == tw.Landscape(model, CROSS, data()).loss()
    assert there.loss() != landscape.loss()


def test_the_gradient_is_the_slope_of_the_loss():
    landscape = tw.Landscape(mlp(), CROSS, data())
    gradient, h = landscape.gradient(), 1e-6
    for place in (0, 7, 22, 40):
        step = torch.zeros_like(gradient)
        step[place] = h
        slope = (landscape.loss(landscape.theta + step) - landscape.loss(landscape.theta - step)) / (2 * h)
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_a_strided_theta_is_accepted():
    landscape = tw.Landscape(mlp(), CROSS, data())
    block = torch.stack([landscape.theta, landscape.theta * 2], dim=1)
    assert not block[:, 0].is_contiguous()
    assert landscape.loss(block[:, 0]) == landscape.loss()
    assert torch.equal(landscape.at(block[:, 1]).gradient(), landscape.gradient(2 * landscape.theta))

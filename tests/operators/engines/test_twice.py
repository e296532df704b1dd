"""Functions that go backward twice by formulas of ours: the values and derivatives of PyTorch's."""

import functools
import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import classes, randn
from thalweg.operators.engines._activation import _Value as Activated
from thalweg.operators.engines._elementary import elementary
from thalweg.operators.engines._layer_norm import _Value as Normalised
from thalweg.operators.engines._twice import twice_backward

DOUBLE = torch.float64
ACTIVATIONS = {
    "gelu": functional.gelu,
    "tanh gelu": functools.partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
}
# Far out the slopes vanish, and nothing may overflow.
POINTS = torch.cat([torch.linspace(-6, 6, 41, dtype=DOUBLE), torch.tensor([-1e4, -40.0, 40.0, 1e4], dtype=DOUBLE)])


def own(function):
    """The function as the engine calls it."""

    def call(*args):
        with elementary(twice_backward(linear=False)):
            return function(*args)

    return call


def second(function, x: Tensor) -> Tensor:
    """Second derivatives, entry by entry, of a graph that two backward passes go through."""
    x = x.clone().requires_grad_()
    slope = torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]
    return torch.autograd.grad(slope.sum(), x)[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    function, x = ACTIVATIONS[name], POINTS.clone().requires_grad_()
    value = own(function)(x)
    assert isinstance(value.grad_fn, Activated._backward_cls)
    torch.testing.assert_close(value, function(x), rtol=1e-14, atol=1e-14)
    slopes = [torch.autograd.grad(f(x).sum(), x)[0] for f in (own(function), function)]
    torch.testing.assert_close(*slopes, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(second(own(function), POINTS), second(function, POINTS), rtol=1e-12, atol=1e-14)
    inside = POINTS[:41].clone().requires_grad_()
    assert gradcheck(own(function), inside)
    assert gradgradcheck(own(function), inside)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_in_single_precision_are_as_accurate_as_theirs(name):
    function, x = ACTIVATIONS[name], torch.linspace(-12, 12, 4001)
    exact = second(function, x.double())
    errors = [(second(f, x).double() - exact).abs().max() for f in (own(function), function)]
    assert errors[0] <= max(2 * errors[1], 1e-6)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("call", [functional.relu, torch.relu, Tensor.relu, torch.nn.ReLU()])
def test_the_rectifier(call, linear):
    """At the kink, too; and what autograd does not differentiate, the way back does not try."""
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, torch.nan, torch.inf], dtype=DOUBLE, requires_grad=True)
    u = torch.arange(1.0, 7.0, dtype=DOUBLE, requires_grad=True)
    results = []
    for functions in ({}, twice_backward(linear=linear)):
        with elementary(functions):
            value = call(x)
        (slope,) = torch.autograd.grad(value, x, u, create_graph=True)
        (by_u,) = torch.autograd.grad(slope, u, torch.ones_like(slope), retain_graph=True)
        by_x = torch.autograd.grad(slope, x, torch.ones_like(slope), allow_unused=True)[0]
        results.append((value, slope, by_u, by_x))
    (*theirs, zeros), (*ours, nothing) = results
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    assert nothing is None
    assert not zeros.any()


def test_a_rectifier_in_place_is_pytorchs():
    with elementary(twice_backward(linear=False)):
        written = torch.tensor([-1.0, 1.0])
        assert functional.relu(written, inplace=True) is written
        assert written.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("affine", ["none", "weight", "both"])
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_layer_norm(shape, affine):
    x = randn(2, 3, 4).requires_grad_()
    weight = randn(*shape, seed=1).requires_grad_() if affine != "none" else None
    bias = randn(*shape, seed=2).requires_grad_() if affine == "both" else None
    given = [tensor for tensor in (x, weight, bias) if tensor is not None]

    def function(x, weight=None, bias=None):
        return functional.layer_norm(x, shape, weight, bias, 1e-3)

    value = own(function)(*given)
    assert isinstance(value.grad_fn, Normalised._backward_cls)
    torch.testing.assert_close(value, function(*given), rtol=1e-14, atol=1e-14)
    assert gradcheck(own(function), given)
    assert gradgradcheck(own(function), given)
    for moving in range(len(given)):
        # One moves, the others do not.
        held = [tensor.detach().requires_grad_(place == moving) for place, tensor in enumerate(given)]
        assert gradgradcheck(own(function), held)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "layer norm"])
def test_backward_passes_that_are_linear_in_what_they_are_given(name):
    """Where only J v is wanted: the derivative by the cotangent is right, and there is no other."""
    weight, bias = randn(4, seed=1).requires_grad_(), randn(4, seed=2).requires_grad_()
    function = ACTIVATIONS.get(name, lambda x: functional.layer_norm(x, (4,), weight, bias))
    x, u = randn(3, 4).requires_grad_(), randn(3, 4, seed=3).requires_grad_()
    inputs = [x, weight, bias] if name == "layer norm" else [x]
    tangents = [randn(*each.shape, seed=4) for each in inputs]
    with elementary(twice_backward(linear=True)):
        value = function(x)
        pulled = torch.autograd.grad(value, inputs, u, create_graph=True)
        again = torch.autograd.grad(value, inputs, u.detach(), retain_graph=True)
    torch.testing.assert_close(value, function(x), rtol=1e-14, atol=1e-14)
    expected = torch.autograd.grad(function(x), inputs, u, create_graph=True)
    for found in (pulled, again):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    assert torch.autograd.grad(pulled, inputs, tangents, retain_graph=True, allow_unused=True) == (None,) * len(inputs)
    (pushed,) = torch.autograd.grad(pulled, u, tangents)
    (wanted,) = torch.autograd.grad(expected, u, tangents)
    torch.testing.assert_close(pushed, wanted, rtol=1e-12, atol=1e-14)


def test_what_is_left_to_pytorch():
    x, weight = randn(3, 4).float().requires_grad_(), randn(4).requires_grad_()
    kinds = (Activated._backward_cls, Normalised._backward_cls)
    with elementary(twice_backward(linear=False)):
        assert not isinstance(functional.gelu(x.bfloat16()).grad_fn, kinds)
        assert not isinstance(functional.layer_norm(x.bfloat16(), (4,)).grad_fn, kinds)
        written = x.clone()
        assert functional.silu(written, inplace=True) is written
        with pytest.raises(RuntimeError, match="mixed dtype"):
            functional.layer_norm(x, (4,), weight)
        with pytest.raises(RuntimeError, match="approximate argument"):
            functional.gelu(x, approximate="none of these")
        with torch.autocast("cpu"):
            assert not isinstance(functional.layer_norm(x, (4,)).grad_fn, kinds)


def network(*layers: torch.nn.Module) -> tw.Landscape:
    first, last = torch.nn.Linear(4, 6, dtype=DOUBLE), torch.nn.Linear(6, 3, dtype=DOUBLE)
    model = torch.nn.Sequential(first, *layers, last).double()
    with torch.no_grad():
        for place, parameter in enumerate(model.parameters()):
            parameter.copy_(randn(*parameter.shape, seed=place))
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(7, 4), classes(7))])


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("name", ["gelu", "tanh gelu", "silu", "relu", "layer norm"])
def test_hessians_with_vectors_one_by_one_and_together(name, together):
    """Against PyTorch's double backward, of a function of all data at once."""
    layers = {
        "gelu": torch.nn.GELU(),
        "tanh gelu": torch.nn.GELU("tanh"),
        "silu": torch.nn.SiLU(),
        "relu": torch.nn.ReLU(),
        "layer norm": torch.nn.LayerNorm(6),
    }
    landscape = network(layers[name], torch.nn.Tanh())
    leaves = landscape.leaves()
    (batch,) = landscape.data
    value = landscape.terms(leaves, batch).weighted_sum() / landscape.weight
    slopes = torch.cat([part.flatten() for part in torch.autograd.grad(value, leaves, create_graph=True)])
    rows = [torch.autograd.grad(slope, leaves, retain_graph=True, allow_unused=True) for slope in slopes]
    naive = torch.stack([landscape.layout.flatten(row, landscape.theta) for row in rows])

    operator = tw.hessian(landscape, engine="double-backward")
    operator @ landscape.theta
    operator._engines["double-backward"].together = together
    torch.testing.assert_close(operator.dense(), naive, rtol=1e-11, atol=1e-12)


def test_the_second_derivative_is_not_held_when_it_has_been_used():
    x = randn(50).requires_grad_()
    value = own(functional.gelu)(x)
    second = weakref.ref(value.grad_fn.second)
    slope = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
    gc.collect()
    assert second() is None
    # Who goes back through the same graph again gets it anew.
    again = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
    curves = [torch.autograd.grad(each.sum(), x)[0] for each in (slope, again)]
    assert torch.equal(*curves)

"""Kept graphs in which nothing of the model runs need no care; others are heard, and get it."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import thalweg as tw
from tests.landscape.models import DOUBLE, classes, mlp, randn, scrambled

CROSS = tw.objectives.cross_entropy()


class Cube(torch.autograd.Function):
    """x³, as users write such things."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return 3 * x * x * u


class Between(nn.Module):
    """Something of the user's between two layers."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "function":
            x = Cube.apply(x)
        elif self.how == "hook":
            x = x.tanh()
            # One draws random numbers and changes nothing.
            x.register_hook(lambda u: u + 0 * torch.rand_like(u))
        else:
            x = checkpoint(torch.tanh, x, use_reentrant=False)
        return self.last(x)


def landscape(model: nn.Module) -> tw.Landscape:
    return tw.Landscape(model, CROSS, [(randn(5, 4), classes(5)), (randn(2, 4, seed=3), classes(2))])


def silent(operator: tw.Curvature) -> list[bool]:
    return [graph.silent for graph in operator._engines["double-backward"]._kept]


@pytest.mark.parametrize(
    "model",
    [
        mlp(nn.ReLU),
        mlp(nn.GELU),
        mlp(nn.SiLU),
        scrambled(nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)).double()),
        scrambled(nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 4), nn.Flatten()).double()),
    ],
    ids=["relu", "gelu", "silu", "layer norm", "convolution"],
)
def test_products_without_care_are_the_same(model):
    operator = tw.hessian(landscape(model), engine="double-backward")
    assert operator.landscape.size
    v = operator.space.randn()
    first = operator @ v
    assert silent(operator) == [True, True]
    assert torch.equal(operator @ v, first)
    block = operator @ torch.stack([v, 2 * v]).mT
    assert torch.equal(block[:, 0], first)
    with torch.inference_mode():
        inside = operator @ v
    assert not inside.is_inference()
    assert torch.equal(inside, first)
    with torch.no_grad():
        assert torch.equal(operator @ v, first)


@pytest.mark.parametrize("how", ["function", "hook", "checkpoint"])
def test_what_the_model_runs_on_the_way_back_is_heard(how):
    operator = tw.hessian(landscape(scrambled(Between(how).double())), engine="double-backward")
    v = operator.space.randn()
    first = operator @ v
    assert silent(operator) == [False, False]
    state = torch.get_rng_state()
    torch.testing.assert_close(operator @ v, first, rtol=1e-13, atol=1e-15)
    assert torch.equal(torch.get_rng_state(), state)


def test_vectors_that_go_together_are_listened_to_as_well():
    model = mlp(nn.Tanh)
    operator = tw.hessian(landscape(model), engine="double-backward")
    v = operator.space.randn(count=3)
    expected = operator @ v
    operator._engines["double-backward"].together = 3
    torch.testing.assert_close(operator @ v, expected, rtol=1e-13, atol=1e-15)


def test_a_linear_loss_has_graphs_in_which_nothing_moves():
    model = nn.Linear(4, 1).to(DOUBLE)
    data = [(randn(3, 4), randn(3, 1))]
    terms = lambda outputs, batch: functional.relu(outputs + 100).squeeze(1)  # noqa: E731
    linear = dataclasses.replace(tw.objectives.squared_error(), name="sum", terms=terms)
    operator = tw.hessian(tw.Landscape(model, linear, data), engine="double-backward")
    for _ in range(2):
        assert not (operator @ operator.space.randn()).any()
    assert silent(operator) == [True]

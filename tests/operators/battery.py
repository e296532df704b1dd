"""Operators of every kind with the dense matrices that they must equal: what every operator is tested with.

A case is a name and a function that returns a fresh operator, the model that it must leave alone (or None), and
the matrix that a naive twin computes in double precision. A new operator adds its cases here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import (
    Attention,
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
from tests.operators.twin import dense_hessian


class Case(NamedTuple):
    operator: tw.Operator
    model: nn.Module | None
    matrix: Tensor


def _summed(model: Callable[..., Any], batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


def _next_tokens(model: Callable[..., Any], batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch)[:, :-1].flatten(end_dim=1), batch[:, 1:].flatten(), reduction="sum")


def _classified(make: Callable[[], nn.Module], *shape: int, mode: str = "eval", **options: Any) -> Callable[[], Case]:
    def build() -> Case:
        model = make().train(mode == "train")
        batches = list(zip(randn(7, *shape).split(5), classes(7).split(5), strict=True))
        landscape = tw.Landscape(model, tw.objectives.cross_entropy(), batches, mode=mode, **options.get("data", {}))
        operator = tw.hessian(landscape, **options.get("engine", {}))
        return Case(operator, model, dense_hessian(model, _summed, batches, 7))

    return build


def _tied() -> Case:
    model = tied()
    batches = list(tokens(5).split(3))
    landscape = tw.Landscape(model, tw.objectives.causal_lm(), batches)
    return Case(tw.hessian(landscape), model, dense_hessian(model, _next_tokens, batches, 5 * 5))


def _linear_loss() -> Case:
    """A loss that is linear in the parameters: no curvature at all, and no graph of the gradient to differentiate."""
    model = scrambled(nn.Linear(4, 1).double())
    objective = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    landscape = tw.Landscape(model, objective, [randn(5, 4), randn(2, 4)])
    return Case(tw.hessian(landscape), model, torch.zeros(5, 5, dtype=torch.float64))


def _regression() -> Case:
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 2)).double())
    batches = [(randn(4, 4), randn(4, 2, seed=1)), (randn(1, 4, seed=2), randn(1, 2, seed=3))]

    def half(model: Callable[..., Any], batch: Any) -> Tensor:
        return (model(batch[0]) - batch[1]).square().sum() / 2

    operator = tw.hessian(tw.Landscape(model, tw.objectives.squared_error(), batches))
    return Case(operator, model, dense_hessian(model, half, batches, 5))


def _function() -> Case:
    matrix = randn(9, 9)
    matrix = matrix + matrix.mT
    return Case(tw.FunctionOperator(lambda v: matrix @ v, 9, dtype=torch.float64), None, matrix)


CASES: dict[str, Callable[[], Case]] = {
    "function": _function,
    "tanh": _classified(mlp, 4),
    "tanh, micro-batches": _classified(mlp, 4, data={"microbatch": 2}),
    "tanh, graphs rebuilt": _classified(mlp, 4, engine={"memory": 0}),
    "relu": _classified(lambda: mlp(nn.ReLU), 4),
    "convolutions": _classified(cnn, 1, 6, 6),
    "convolutions in train mode": _classified(cnn, 1, 6, 6, mode="train"),
    "convolutions in train mode, graphs rebuilt": _classified(cnn, 1, 6, 6, mode="train", engine={"memory": 0}),
    "residual": _classified(lambda: scrambled(Residual().double()), 4),
    "attention": _classified(lambda: scrambled(Attention().double()), 3, 4),
    "multi-head attention": _classified(lambda: scrambled(MultiHead().double()), 3, 4),
    "lstm": _classified(lambda: scrambled(Recurrent().double()), 3, 4),
    "tied": _tied,
    "linear loss": _linear_loss,
    "regression": _regression,
}

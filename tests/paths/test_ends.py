"""What is given as the ends of a path, and what is given in their place."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, mlp, randn, scrambled
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.paths import (
    Curve,
    align,
    align_many,
    barrier,
    curve_length,
    curve_scan,
    linear_path,
    nudged_elastic_band,
    path_saddle,
    repaired_path,
    straight,
    string_method,
    train_curve,
)

CROSS = tw.objectives.cross_entropy()
DATA = [(randn(12, 4), classes(12))]


def end(seed: int, data=DATA, **options) -> tw.Landscape:
    return tw.Landscape(scrambled(mlp(), seed), CROSS, data, **options)


ONE, PART = end(0), [name for name, _ in scrambled(mlp(), 0).named_parameters()][:1]


@pytest.mark.parametrize(
    "pair",
    [
        (ONE, end(1, [(randn(12, 4, seed=9), classes(12))])),
        (end(0, params=PART), end(1, params=PART)),
    ],
    ids=["other data", "other parameters that are not selected"],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: train_curve(a, b, steps=1),
        lambda a, b: curve_scan(straight(a.theta, b.theta), a, b, points=3),
        lambda a, b: barrier(straight(a.theta, b.theta), a, b, points=3, budget=3),
    ],
    ids=["train_curve", "curve_scan", "barrier"],
)
def test_ends_are_of_one_function(call, pair):
    """Before, the loss at t = 1 was that of neither network."""
    with pytest.raises(ArgumentError, match=r"end: expected the loss of start's model and data at α = 1"):
        call(*pair)


def test_an_end_whose_loss_is_not_finite_is_no_end():
    wild = end(1)
    wild = wild.at(torch.full_like(wild.theta, torch.inf))
    with pytest.raises(NonFiniteError):
        train_curve(ONE, wild, steps=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear_path(nn.Linear(1, 1), ONE), "start: expected a Landscape, got Linear"),
        (lambda: train_curve(nn.Linear(1, 1), ONE), "start: expected a Landscape, got Linear"),
        (lambda: repaired_path(ONE, None), "end: expected a Landscape, got NoneType"),
        (lambda: align(ONE, nn.Linear(1, 1)), "other: expected a Landscape, got Linear"),
        (lambda: align(None, ONE), "reference: expected a Landscape, got NoneType"),
        (lambda: align(ONE, ONE, symmetry="x"), "symmetry: expected what permutations returns, got str"),
        (lambda: align(ONE, ONE, generator=3), r"generator: expected a torch.Generator or None, got int"),
        (lambda: align_many(one for one in (ONE, ONE)), "landscapes: expected a list of at least 2, got generator"),
        (lambda: align_many(ONE), "landscapes: expected a list of at least 2, got Landscape"),
        (lambda: align_many([ONE, 3]), r"landscapes\[1\]: expected a Landscape, got int"),
        (lambda: align_many([ONE, ONE], method="x"), "method: expected 'weights' or 'activations', got 'x'"),
        (
            lambda: linear_path(ONE, -ONE.theta, labels=("A",)),
            r"labels: expected the names of the two ends, got \('A',\)",
        ),
        (lambda: train_curve(ONE, -ONE.theta, generator=3), "generator: expected a torch.Generator or None, got int"),
        (lambda: train_curve(ONE, -ONE.theta, initial="x"), "initial: expected a Curve, got str"),
        (lambda: nudged_elastic_band(ONE, -ONE.theta, initial="x"), "initial: expected a Curve, got str"),
        (lambda: string_method(3, ONE), "start: expected a Landscape, got int"),
        (lambda: path_saddle(ONE, "x"), "path: expected a MinimumEnergyPath, got str"),
        (lambda: curve_scan("x", ONE), "curve: expected a Curve, got str"),
        (lambda: curve_length("x"), "curve: expected a Curve, got str"),
        (lambda: Curve([[0.0], [1.0]]).point(0.5), "nodes: expected a tensor of floating-point numbers, got list"),
        (lambda: Curve(torch.tensor([[0], [1]])).point(0.5), r"floating-point numbers, got torch\.int64"),
        (lambda: straight(torch.zeros(2), torch.ones(2), bends=-1), "bends: expected a whole number of at least 0"),
        (lambda: straight(torch.zeros(2), [1.0, 1.0]), r"end: expected a tensor of shape \(P,\), got list"),
        (
            lambda: linear_path(ONE, -ONE.theta, estimate_on=DATA),
            "estimate_on: expected None with statistics='interpolated', got list",
        ),
    ],
)
def test_what_is_no_end_is_named(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


def test_a_symmetry_of_another_width_is_refused():
    wide = tw.Landscape(tw.models.mlp((4, 9, 3)), CROSS, [(x.float(), y) for x, y in DATA])
    narrow = tw.Landscape(tw.models.mlp((4, 5, 3)), CROSS, [(x.float(), y) for x, y in DATA])
    with pytest.raises(ArgumentError, match=r"symmetry: expected one of this network, got 9 units on axis 0"):
        align(narrow, narrow, symmetry=tw.permutations(wide))

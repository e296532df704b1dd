"""What is no landscape, generator or operator is refused by name, before anything is computed."""

import pytest
import torch

import thalweg as tw
from tests.landscape.models import randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError

MAKERS = [
    tw.hessian,
    tw.ggn,
    tw.fisher,
    tw.residual,
    tw.gradient_covariance,
    tw.gradient_gram,
    tw.kfac,
    tw.ekfac,
]


def linear() -> tw.Landscape:
    model = torch.nn.Linear(2, 1, bias=False).double()
    return tw.Landscape(model, tw.objectives.squared_error(), [(randn(3, 2), randn(3, 1))])


@pytest.mark.parametrize("make", MAKERS)
def test_a_model_is_no_landscape(make):
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=r"landscape: expected a Landscape, got Linear\. Build one: Landscape\("),
    ):
        make(torch.nn.Linear(2, 1))


@pytest.mark.parametrize("make", [tw.fisher, tw.kfac])
def test_a_seed_is_no_generator(make):
    message = r"generator: expected a torch\.Generator or None, got 3\. A seed makes one: torch\.Generator\(\)\.manual_"
    with unchecked(), pytest.raises(ArgumentError, match=message):
        make(linear(), kind="monte-carlo", generator=3)
    with unchecked(), pytest.raises(ArgumentError, match=message):
        linear().space.randn(3)


@pytest.mark.parametrize("kind", [["ggn"], "hessian", None])
def test_kinds_of_kfac(kind):
    with unchecked(), pytest.raises(ArgumentError, match="kind: expected 'ggn', 'monte-carlo' or 'empirical', got "):
        tw.kfac(linear(), kind=kind)


@pytest.mark.parametrize("damping", ["a", None, float("nan"), -1.0])
def test_dampings(damping):
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=f"damping: expected a finite number above .*, got {damping!r}"),
    ):
        tw.kfac(linear()).inverse(damping)


def test_operators_in_a_list():
    matrix = tw.hessian(linear())
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=r"operators: expected an operator, got list\. Pass them one by one"),
    ):
        tw.added([matrix, matrix])

"""A step and its quadratic model."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.formula import formula, quadratic
from tests.golden import g1
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import FunctionOperator, hessian
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.measures import predicted_decrease

A = torch.tensor([[3.0, 1.0], [1.0, -2.0]], dtype=torch.float64)
B = torch.tensor([0.5, -1.0], dtype=torch.float64)


def test_gradient_step_of_the_golden_network():
    landscape = g1()
    with unchecked(), unchanged(landscape.model):
        found = predicted_decrease(landscape, 0.1)
    assert found.actual == pytest.approx(-0.00732243978786, rel=1e-9)
    assert found.quadratic == pytest.approx(-0.00732302222490, rel=1e-9)
    assert found.curvature == pytest.approx(0.0372598617618, rel=1e-9)
    assert found.linear == pytest.approx(-0.1 * 0.2740314130480007**2, rel=1e-12)
    assert (found.cost.gradients, found.cost.losses, found.cost.matvecs) == (1, 1, 1)
    assert found.eta == 0.1


@given(st.floats(0.01, 10), st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_the_model_of_a_quadratic_is_exact(eta, direction):
    v = torch.tensor(direction, dtype=torch.float64)
    found = predicted_decrease(quadratic(A, B, [1.0, 2.0]), eta, v)
    assert found.actual == pytest.approx(found.quadratic, rel=1e-10, abs=1e-12)
    assert found.curvature == pytest.approx(float(v @ A @ v), abs=1e-12)


def test_the_sign_is_that_of_the_step_against_the_direction():
    """L = x at 0: the step −η·(+1) lowers the loss, −η·(−1) raises it."""
    line = formula(lambda t: t[0], [0.0])
    assert predicted_decrease(line, 0.5, torch.ones(1, dtype=torch.float64)).actual == -0.5
    found = predicted_decrease(line, 0.5, -torch.ones(1, dtype=torch.float64))
    assert (found.linear, found.quadratic, found.actual) == (0.5, 0.5, 0.5)


def test_another_matrix_makes_another_model():
    landscape = quadratic(A, B, [1.0, 2.0])
    op = FunctionOperator(lambda v: 7 * v, 2, dtype=torch.float64)
    found = predicted_decrease(landscape, 0.1, operator=op)
    g = landscape.gradient()
    assert found.curvature == pytest.approx(7 * float(g @ g))
    assert found.actual == pytest.approx(predicted_decrease(landscape, 0.1).quadratic)
    assert (op.matvecs, found.cost.matvecs) == (1, 1)


def test_a_given_hessian_counts_only_what_it_does_here():
    landscape = g1()
    op = hessian(landscape)
    op.dense()
    assert predicted_decrease(landscape, 0.1, operator=op).cost.matvecs == 1


def test_at_a_critical_point_the_gradient_step_is_none():
    found = predicted_decrease(quadratic(A, 0 * B, [0.0, 0.0]), 0.3)
    assert (found.linear, found.quadratic, found.actual) == (0, 0, 0)


@pytest.mark.parametrize("eta", [0.0, -0.1, math.inf, math.nan])
def test_a_step_length_must_be_positive(eta):
    with pytest.raises(ArgumentError, match=rf"eta: expected a positive finite number, got {eta}\. For .* pass −v"):
        predicted_decrease(g1(), eta)


def test_bad_shapes_are_named():
    with pytest.raises(ArgumentError, match=r"direction: expected shape \(9,\), got \(2,\)"):
        predicted_decrease(g1(), 0.1, B)
    with pytest.raises(ArgumentError, match=r"operator: expected shape \(9, 9\), got \(2, 2\)"):
        predicted_decrease(g1(), 0.1, operator=FunctionOperator(lambda v: v, 2, dtype=torch.float64))


def test_a_loss_that_is_not_finite_after_the_step():
    landscape = formula(lambda t: t[0].exp(), [1.0])
    with (
        unchecked(),
        unchanged(landscape.model),
        pytest.raises(NonFiniteError, match="loss: expected a finite number, got inf"),
    ):
        predicted_decrease(landscape, 1e4, -torch.ones(1, dtype=torch.float64))

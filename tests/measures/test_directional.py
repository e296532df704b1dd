"""Curvature along a direction against closed forms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.golden import g1
from thalweg import FunctionOperator, hessian
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.measures import directional_sharpness

VALUES = torch.tensor([5.0, 1.0, -2.0], dtype=torch.float64)


def operator() -> FunctionOperator:
    return FunctionOperator(lambda v: VALUES * v, 3, dtype=torch.float64)


def test_along_the_gradient_of_the_golden_network():
    landscape = g1()
    g, op = landscape.gradient(), hessian(landscape)
    found = directional_sharpness(op, g)
    assert found.value == pytest.approx(0.0372598617618 / 0.2740314130480007**2, rel=1e-10)
    assert (found.standard_error, found.cost.matvecs, op.matvecs) == (0.0, 1, 1)
    assert found.provenance == op.provenance
    assert found.provenance.engine == "double-backward"


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3).filter(lambda v: max(map(abs, v)) > 1e-3))
def test_a_mean_of_the_eigenvalues(direction):
    v = torch.tensor(direction, dtype=torch.float64)
    assert directional_sharpness(operator(), v).value == pytest.approx(float((VALUES * v**2).sum() / (v**2).sum()))


@pytest.mark.parametrize("length", [1e-100, 1e100])
def test_the_length_of_the_direction_does_not_matter(length):
    v = length * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    assert directional_sharpness(operator(), v).value == pytest.approx(1.5)


def test_only_its_own_products_are_counted():
    op = operator()
    op @ torch.eye(3, dtype=torch.float64)
    assert directional_sharpness(op, VALUES).cost.matvecs == 1


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        (torch.zeros(3, dtype=torch.float64), r"direction: expected a vector that is not zero, got one of length 0"),
        (torch.ones(2, dtype=torch.float64), r"direction: expected shape \(3,\), got \(2,\)"),
        (torch.ones(3), r"direction: expected torch\.float64 on cpu, got torch\.float32 on cpu"),
    ],
)
def test_bad_input_is_named(direction, message):
    with pytest.raises(ArgumentError, match=message):
        directional_sharpness(operator(), direction)


def test_a_product_that_is_not_finite():
    op = FunctionOperator(lambda v: v / 0, 3, dtype=torch.float64)
    with pytest.raises(NonFiniteError, match="product: expected finite entries"):
        directional_sharpness(op, VALUES)

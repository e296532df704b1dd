"""What may scale and shift an operator."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.operators.matrices import operator, symmetric
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.operators._affine import scaled, shifted

BOTH = [(scaled, "factor"), (shifted, "shift")]


@pytest.mark.parametrize(("wrapper", "name"), BOTH)
@pytest.mark.parametrize(
    ("value", "got"),
    [(True, "bool"), ("2", "str"), (1j, "complex"), (None, "NoneType"), (torch.tensor(2.0), "Tensor")],
)
def test_only_real_numbers_are_accepted(wrapper, name, value, got):
    with unchecked(), pytest.raises(ArgumentError, match=rf"^{name}: expected a real number, got {got}\.$"):
        wrapper(operator(symmetric(3)), value)


@pytest.mark.parametrize(("wrapper", "name"), BOTH)
@pytest.mark.parametrize(
    ("value", "dtype", "got"),
    [
        (float("nan"), torch.float64, "nan"),
        (float("inf"), torch.float64, "inf"),
        (-1e39, torch.float32, "-1e+39"),
    ],
)
def test_a_number_must_be_finite_where_it_is_used(wrapper, name, value, dtype, got):
    message = f"{name}: expected a number that is finite in {dtype}, got {got}."
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        wrapper(operator(symmetric(3).to(dtype)), value)


def test_the_largest_number_of_float64_is_accepted():
    assert scaled(operator(torch.eye(2).double() * 1e-300), 1e308).dense()[0, 0] == pytest.approx(1e8)


@pytest.mark.parametrize("value", [2, np.float32(2), Fraction(2), 2.0])
def test_any_real_number_will_do(value):
    matrix = symmetric(3)
    with unchecked():
        assert torch.equal(scaled(operator(matrix), value).dense(), 2 * matrix)
        assert torch.equal(shifted(operator(matrix), value).dense(), matrix + 2 * torch.eye(3))


def test_a_factor_of_zero_is_the_zero_matrix():
    assert not scaled(operator(symmetric(3)), 0).dense().any()

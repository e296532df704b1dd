"""Sums of operators on one space."""

import pytest
import torch

import thalweg as tw
from tests import golden
from tests.operators.matrices import operator, symmetric
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.operators._added import added
from thalweg.operators._affine import scaled


def test_an_operator_minus_itself_is_zero():
    landscape = golden.g2()
    hessian = tw.hessian(landscape)
    assert not added(hessian, scaled(hessian, -1)).dense().any()
    assert hessian.matvecs == 2 * landscape.size


def test_the_sum_of_two_halves_of_the_data_is_the_whole():
    inputs, targets = golden.g1_data()[0]
    objective = tw.objectives.squared_error()
    parts = [
        scaled(tw.hessian(tw.Landscape(golden.g1_model(), objective, [(inputs[rows], targets[rows])])), weight)
        for rows, weight in ((slice(1), 0.25), (slice(1, 4), 0.75))
    ]
    whole = tw.hessian(golden.g1()).dense()
    torch.testing.assert_close(added(*parts).dense(), whole, rtol=1e-12, atol=1e-12)


def test_none_at_all():
    with pytest.raises(ArgumentError, match=r"^operators: expected at least one, got none\.$"):
        added()


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (lambda: operator(symmetric(4)), r"4 entries of torch\.float64 on cpu"),
        (lambda: operator(symmetric(3).float()), r"3 entries of torch\.float32 on cpu"),
        (
            lambda: tw.FunctionOperator(lambda v: v, 3, dtype=torch.float64, device="meta"),
            r"3 entries of torch\.float64 on meta",
        ),
    ],
)
def test_other_spaces_are_named(other, got):
    first = operator(symmetric(3))
    message = (
        r"^operators: expected all to act on 3 entries of torch\.float64 on cpu, as number 0 does; "
        rf"number 2 acts on {got}\.$"
    )
    with pytest.raises(ArgumentError, match=message):
        added(first, first, other())


def test_a_list_is_no_operator():
    with unchecked(), pytest.raises(ArgumentError, match="operators: expected an operator, got list"):
        added([operator(symmetric(3)), operator(symmetric(3))])

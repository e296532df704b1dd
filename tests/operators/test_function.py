"""A callable as an operator, and what its callable may not do."""

import pytest
import torch

import thalweg as tw
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError


def test_defaults():
    op = tw.FunctionOperator(lambda v: 2 * v, 3)
    assert op.dtype == torch.get_default_dtype()
    assert op.device == torch.device("cpu")
    assert op.provenance is None
    assert torch.equal(op @ torch.ones(3), torch.full((3,), 2.0))


def test_the_function_sees_contiguous_vectors_of_its_own():
    """It may write into them: the caller's stay."""
    seen = []

    def doubled(v):
        seen.append(v.is_contiguous())
        return v.mul_(2)

    op = tw.FunctionOperator(doubled, 3)
    block = torch.arange(6.0).reshape(3, 2)
    copy = block.clone()
    assert torch.equal(op @ block, 2 * copy)
    assert torch.equal(block, copy)
    assert seen == [True, True]


def test_what_the_function_returns_may_have_a_graph():
    weight = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
    op = tw.FunctionOperator(lambda v: weight * v, 2)
    product = op @ torch.ones(2, 2)
    assert not product.requires_grad
    assert torch.equal(product[:, 0], weight.detach())


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda v: v[1:],
            r"f: expected a product of shape \(3,\) and torch\.float32 on cpu, got \(2,\) and torch\.float32",
        ),
        (lambda v: v.double(), r"got \(3,\) and torch\.float64 on cpu"),
        (lambda v: v.to("meta"), r"got \(3,\) and torch\.float32 on meta"),
        (lambda v: v.tolist(), r"f: expected a tensor, got list\."),
    ],
)
def test_a_function_that_returns_something_else_is_named(f, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.FunctionOperator(f, 3) @ torch.ones(3)


def test_a_product_that_is_not_finite_is_counted_and_refused():
    op = tw.FunctionOperator(lambda v: v / 0, 3)
    with pytest.raises(tw.errors.NonFiniteError, match="non-finite"):
        op @ torch.ones(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"size: expected at least 1, got 0\."),
        ({"size": 2, "dtype": torch.int64}, r"dtype: expected a floating-point type, got torch\.int64\."),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.FunctionOperator(lambda v: v, **arguments)

"""Diagonal blocks, by parameters and by places."""

import pytest
import torch

import thalweg as tw
from tests import golden
from tests.landscape.models import randn, tied, tokens
from tests.operators.matrices import operator, orthonormal, symmetric
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.operators._added import added
from thalweg.operators._affine import scaled, shifted
from thalweg.operators._block import block
from thalweg.operators._deflated import deflated
from thalweg.operators._projected import projected

FIRST = ("0.weight", "0.bias")
SELECTIONS = {
    "a name": ("2.weight", ("2.weight",)),
    "a pattern": ("0.*", FIRST),
    "names out of order": (["2.bias", "0.weight"], ("0.weight", "2.bias")),
    "patterns": (("*.bias",), ("0.bias", "2.bias")),
    "everything": ("*", (*FIRST, "2.weight", "2.bias")),
    "a predicate": (lambda name, parameter: parameter.ndim == 1 and name != "2.bias", ("0.bias",)),
}


@pytest.fixture(scope="module")
def hessian():
    return tw.hessian(golden.g2())


@pytest.mark.parametrize("name", SELECTIONS)
def test_equals_the_hessian_of_the_landscape_of_those_parameters(hessian, name):
    params, names = SELECTIONS[name]
    found = block(hessian, params)
    landscape = tw.Landscape(golden.g2_model(), hessian.landscape.objective, golden.g2_data(), params=params)
    assert found.layout == landscape.layout
    assert found.layout.names == names
    assert found.shape == (landscape.size, landscape.size)
    torch.testing.assert_close(found.dense(), tw.hessian(landscape).dense(), rtol=1e-12, atol=1e-14)


def test_tied_parameters_count_once():
    landscape = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens(5)])
    hessian = tw.hessian(landscape)
    found = block(hessian, "embed.weight")
    assert found.shape == (15, 15)
    assert torch.equal(found.dense(), hessian.dense()[:15, :15])


def test_a_landscape_of_some_parameters_has_only_those():
    landscape = tw.Landscape(
        golden.g2_model(), tw.objectives.cross_entropy(), golden.g2_data(), params=["2.*", "0.bias"]
    )
    hessian = tw.hessian(landscape)
    dense = hessian.dense()
    assert torch.equal(block(hessian, "*.bias").dense(), dense[[0, 1, 2, -3, -2, -1]][:, [0, 1, 2, -3, -2, -1]])
    message = (
        r"^params: expected the name of a parameter or a pattern that matches one, got '0\.weight'\. "
        r"The model has 0\.bias, 2\.weight, 2\.bias\.$"
    )
    with pytest.raises(ArgumentError, match=message):
        block(hessian, "0.weight")


def test_parameters_are_known_through_wrappers(hessian):
    wrapped = [
        scaled(hessian, 2),
        shifted(hessian, 2),
        deflated(hessian, orthonormal(21, 2)),
        deflated(hessian, orthonormal(21, 2), torch.ones(2)),
        added(hessian, scaled(hessian, -0.5)),
        added(operator(symmetric(21)), hessian),
        block(hessian, "*"),
    ]
    for op in wrapped:
        inner = block(op, "2.*")
        assert inner.layout.names == ("2.weight", "2.bias")
        torch.testing.assert_close(inner.dense(), op.dense()[-12:, -12:], rtol=1e-12, atol=1e-12)
    nested = block(block(hessian, "2.*"), "2.bias")
    torch.testing.assert_close(nested.dense(), hessian.dense()[-3:, -3:], rtol=1e-12, atol=1e-14)


def without_names(hessian):
    other = torch.nn.Sequential(torch.nn.Linear(20, 1)).double()
    landscape = tw.Landscape(other, tw.objectives.squared_error(), [(randn(3, 20), randn(3, 1))])
    return {
        "a function": operator(symmetric(21)),
        "a projection": projected(hessian, orthonormal(21, 2)),
        "a block of places": block(hessian, range(4)),
        "a sum over other parameters": added(hessian, tw.hessian(landscape)),
    }


@pytest.mark.parametrize("name", ["a function", "a projection", "a block of places", "a sum over other parameters"])
def test_parameters_of_an_operator_without_any_are_refused(hessian, name):
    op = without_names(hessian)[name]
    with pytest.raises(ArgumentError) as caught:
        block(op, "0.weight")
    assert str(caught.value) == (
        f"params: expected a range or a tensor of places, got '0.weight': {op!r} is not known to run over the "
        "parameters of a model."
    )
    assert block(op, range(1)).shape == (1, 1)


PLACES = {
    "a range": (range(2, 5), [2, 3, 4]),
    "a range with steps": (range(0, 7, 3), [0, 3, 6]),
    "a range backwards": (range(6, 3, -1), [6, 5, 4]),
    "a tensor": (torch.tensor([4, 1]), [4, 1]),
    "an int32 tensor": (torch.tensor([4, 1], dtype=torch.int32), [4, 1]),
    "one place": (torch.tensor([6]), [6]),
}


@pytest.mark.parametrize("name", PLACES)
def test_places_of_any_operator(name):
    params, places = PLACES[name]
    matrix = symmetric(7)
    assert torch.equal(block(operator(matrix), params).dense(), matrix[places][:, places])


def test_places_are_copied():
    matrix, places = symmetric(5), torch.tensor([1, 3])
    found = block(operator(matrix), places)
    places.zero_()
    assert torch.equal(found.dense(), matrix[1::2, 1::2])


def test_one_product_with_the_whole_for_one_with_the_block():
    hessian = tw.hessian(golden.g1())
    block(hessian, "0.bias") @ torch.ones(2, 3).double()
    assert hessian.matvecs == 3


INTEGERS = r"^params: expected integer places of shape \(m,\), got "
MASK = r"\. A mask gives its places by mask\.nonzero\(\)\.squeeze\(1\)\.$"
ANYTHING = r"^params: expected a name, a pattern, a sequence of these, a predicate, a range or a tensor of places, got "


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], r"^params: expected at least one parameter, got none\. The model has 0\.weight, 0\.bias, 2\.weight"),
        (lambda name, parameter: False, r"^params: expected at least one parameter, got none\."),
        (
            "1.*",
            r"expected the name of a parameter or a pattern that matches one, got '1\.\*'\. The model has 0\.weight",
        ),
        (range(0), r"^params: expected at least one place, got none\.$"),
        (range(5, 2), r"^params: expected at least one place, got none\.$"),
        (torch.tensor([], dtype=torch.int64), r"^params: expected at least one place, got none\.$"),
        (range(-1, 2), r"^params: expected places from 0 to 20, got -1\.$"),
        (range(10**15), r"^params: expected places from 0 to 20, got 999999999999999\.$"),
        (torch.tensor([3, 21]), r"^params: expected places from 0 to 20, got 21\.$"),
        (torch.tensor([3, -1]), r"^params: expected places from 0 to 20, got -1\.$"),
        (torch.tensor([3, 0, 5, 3]), r"^params: expected distinct places, got 3 more than once\.$"),
        (torch.ones(21, dtype=torch.bool), rf"{INTEGERS}torch\.bool of shape \(21,\){MASK}"),
        (torch.ones(2), rf"{INTEGERS}torch\.float32 of shape \(2,\){MASK}"),
        (torch.tensor(3), rf"{INTEGERS}torch\.int64 of shape \(\){MASK}"),
        (torch.tensor([[3]]), rf"{INTEGERS}torch\.int64 of shape \(1, 1\){MASK}"),
        (None, rf"{ANYTHING}None\.$"),
        ([0, 1], rf"{ANYTHING}\[0, 1\]\.$"),
        (3, rf"{ANYTHING}3\.$"),
        (slice(3), rf"{ANYTHING}slice\(None, 3, None\)\.$"),
    ],
)
def test_wrong_choices_are_named(hessian, params, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        block(hessian, params)

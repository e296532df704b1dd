"""While the tests run, annotations are checked: shapes, types, and the fields of results."""

from typing import Protocol, Self, runtime_checkable

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from tests.typechecking import check, checkable
from thalweg import Estimate, VectorSpace


class Silent(Protocol):
    """Cannot be asked."""


@runtime_checkable
class Open(Protocol):
    """Can be asked."""


@jaxtyped(typechecker=check)
def product(left: Float[Tensor, "n k"], right: Float[Tensor, "k m"], scale: float = 1.0) -> Float[Tensor, "n m"]:
    return scale * left @ right


@pytest.mark.parametrize("hint", [int, float | None, list[int], Open, Open | None, Float[Tensor, "n"]])
def test_what_can_be_asked_is_checked(hint):
    assert checkable(hint)


@pytest.mark.parametrize("hint", [Self, Self | None, Silent, Silent | None, list[Silent]])
def test_what_cannot_be_asked_is_left_out(hint):
    assert not checkable(hint)


def test_shapes_are_checked_across_arguments():
    assert product(torch.ones(2, 3), torch.ones(3, 4), 2).shape == (2, 4)
    with pytest.raises(TypeCheckError):
        product(torch.ones(2, 3), torch.ones(4, 3))
    with pytest.raises(TypeCheckError):
        product(torch.ones(2, 3), torch.ones(3, 4), "2")


def test_the_package_is_checked():
    with pytest.raises(TypeCheckError):
        VectorSpace("three", torch.float64, torch.device("cpu"))
    with pytest.raises(TypeCheckError):
        Estimate("three", 0.1)

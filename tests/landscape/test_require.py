"""Vectors that do not belong to a space are named."""

import math

import pytest
import torch

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.landscape._require import require_columns, require_vector
from thalweg.vectors import VectorSpace

SPACE = VectorSpace(3, torch.float64, torch.device("cpu"))


def test_vectors_become_columns():
    one, two = torch.ones(3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    assert require_columns(SPACE, one, "v").shape == (3, 1)
    assert require_columns(SPACE, two, "v").shape == (3, 2)
    assert not require_columns(SPACE, two, "v").requires_grad
    assert require_vector(SPACE, one, "v").shape == (3,)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([1.0, 2.0, 3.0], r"start: expected shape \(3,\) or \(3, k\), got list"),
        (torch.ones(4).double(), r"start: expected shape \(3,\) or \(3, k\), got \(4,\)"),
        (torch.ones(3, 0).double(), r"start: expected shape \(3,\) or \(3, k\), got \(3, 0\)"),
        (torch.ones(3, 1, 1).double(), r"start: expected shape .*, got \(3, 1, 1\)"),
        (torch.ones(3), r"start: expected torch\.float64 on cpu, got torch\.float32 on cpu\. Convert it with \.to"),
        (torch.tensor([1, math.inf, 0]).double(), r"start: expected finite entries"),
    ],
)
def test_what_does_not_fit_is_named(vectors, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        require_columns(SPACE, vectors, "start")


def test_one_vector_is_not_several():
    with unchecked(), pytest.raises(ArgumentError, match=r"start: expected shape \(3,\), got \(3, 1\)"):
        require_vector(SPACE, torch.ones(3, 1).double(), "start")

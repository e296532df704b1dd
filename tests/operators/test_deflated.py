"""What is left of a spectrum when directions are taken out."""

import pytest
import torch

import thalweg as tw
from tests import golden
from tests.exact_pairs import exact_pairs
from tests.operators.matrices import operator, orthonormal, symmetric
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.operators._deflated import deflated


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("by_values", [True, False])
def test_taken_eigenvalues_become_zero_and_the_others_stay(which, by_values):
    matrix = symmetric(9)
    pairs = exact_pairs(matrix, 3, which)
    left = deflated(operator(matrix), pairs.vectors, pairs.values if by_values else None).dense()
    remaining = set(torch.linalg.eigh(matrix).eigenvalues.tolist()) - set(pairs.values.tolist())
    wanted = torch.tensor(sorted([*remaining, 0.0, 0.0, 0.0]), dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(left), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("by_values", [True, False])
def test_the_next_eigenpairs_follow_the_first(by_values):
    hessian = tw.hessian(golden.g2())
    exact = torch.linalg.eigvalsh(hessian.dense()).flip(0)
    first = tw.eigenpairs(hessian, 2, tol=1e-10)
    left = deflated(hessian, first.vectors, first.values if by_values else None)
    second = tw.eigenpairs(left, 2, tol=1e-10)
    torch.testing.assert_close(second.values, exact[2:4], rtol=1e-9, atol=1e-9)
    overlap = first.vectors.mT @ second.vectors
    assert float(overlap.abs().max()) < 1e-7


def test_eigenpairs_at_the_default_tolerance_are_orthonormal_enough():
    """Computed in float32, with values in float64 as they always are."""
    matrix = (symmetric(300) + torch.diag(torch.logspace(0, 3, 300, dtype=torch.float64))).float()
    pairs = tw.eigenpairs(operator(matrix), 10)
    assert pairs.values.dtype == torch.float64
    left = deflated(operator(matrix), pairs.vectors, pairs.values)
    next_value = float(torch.linalg.eigvalsh(matrix.double())[-11])
    assert float(tw.eigenpairs(left, 1).values) == pytest.approx(next_value, rel=1e-3)


def test_directions_that_are_no_eigenvectors_join_the_kernel():
    basis = orthonormal(9, 4)
    left = deflated(operator(symmetric(9)), basis)
    assert float((left @ basis).abs().max()) < 1e-13


def test_one_vector_is_enough():
    matrix, direction = symmetric(5), orthonormal(5, 1)[:, 0]
    left = deflated(operator(matrix), direction, torch.tensor([2.0]))
    wanted = matrix - 2 * torch.outer(direction, direction)
    torch.testing.assert_close(left.dense(), wanted, rtol=1e-13, atol=1e-13)


def test_arguments_are_left_alone_and_values_are_copied():
    matrix, basis, values = symmetric(5), orthonormal(5, 2), torch.tensor([1.0, 2.0]).double()
    before = basis.clone(), values.clone()
    left = deflated(operator(matrix), basis, values)
    dense = left.dense()
    assert torch.equal(basis, before[0])
    assert torch.equal(values, before[1])
    values.zero_()
    assert torch.equal(left.dense(), dense)


def test_values_may_require_a_gradient():
    values = torch.ones(2).double().requires_grad_()
    basis = orthonormal(5, 2).requires_grad_()
    assert not deflated(operator(symmetric(5)), basis, values).dense().requires_grad


def scaled_column() -> torch.Tensor:
    basis = orthonormal(5, 3)
    basis[:, 1] *= 2
    return basis


def repeated_column() -> torch.Tensor:
    basis = orthonormal(5, 3)
    basis[:, 2] = basis[:, 0]
    return basis


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (orthonormal(4, 2), r"vectors: expected shape \(5,\) or \(5, k\), got \(4, 2\)\."),
        (orthonormal(5, 2)[:, :0], r"vectors: expected shape \(5,\) or \(5, k\), got \(5, 0\)\."),
        (None, r"vectors: expected shape \(5,\) or \(5, k\), got NoneType\."),
        (orthonormal(5, 2).float(), r"vectors: expected torch\.float64 on cpu, got torch\.float32 on cpu\."),
        (orthonormal(5, 2).to("meta"), r"vectors: expected torch\.float64 on cpu, got torch\.float64 on meta\."),
        (orthonormal(5, 2) / 0, r"vectors: expected finite entries"),
        (
            scaled_column(),
            (
                r"^vectors: expected orthonormal columns, but the inner product of column 1 with column 1 is 3 away "
                r"from 1 \(at most 1\.5e-07 is accepted\)\. Orthonormalise them, for "
                r"example by torch\.linalg\.qr\(vectors\)\.Q\.$"
            ),
        ),
        (repeated_column(), r"the inner product of column 0 with column 2 is 1 away from 0 \(at most"),
        (orthonormal(5, 2) * 1e300, r"with column \d is (inf|nan) away from [01] \(at most"),
        (orthonormal(5, 2) * (1 + 1e-7), r"is 2e-07 away from 1 \(at most"),
    ],
)
def test_wrong_vectors_are_named(vectors, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        deflated(operator(symmetric(5)), vectors)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            torch.ones(3),
            (
                r"^values: expected real numbers in a tensor of shape \(2,\), one a vector, got torch\.float32 of "
                r"shape \(3,\)\.$"
            ),
        ),
        (torch.ones(2, 1), r"got torch\.float32 of shape \(2, 1\)\."),
        (torch.ones(2, dtype=torch.int64), r"got torch\.int64 of shape \(2,\)\."),
        ([1.0, 2.0], r"one a vector, got list\."),
        (
            torch.tensor([1.0, float("nan")]),
            r"^values: expected numbers that are finite in torch\.float64, got one that is not\.$",
        ),
    ],
)
def test_wrong_values_are_named(values, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        deflated(operator(symmetric(5)), orthonormal(5, 2), values)


def test_values_must_be_finite_in_the_operators_type():
    values = torch.tensor([1e300, 1.0], dtype=torch.float64)
    with pytest.raises(ArgumentError, match=r"values: expected numbers that are finite in torch\.float32"):
        deflated(operator(symmetric(5).float()), orthonormal(5, 2).float(), values)

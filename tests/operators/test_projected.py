"""An operator inside a subspace."""

import pytest
import torch

import thalweg as tw
from tests import golden
from tests.operators.matrices import operator, orthonormal, symmetric
from thalweg.errors import ArgumentError
from thalweg.operators._projected import projected


def test_eigenvectors_give_the_diagonal_matrix_of_their_values():
    matrix = symmetric(9)
    values, vectors = torch.linalg.eigh(matrix)
    inside = projected(operator(matrix), vectors[:, 2:5])
    assert inside.shape == (3, 3)
    torch.testing.assert_close(inside.dense(), torch.diag(values[2:5]), rtol=1e-12, atol=1e-12)


def test_the_small_matrix_takes_one_product_a_basis_vector():
    hessian = tw.hessian(golden.g2())
    basis = orthonormal(21, 4)
    small = projected(hessian, basis).dense()
    assert hessian.matvecs == 4
    torch.testing.assert_close(small, basis.mT @ hessian.dense() @ basis, rtol=1e-12, atol=1e-12)


def test_a_whole_basis_keeps_the_spectrum():
    matrix = symmetric(6)
    inside = projected(operator(matrix), orthonormal(6, 6)).dense()
    torch.testing.assert_close(torch.linalg.eigvalsh(inside), torch.linalg.eigvalsh(matrix), rtol=1e-12, atol=1e-12)


def test_one_direction_gives_its_curvature():
    matrix, direction = symmetric(5), orthonormal(5, 1)[:, 0]
    inside = projected(operator(matrix), direction)
    assert inside.shape == (1, 1)
    assert float(inside.dense()) == pytest.approx(float(direction @ matrix @ direction))


def test_eigenvalues_interlace():
    matrix = symmetric(8)
    outer = torch.linalg.eigvalsh(matrix)
    inner = torch.linalg.eigvalsh(projected(operator(matrix), orthonormal(8, 5)).dense())
    assert (outer[:5] <= inner).all()
    assert (inner <= outer[3:]).all()


def test_the_basis_is_left_alone():
    basis = orthonormal(5, 2)
    before = basis.clone()
    projected(operator(symmetric(5)), basis).dense()
    assert torch.equal(basis, before)


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        (orthonormal(4, 2), r"^basis: expected shape \(5,\) or \(5, k\), got \(4, 2\)\.$"),
        (orthonormal(5, 2).float(), r"^basis: expected torch\.float64 on cpu, got torch\.float32 on cpu\."),
        (
            torch.ones(5).double(),
            (
                r"^basis: expected orthonormal columns, but the inner product of column 0 with column 0 is 4 away "
                r"from 1 \(at most 1\.5e-07 is accepted\)\. Orthonormalise them, for "
                r"example by torch\.linalg\.qr\(basis\)\.Q\.$"
            ),
        ),
        (torch.eye(5, 6).double(), r"the inner product of column 5 with column 5 is 1 away from 1 \(at most"),
    ],
)
def test_wrong_bases_are_named(basis, message):
    with pytest.raises(ArgumentError, match=message):
        projected(operator(symmetric(5)), basis)

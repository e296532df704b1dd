"""Linear systems against SciPy's MINRES, dense least squares, and what the recurrence promises."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unchecked import unchecked
from thalweg import FunctionOperator
from thalweg.errors import ArgumentError
from thalweg.krylov import minres

DOUBLE = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetric(values: list[float], seed: int = 0) -> torch.Tensor:
    """A dense matrix with prescribed eigenvalues and random eigenvectors."""
    size = len(values)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator(seed), dtype=DOUBLE)).Q
    return basis @ torch.diag(torch.tensor(values, dtype=DOUBLE)) @ basis.T


def operator(matrix: torch.Tensor) -> FunctionOperator:
    return FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=matrix.dtype)


def right_side(size: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(size, generator=generator(seed), dtype=DOUBLE)


@pytest.mark.parametrize("reorthogonalise", [False, True])
@pytest.mark.parametrize("low", [0.5, -3.0], ids=["definite", "indefinite"])
def test_the_solution_of_a_regular_system(low, reorthogonalise):
    values = torch.linspace(low, 5.0, 30, dtype=DOUBLE).tolist()
    matrix, b = symmetric(values), right_side(30)
    found = minres(operator(matrix), b, rtol=1e-12, reorthogonalise=reorthogonalise)
    torch.testing.assert_close(found.x, torch.linalg.solve(matrix, b), rtol=1e-9, atol=1e-9)
    assert found.outcome == "solved"
    assert found.residual <= 2e-12 * float(b.norm())


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_iterates_are_those_of_scipy(steps):
    """Off the solution, too: the iterate of each number of steps is the minimum over the same space."""
    matrix, b = symmetric(torch.linspace(-1.0, 4.0, 20, dtype=DOUBLE).tolist()), right_side(20)
    found = minres(operator(matrix), b, rtol=0.0, max_matvecs=steps)
    other, _ = scipy.sparse.linalg.minres(matrix.numpy(), b.numpy(), rtol=1e-30, maxiter=steps)
    np.testing.assert_allclose(found.x.numpy(), other, rtol=1e-9, atol=1e-12)
    assert found.outcome == "limit"
    assert found.cost.matvecs == steps + 1


@settings(max_examples=40, deadline=None)
@given(
    inertia=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 4)).filter(lambda t: t[0] + t[1] > 0),
    seed=st.integers(0, 10_000),
    reorthogonalise=st.booleans(),
)
def test_a_singular_system_has_its_pseudo_inverse_solution(inertia, seed, reorthogonalise):
    positive, negative, null = inertia
    values = [1.0 + i for i in range(positive)] + [-1.5 - i for i in range(negative)] + [0.0] * null
    matrix, b = symmetric(values, seed), right_side(len(values), seed + 1)
    expected = torch.linalg.pinv(matrix, rtol=1e-9) @ b
    found = minres(operator(matrix), b, rtol=1e-12, reorthogonalise=reorthogonalise)
    torch.testing.assert_close(found.x, expected, rtol=1e-7, atol=1e-8)
    assert found.outcome == ("solved" if null == 0 else "least-squares")
    if null:
        assert found.normal_residual < 1e-9


def test_a_consistent_singular_system_is_solved():
    matrix = symmetric([3.0, 2.0, -1.0, 0.0, 0.0])
    b = matrix @ right_side(5)
    found = minres(operator(matrix), b, rtol=1e-12)
    assert found.outcome == "solved"
    torch.testing.assert_close(found.x, torch.linalg.pinv(matrix, rtol=1e-9) @ b, rtol=1e-9, atol=1e-11)


def test_a_right_side_in_the_null_space_leaves_nothing_to_do():
    matrix = torch.diag(torch.tensor([1.0, 0.0], dtype=DOUBLE))
    found = minres(operator(matrix), torch.tensor([0.0, 2.0], dtype=DOUBLE))
    assert found.x.tolist() == [0.0, 0.0]
    assert (found.outcome, found.residual, found.normal_residual) == ("least-squares", 2.0, 0.0)


def test_zero_is_solved_by_zero():
    found = minres(operator(torch.eye(3, dtype=DOUBLE)), torch.zeros(3, dtype=DOUBLE))
    assert found.x.tolist() == [0.0, 0.0, 0.0]
    assert (found.outcome, found.residual, found.cost.matvecs) == ("solved", 0.0, 0)
    assert found.normal_residual is None
    assert found.curvature is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 6))
def test_negative_curvature_is_seen_where_there_is_some(seed, count):
    values = [1.0 + i for i in range(6)] + [-1.0 - i for i in range(count)]
    matrix = symmetric(values, seed)
    found = minres(operator(matrix), right_side(len(values), seed + 7), rtol=1e-12, reorthogonalise=True)
    assert min(values) - 1e-9 <= found.curvature <= max(values) + 1e-9
    assert (found.direction is not None) == (count > 0)
    if found.direction is not None:
        assert float(found.direction.norm()) == pytest.approx(1, abs=1e-6)
        quotient = float(found.direction @ matrix @ found.direction)
        assert quotient == pytest.approx(found.curvature, rel=1e-5)
        assert quotient < 0


def test_without_a_basis_many_more_iterations_may_be_needed():
    values = torch.logspace(-6, 0, 60, dtype=DOUBLE).tolist()
    matrix = symmetric(values)
    b = matrix @ right_side(60)
    short = minres(operator(matrix), b, rtol=1e-9, max_matvecs=60)
    stored = minres(operator(matrix), b, rtol=1e-9, max_matvecs=60, reorthogonalise=True)
    assert (short.outcome, stored.outcome) == ("limit", "solved")


def test_the_last_basis_vector_of_a_limit_is_not_the_end_of_the_space():
    matrix, b = symmetric(torch.linspace(1.0, 9.0, 12, dtype=DOUBLE).tolist()), right_side(12)
    one, other = (minres(operator(matrix), b, rtol=0.0, max_matvecs=4, reorthogonalise=on) for on in (False, True))
    torch.testing.assert_close(one.x, other.x, rtol=1e-10, atol=1e-12)
    assert one.outcome == other.outcome == "limit"


def test_the_first_iterate_beyond_a_radius_ends_it():
    matrix, b = symmetric(torch.linspace(0.1, 9.0, 12, dtype=DOUBLE).tolist()), right_side(12)
    lengths = [float(minres(operator(matrix), b, rtol=0.0, max_matvecs=k).x.norm()) for k in range(1, 8)]
    radius = (lengths[3] + lengths[4]) / 2
    assert lengths == sorted(lengths)
    found = minres(operator(matrix), b, rtol=0.0, radius=radius)
    assert (found.outcome, found.cost.matvecs) == ("radius", 6)
    assert float(found.x.norm()) == pytest.approx(lengths[4])


def test_single_precision():
    matrix = symmetric([4.0, 2.0, 1.0, -1.0]).float()
    b = right_side(4).float()
    found = minres(operator(matrix), b, rtol=1e-5)
    torch.testing.assert_close(found.x, torch.linalg.solve(matrix, b), rtol=1e-4, atol=1e-4)


def test_bad_input():
    op, b = operator(torch.eye(2, dtype=DOUBLE)), torch.ones(2, dtype=DOUBLE)
    with unchecked():
        with pytest.raises(ArgumentError, match="operator: expected an operator, got Tensor"):
            minres(torch.eye(2), b)
        with pytest.raises(ArgumentError, match=r"b: expected a tensor of shape \(2,\), got \(3,\)"):
            minres(op, torch.ones(3, dtype=DOUBLE))
        with pytest.raises(ArgumentError, match=r"b: expected a tensor of shape \(2,\), got list"):
            minres(op, [1.0, 2.0])
        with pytest.raises(ArgumentError, match=r"b: expected torch.float64 on cpu, got torch.float32"):
            minres(op, b.float())
        with pytest.raises(ArgumentError, match="b: expected finite entries"):
            minres(op, b * float("inf"))
        with pytest.raises(ArgumentError, match="rtol: expected a finite number of at least 0, got -1"):
            minres(op, b, rtol=-1.0)
        with pytest.raises(ArgumentError, match="cutoff: expected a finite number"):
            minres(op, b, cutoff=float("nan"))
        with pytest.raises(ArgumentError, match="max_matvecs: expected a whole number"):
            minres(op, b, max_matvecs=2.5)
        with pytest.raises(ArgumentError, match="max_matvecs: expected at least 1"):
            minres(op, b, max_matvecs=0)
    with pytest.raises(ArgumentError, match="operator: expected a symmetric matrix"):
        minres(operator(torch.tensor([[1.0, 5.0, 2.0], [0.0, 2.0, 7.0], [3.0, 0.0, 3.0]], dtype=DOUBLE)), right_side(3))


def test_print():
    matrix = torch.diag(torch.tensor([1.0, -1.0], dtype=DOUBLE))
    text = str(minres(operator(matrix), torch.tensor([1.0, 2.0], dtype=DOUBLE)))
    assert text.startswith("solved: ‖b − Ax‖ = ")
    assert "negative curvature" in text

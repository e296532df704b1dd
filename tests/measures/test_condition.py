"""Condition numbers against hand-made spectra, the golden network and closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.exact_pairs import diagonal, exact_pairs
from tests.golden import g1, g2
from thalweg import hessian
from thalweg.errors import ArgumentError
from thalweg.measures import condition_numbers


def test_golden_network():
    found = condition_numbers(spectrum=torch.linalg.eigvalsh(hessian(g1()).dense()))
    assert found.raw == pytest.approx(-10.8329419735, rel=1e-9)
    assert found.absolute == pytest.approx(76.6250685418, rel=1e-8)
    assert found.magnitude == pytest.approx(10.8329419735, rel=1e-9)
    assert found.damped == pytest.approx(1e6, rel=1e-9)  # λ_min < 0, so ε alone is left: 1/τ
    assert found.effective == pytest.approx(2.69247713777789 / 0.0351383325198522, rel=1e-8)
    assert found.bulk == pytest.approx(2.69247713777789 / ((0.224447620009740 + 0.267686107248948) / 2), rel=1e-8)


def test_linear_regression():
    """X = [[1,2],[3,4],[5,6]], H = XᵀX/3: κ = 343.04, and every variant that may agree does."""
    x = torch.tensor([[1.0, 2], [3, 4], [5, 6]], dtype=torch.float64)
    found = condition_numbers(spectrum=torch.linalg.eigvalsh(x.mT @ x / 3))
    kappa = 343.038751544
    assert [found.raw, found.absolute, found.magnitude, found.effective] == pytest.approx([kappa] * 4, rel=1e-10)
    assert found.damped == pytest.approx(30.2451649709114 / (0.0881683624219391 + found.epsilon), rel=1e-10)
    assert found.epsilon == pytest.approx(1e-6 * 30.2451649709114)


def test_an_indefinite_matrix():
    found = condition_numbers(spectrum=torch.tensor([10.0, -1.0], dtype=torch.float64), epsilon=0.5)
    assert (found.raw, found.damped, found.magnitude, found.absolute) == (-10, 20, 10, 10)
    assert (found.effective, found.bulk) == (1, 1)
    assert str(found) == "condition number 10 (λ_max / max(|λ_min|, 0.5))"


@pytest.mark.parametrize("whole", [exact_pairs(diagonal(8, 4, 2, -1), 4), exact_pairs(diagonal(8, 4, 2, -1), 4, "SA")])
def test_eigenpairs_that_are_all_of_them_are_the_spectrum(whole):
    expected = condition_numbers(spectrum=torch.tensor([8.0, 4, 2, -1], dtype=torch.float64))
    assert expected.bulk == 2
    for found in (
        condition_numbers(whole),
        condition_numbers(whole, whole),
        condition_numbers(spectrum=whole),
        condition_numbers(exact_pairs(diagonal(8, 4, 2, -1), 1), exact_pairs(diagonal(8, 4, 2, -1), 4, "SA")),
    ):
        assert found == expected


def test_without_the_interior_what_needs_it_is_none():
    matrix = diagonal(8, 4, 2, 1)
    for found in (
        condition_numbers(exact_pairs(matrix, 2), exact_pairs(matrix, 1, "SA")),
        condition_numbers(exact_pairs(matrix, 2, "BE")),
        condition_numbers(exact_pairs(matrix, 2).without_vectors(), exact_pairs(matrix, 1, "SA").without_vectors()),
    ):
        assert (found.raw, found.magnitude) == (8, 8)
        assert (found.absolute, found.effective, found.bulk) == (None, None, None)


def test_zero_is_told_by_rounding_and_by_the_residual():
    """An exact null direction comes out as −1e−17; a residual of 0.1 leaves the sign of 0.05 open."""
    rounded = condition_numbers(spectrum=torch.tensor([2.0, 1.0, -1e-17], dtype=torch.float64))
    assert (rounded.raw, rounded.absolute, rounded.bulk) == (None, None, 2 / 1.5)
    assert rounded.magnitude == pytest.approx(1e6)
    matrix = diagonal(2, 1, 0.05)
    sharp = condition_numbers(exact_pairs(matrix, 1), exact_pairs(matrix, 1, "SA"))
    loose = exact_pairs(matrix, 1, "SA", residuals=torch.tensor([0.1], dtype=torch.float64))
    assert (sharp.raw, condition_numbers(exact_pairs(matrix, 1), loose).raw) == (pytest.approx(40), None)


def test_rounding_follows_the_type_that_products_are_computed_in():
    values = [2.0, 1.0, 1e-6]
    assert condition_numbers(spectrum=torch.tensor(values, dtype=torch.float64)).raw == pytest.approx(2e6)
    assert condition_numbers(spectrum=torch.tensor(values, dtype=torch.float32)).raw is None
    single = exact_pairs(diagonal(*values), 3)
    single = exact_pairs(diagonal(*values), 3, vectors=single.vectors.float())
    assert condition_numbers(single).raw is None


def test_the_null_directions_of_a_softmax_network():
    found = condition_numbers(spectrum=torch.linalg.eigvalsh(hessian(g2()).dense()))
    assert found.raw == pytest.approx(1.11987874979102 / -0.555822042665639, rel=1e-9)
    assert found.absolute is None
    assert found.effective < 1e3


def test_epsilon_and_tau_act():
    spectrum = torch.tensor([100.0, 10.0, 1.0], dtype=torch.float64)
    assert condition_numbers(spectrum=spectrum, tau=0.05).effective == 10
    assert condition_numbers(spectrum=spectrum, tau=0.05).epsilon == 5
    assert condition_numbers(spectrum=spectrum, epsilon=4.0).magnitude == 25
    assert condition_numbers(spectrum=spectrum, epsilon=4.0).damped == 20


def test_no_positive_eigenvalue():
    found = condition_numbers(spectrum=torch.tensor([-1.0, -2.0], dtype=torch.float64))
    assert (found.raw, found.absolute, found.effective, found.bulk) == (0.5, 2, None, None)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=8))
def test_for_a_positive_definite_matrix_all_agree(values):
    found = condition_numbers(spectrum=torch.tensor(values, dtype=torch.float64), epsilon=1e-12)
    kappa = max(values) / min(values)
    assert [found.raw, found.magnitude, found.absolute, found.effective, found.damped] == pytest.approx([kappa] * 5)
    assert 1 - 1e-12 <= found.bulk <= kappa + 1e-9


@given(st.lists(st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_the_unit_of_the_loss_cancels(values, factor):
    spectrum = torch.tensor(values, dtype=torch.float64)
    one, other = condition_numbers(spectrum=spectrum), condition_numbers(spectrum=factor * spectrum)
    for name in ("raw", "damped", "magnitude", "absolute", "effective", "bulk"):
        here, there = getattr(one, name), getattr(other, name)
        assert (here is None and there is None) or there == pytest.approx(here, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"top: expected eigenpairs of the upper end, got None\. Give top and bottom, or spectrum="),
        ({"top": exact_pairs(diagonal(2, 1), 1)}, r"bottom: expected eigenpairs of the lower end, since top holds 1"),
        (
            {"top": exact_pairs(diagonal(2, 1), 1), "spectrum": torch.ones(2)},
            r"spectrum: expected None together with top or bottom",
        ),
        (
            {"spectrum": exact_pairs(diagonal(2, 1), 1)},
            r"spectrum: expected all P eigenpairs with their vectors, got 1 of which='LA'",
        ),
        ({"spectrum": torch.tensor([1.0, math.nan])}, r"spectrum: expected finite .* shape \(2,\) with 1 that are not"),
        ({"spectrum": torch.ones(0)}, r"spectrum: expected finite eigenvalues, shape \(P,\), got shape \(0,\)"),
        ({"spectrum": torch.ones(2), "epsilon": 0.0}, r"epsilon: expected a positive finite number, got 0\.0"),
        ({"spectrum": torch.ones(2), "epsilon": math.inf}, r"epsilon: expected a positive finite number, got inf"),
        ({"spectrum": torch.zeros(2)}, r"epsilon: expected a positive number, since every eigenvalue is zero"),
        ({"spectrum": torch.ones(2), "tau": 1.0}, r"tau: expected a number strictly between 0 and 1, got 1\.0"),
        ({"spectrum": torch.ones(2), "tau": 0.0}, r"tau: expected a number strictly between 0 and 1, got 0\.0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        condition_numbers(**arguments)

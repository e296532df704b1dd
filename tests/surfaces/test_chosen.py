"""Directions taken from the landscape itself."""

import pytest
import torch

from tests.exact_pairs import diagonal, exact_pairs
from tests.formula import formula
from tests.golden import g1
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.surfaces import eigen_directions, gradient_direction

H = diagonal(1, 5, -3)


def test_eigenvectors_in_the_order_asked_for():
    directions = eigen_directions(exact_pairs(H, 3), (2, 0))
    torch.testing.assert_close(directions.vectors.abs(), torch.eye(3, dtype=torch.float64)[:, [2, 1]])
    assert directions.labels == ("eigenvector 3 (λ = -3)", "eigenvector 1 (λ = 5)")
    assert directions.norms == pytest.approx((1, 1))
    assert eigen_directions(exact_pairs(H, 3)).labels == ("eigenvector 1 (λ = 5)", "eigenvector 2 (λ = 1)")
    assert eigen_directions(exact_pairs(H, 3), [1]).vectors.shape == (3, 1)


def test_labels_name_the_matrix():
    directions = eigen_directions(exact_pairs(H, 3), (0,), matrix="GGN")
    assert directions.labels == ("eigenvector 1 of GGN (λ = 5)",)
    assert directions.scale == "unit length"


def test_an_eigenvector_that_has_not_converged_is_a_warning():
    changed = {"converged": torch.tensor([True, False]), "residuals": torch.tensor([0, 0.25], dtype=torch.float64)}
    with pytest.warns(ConvergenceWarning, match=r"have not converged: 1 \(residual 2\.5e-01\)"):
        eigen_directions(exact_pairs(H, 2, **changed))
    eigen_directions(exact_pairs(H, 2, **changed), (0,))


@pytest.mark.parametrize("indices", [(0, 2), (-1, 0), (0, 0), ()])
def test_bad_indices_are_named(indices):
    with unchecked(), pytest.raises(ArgumentError, match=r"indices: expected different numbers from 0 to 1, got"):
        eigen_directions(exact_pairs(H, 2), indices)


def test_pairs_without_vectors_are_named():
    with pytest.raises(ArgumentError, match="pairs: expected eigenpairs with vectors, got some without"):
        eigen_directions(exact_pairs(H, 2).without_vectors())


def test_the_gradient_points_uphill_at_unit_length():
    landscape = g1()
    directions = gradient_direction(landscape)
    g = landscape.gradient()
    torch.testing.assert_close(directions.vectors[:, 0], g / g.norm())
    assert directions.norms == pytest.approx((1.0,))
    assert directions.labels == ("gradient",)
    assert landscape.loss(landscape.theta + 1e-3 * directions.vectors[:, 0]) > landscape.loss()


def test_a_critical_point_has_no_gradient_direction():
    with pytest.raises(ArgumentError, match="landscape: expected a point with a gradient, got a critical point"):
        gradient_direction(formula(lambda t: t.square().sum(), [0.0, 0.0]))

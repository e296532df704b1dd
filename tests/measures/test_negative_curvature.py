"""Counts of negative eigenvalues, and when they are known to be all."""

import math

import pytest
import torch

from tests.exact_pairs import diagonal, exact_pairs
from tests.golden import g1, g2
from thalweg import hessian
from thalweg.errors import ArgumentError
from thalweg.krylov import eigenpairs
from thalweg.measures import negative_curvature

H = diagonal(5, 1, 0, -1, -2)


@pytest.mark.parametrize(("network", "count"), [(g1, 3), (g2, 8)])
def test_golden_networks(network, count):
    """G2 has four exact null directions, of which two compute as −1e−17."""
    matrix = hessian(network()).dense()
    values = torch.linalg.eigvalsh(matrix)
    found = negative_curvature(exact_pairs(matrix, len(matrix), "SA"))
    assert found.count == count
    assert found.exhaustive
    assert found.mass == pytest.approx(float(-values[:count].sum()), rel=1e-12)
    assert found.smallest == pytest.approx(float(values[0]), rel=1e-12)


def test_golden_network_by_lanczos():
    found = negative_curvature(eigenpairs(hessian(g2()), 10, "SA", tol=1e-8))
    assert (found.count, found.exhaustive) == (8, True)
    assert found.smallest == pytest.approx(-0.555822042665639, rel=1e-8)
    part = negative_curvature(eigenpairs(hessian(g2()), 3, "SA", tol=1e-8))
    assert (part.count, part.exhaustive) == (3, False)


@pytest.mark.parametrize(
    ("k", "which", "count", "exhaustive"),
    [
        (1, "SA", 1, False),
        (2, "SA", 2, False),
        (3, "SA", 2, True),  # past zero
        (4, "BE", 2, False),  # two of the lower end
        (2, "BE", 1, False),
        (3, "LM", 2, False),
        (5, "LM", 2, True),
        (5, "LA", 2, True),
    ],
)
def test_when_the_count_is_exhaustive(k, which, count, exhaustive):
    found = negative_curvature(exact_pairs(H, k, which))
    assert (found.count, found.exhaustive) == (count, exhaustive)


def test_both_ends_past_zero():
    matrix = diagonal(5, 4, 3, 2, 1, 0.5, -1)
    assert negative_curvature(exact_pairs(matrix, 4, "BE")).exhaustive
    assert not negative_curvature(exact_pairs(matrix, 3, "BE")).exhaustive


@pytest.mark.parametrize("changed", [{"complete": False}, {"converged": torch.tensor([True, False, True])}])
def test_an_unfinished_search_is_not_exhaustive(changed):
    assert negative_curvature(exact_pairs(H, 3, "SA")).exhaustive
    assert not negative_curvature(exact_pairs(H, 3, "SA", **changed)).exhaustive


def test_an_unconverged_value_above_zero_does_not_matter():
    converged = torch.tensor([True, True, True, False])
    assert negative_curvature(exact_pairs(H, 4, "SA", converged=converged)).exhaustive


def test_a_residual_that_reaches_zero_decides_nothing():
    found = negative_curvature(exact_pairs(H, 3, "SA", residuals=torch.tensor([0.1, 1.5, 0.1])))
    assert (found.count, found.mass, found.exhaustive) == (1, 2, False)


def test_the_threshold_is_relative_to_the_norm_and_the_type():
    tiny = diagonal(1, -1e-9)
    double = negative_curvature(exact_pairs(tiny, 2))
    assert (double.count, double.threshold) == (1, pytest.approx(100 * 2.0**-52))
    assert negative_curvature(exact_pairs(tiny, 2), scale=1e6).count == 0
    single = exact_pairs(tiny, 2, vectors=torch.eye(2, dtype=torch.float32))
    assert negative_curvature(single).count == 0


def test_the_type_is_known_without_vectors():
    op = hessian(g1())
    pairs = eigenpairs(op, 9, "SA")
    assert negative_curvature(pairs.without_vectors()).threshold == negative_curvature(pairs).threshold


def test_a_threshold_of_ones_own():
    assert negative_curvature(exact_pairs(H, 5), threshold=1.5).count == 1
    assert negative_curvature(exact_pairs(H, 5), threshold=0.0).count == 2


def test_the_words():
    assert str(negative_curvature(exact_pairs(H, 2, "SA"))) == "at least 2 negative eigenvalues, mass 3, smallest -2"
    assert str(negative_curvature(exact_pairs(H, 3, "SA"))) == "2 negative eigenvalues, mass 3, smallest -2"


def test_none():
    found = negative_curvature(exact_pairs(diagonal(3, 2, 1), 1, "SA"))
    assert (found.count, found.mass, found.smallest, found.exhaustive) == (0, 0, 1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bottom": exact_pairs(H, 2)}, r"bottom: expected eigenpairs of the lower end, got which='LA'"),
        ({"bottom": exact_pairs(H, 2, "SA"), "scale": -1.0}, r"scale: expected a finite number .*, got -1\.0"),
        (
            {"bottom": exact_pairs(H, 2, "SA"), "threshold": math.nan},
            r"threshold: expected a finite number .*, got nan",
        ),
        ({"bottom": exact_pairs(H, 2, "SA"), "threshold": 1.0, "scale": 1.0}, r"scale: expected None together with"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        negative_curvature(**arguments)

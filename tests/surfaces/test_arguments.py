"""Wrong arguments of scans, directions and topology are named, in one way for all of them."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.formula import formula
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.krylov import eigenpairs
from thalweg.surfaces import (
    adaptive_scan,
    bottleneck_distance,
    convexity_cost,
    convexity_map,
    eigen_directions,
    gradient_direction,
    graph_merge_tree,
    grid_scan,
    line_scan,
    merge_tree,
    orthogonal_directions,
    persistence,
    plane_scan,
    plane_through,
    principal_directions,
    random_directions,
    wasserstein_distance,
)

EYE = torch.eye(2, dtype=torch.float64)
BOWL = formula(lambda t: t @ t, [1.0, 0.0])
WHOLE = r"points: expected a whole number of at least 2, got "
PLANES = [plane_scan, adaptive_scan, convexity_map, grid_scan]


@pytest.mark.parametrize("scan", PLANES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 5.5}, WHOLE + r"5\.5"),
        ({"points": (5.5, 7.0)}, WHOLE + r"5\.5"),
        ({"points": None}, WHOLE + "None"),
        ({"points": "a"}, WHOLE + "'a'"),
        ({"points": True}, r"points: expected at least 2, got True"),
        ({"points": (7,)}, r"points: expected a number, or one for each of 2 directions, got \(7,\)"),
        ({"points": (7, 7, 7)}, r"points: expected a number, or one for each of 2"),
        ({"span": 3}, r"span: expected \(first, last\), or such a pair for each of 2 directions, got 3"),
        ({"span": (1, 2, 3)}, r"span: expected \(first, last\), or such"),
        ({"span": ("a", "b")}, r"span: expected two numbers, \(first, last\), got \('a', 'b'\)"),
        ({"span": (1.0, 0.0)}, r"span: expected two finite numbers, the first below the second"),
        ({"progress": 3}, r"progress: expected True, False, or a reporter with advance and stage, got int"),
    ],
)
def test_planes(scan, options, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        scan(BOWL, EYE, **options)


def test_lines_and_costs():
    for options, message in (
        ({"points": 5.5}, WHOLE + r"5\.5"),
        ({"span": None}, r"span: expected two numbers, \(first, last\), got None"),
        ({"quadratic": True, "operator": 3}, r"operator: expected an operator or None, got int"),
    ):
        with unchecked(), pytest.raises(ArgumentError, match=message):
            line_scan(BOWL, EYE[:, 0], **options)
    with unchecked(), pytest.raises(ArgumentError, match=WHOLE + r"2\.5"):
        convexity_cost(BOWL, points=2.5)


def test_numbers_of_points_of_other_types_are_taken():
    with unchecked():
        assert plane_scan(BOWL, EYE, points=np.int64(3)).loss.shape == (3, 3)
        assert plane_scan(BOWL, EYE, points=[3, 4], span=[(-1, 1), (0, 1)]).loss.shape == (3, 4)


@pytest.mark.parametrize("value", ["x", None])
def test_functions_return_numbers(value):
    with unchecked(), pytest.raises(ObjectiveError, match="functions: expected a to return a number or a tensor"):
        plane_scan(BOWL, EYE, points=3, functions={"a": lambda model, batch: value})


def test_directions():
    points, pairs = torch.tensor([[0.0, 0.0, 1.0], [2.0, 1.0, 1.0], [4.0, 0.0, 1.0]]), eigenpairs(tw.hessian(BOWL), 2)
    several = random_directions(BOWL, 2, normalization=None)
    for call, message in (
        (lambda: random_directions(BOWL, "2"), r"count: expected a number from 1 to P = 2, got '2'"),
        (lambda: random_directions(BOWL, 2.0), r"count: expected a number from 1 to P = 2, got 2\.0"),
        (lambda: principal_directions(points, 2.0), r"count: expected a number from 1 to 2, .* got 2\.0"),
        (lambda: eigen_directions(pairs, 0), r"indices: expected a sequence of numbers, such as \(0, 1\), got 0"),
        (lambda: eigen_directions(pairs, (0.0, 1)), r"indices: expected different numbers from 0 to 1"),
        (lambda: eigen_directions(None), r"pairs: expected eigenpairs, got NoneType"),
        (lambda: orthogonal_directions(EYE), r"directions\[0\]: expected a record of directions, got Tensor"),
        (lambda: gradient_direction(None), r"landscape: expected a Landscape, got NoneType"),
        (lambda: several.only(5), r"index: expected a number from 0 to 1, got 5"),
        (lambda: several.only(-1), r"index: expected a number from 0 to 1, got -1"),
        (lambda: plane_through(points, names=("A", "A", "A")), r"names: expected three different ones"),
    ):
        with unchecked(), pytest.raises(ArgumentError, match=message):
            call()


def test_topology():
    pytest.importorskip("gudhi")
    values, edges = torch.zeros(2), torch.tensor([[0, 1]])
    found = persistence(torch.tensor([[0.0, 1.0], [2.0, 0.5]]))
    for call, message in (
        (lambda: merge_tree(values, threshold="a"), r"threshold: expected a finite number of at least 0, got 'a'"),
        (lambda: wasserstein_distance(found, found, order="a"), r"order: expected a finite number .*, got 'a'"),
        (lambda: bottleneck_distance(found, found, dimension=1.5), r"dimension: expected a whole number .* got 1\.5"),
        (lambda: bottleneck_distance(found, found, dimension=7), r"at most 1 for first, got 7"),
        (lambda: graph_merge_tree(values + 0j, edges, values[:1]), r"values: expected real numbers, got torch\.comp"),
        (lambda: graph_merge_tree(values, edges, values[:1] + 0j), r"heights: expected real numbers"),
    ):
        with unchecked(), pytest.raises(ArgumentError, match=message):
            call()

"""The plane through three points."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formula import formula
from tests.golden import g1
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.paths import Curve
from thalweg.surfaces import plane_scan, plane_through, project


def test_a_right_triangle():
    points = torch.tensor([[1.0, 1, 0, 2], [4, 1, 0, 2], [1, 1, 4, 2]], dtype=torch.float64)
    plane = plane_through(points, names=("P", "Q", "R"))
    assert plane.coordinates.tolist() == [[0, 0], [3, 0], [0, 4]]
    assert plane.directions.vectors.mT.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert plane.directions.labels == ("P → Q", "the normal, towards R")
    assert str(plane) == "plane through P at (0, 0), Q at (3, 0), R at (0, 4)"
    assert plane.spans(0.5) == ((-1.5, 4.5), (-2.0, 6.0))


@settings(max_examples=30)
@given(st.integers(2, 30), st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float64]))
def test_all_three_are_met_and_the_axes_are_orthonormal(size, seed, dtype):
    source = torch.Generator().manual_seed(seed)
    points = torch.randn(3, size, dtype=torch.float64, generator=source).to(dtype)
    plane = plane_through(points)
    vectors = plane.directions.vectors.double()
    eps = torch.finfo(dtype).eps
    slack = 1e3 if size < 4 else 20  # three points may come close to a line in two dimensions
    met = plane.origin.double() + plane.coordinates @ vectors.mT
    torch.testing.assert_close(met, points.double(), rtol=0, atol=slack * eps)
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(2, dtype=torch.float64), rtol=0, atol=4 * eps)
    sides = torch.pdist(points.double()), torch.pdist(plane.coordinates)
    torch.testing.assert_close(*sides, rtol=0, atol=slack * eps)


def test_the_scan_meets_them():
    """At the cells that hold the three points the surface is the loss there."""
    landscape = g1()
    source = torch.Generator().manual_seed(1)
    points = [landscape.theta + 0.5 * landscape.space.randn(source) for _ in range(3)]
    plane = plane_through(points)
    (_, length), (_, height) = ((0.0, float(v)) for v in plane.coordinates[1:].amax(dim=0))
    base, across = float(plane.coordinates[2, 0]), float(plane.coordinates[1, 0])
    there = landscape.at(plane.origin)
    corner = plane_scan(there, plane.directions, points=2, span=((0.0, across), (0.0, height)))
    assert float(corner.loss[0, 0]) == pytest.approx(landscape.loss(points[0]), rel=1e-12)
    assert float(corner.loss[0, 1]) == pytest.approx(landscape.loss(points[1]), rel=1e-12)
    third = plane_scan(there, plane.directions, points=2, span=((base, base + length), (0.0, height)))
    assert float(third.loss[1, 0]) == pytest.approx(landscape.loss(points[2]), rel=1e-12)


def test_a_curve_with_one_bend_lies_in_the_plane_of_its_nodes():
    nodes = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    curve = Curve(nodes)
    found = project([curve.point(t / 10) for t in range(11)], plane_through(nodes))
    assert float(found.residuals.max()) < 1e-13
    assert found.share == pytest.approx(1)
    assert "plane holds all of the variance" in str(found)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.eye(4), "points: expected 3, got 4"),
        (torch.eye(2), "points: expected at least 3 vectors, got 2"),
        (torch.eye(3)[[0, 1, 0]], "expected three different ones, but A and C are the same"),
        (torch.tensor([[0.0, 0], [1, 1], [3, 3]]), "they lie on a line: B - A and C - A are parallel"),
        ([torch.ones(2), torch.ones(3), torch.ones(2)], r"points\[1\]: expected 2 entries"),
        ([torch.ones(2), torch.eye(2)[0].double(), torch.eye(2)[1]], r"of torch\.float32 .* got 2 of torch\.float64"),
    ],
)
def test_bad_input_is_named(points, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        plane_through(points)


def test_a_line_in_many_dimensions_is_seen_through_its_rounding():
    a, d = torch.randn(2, 1000, generator=torch.Generator().manual_seed(3))
    with pytest.raises(ArgumentError, match="they lie on a line"):
        plane_through([a, a + d, a + 0.3 * d])


def test_distances_are_those_of_the_loss():
    """L = ‖θ − C‖ over the plane is the distance of the axes."""
    points = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    plane = plane_through(points)
    landscape = formula(lambda t: (t - points[2]).norm(), points[0].tolist())
    surface = plane_scan(landscape.at(plane.origin), plane.directions, points=(3, 4), span=plane.spans())
    x, y = torch.meshgrid(surface.y - plane.coordinates[2, 1], surface.x - plane.coordinates[2, 0], indexing="ij")
    torch.testing.assert_close(surface.loss, (x**2 + y**2).sqrt())
    assert math.isfinite(float(surface.loss.sum()))

"""Planes: rows and columns exactly where the labels say."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.exact_pairs import exact_pairs
from tests.formula import formula
from tests.golden import g1, g2
from tests.landscape.models import classes, cnn, randn
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import Directions, eigen_directions, plane_scan, random_directions

EYE = torch.eye(2, dtype=torch.float64)


def skew() -> tw.Landscape:
    """No symmetry of the square maps it onto itself; (0, 0) of a plane is (3, −2)."""
    return formula(lambda t: _skew(t[0], t[1]), [3.0, -2.0])


def _skew(x, y):
    return x**2 + 10 * y**2 + 3 * x * y + 7 * x - y + 2 * x**3


@pytest.mark.parametrize(
    ("points", "span"),
    [
        (5, (-1.0, 1.0)),
        (4, (-1.0, 1.0)),
        ((3, 6), (-1.0, 1.0)),
        ((6, 3), ((-1.0, 2.0), (0.0, 0.5))),
        ((2, 7), ((-3.0, 0.0), (-2.0, 5.0))),
    ],
)
def test_every_cell_is_where_its_labels_say(points, span):
    surface = plane_scan(skew(), EYE, points=points, span=span)
    rows, columns = (points, points) if isinstance(points, int) else points
    across, up = span if isinstance(span[0], tuple) else (span, span)
    assert surface.loss.shape == (rows, columns) == (len(surface.y), len(surface.x))
    assert (float(surface.x[0]), float(surface.x[-1])) == across
    assert (float(surface.y[0]), float(surface.y[-1])) == up
    for i, y in enumerate(surface.y.tolist()):
        for j, x in enumerate(surface.x.tolist()):
            assert float(surface.loss[i, j]) == pytest.approx(_skew(3 + x, -2 + y), rel=1e-13), (i, j)
    assert surface.cost.losses == rows * columns


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 2**31))
def test_a_plane_in_many_dimensions(rows, columns, seed):
    """L = bᵀθ + ½‖θ‖² over orthogonal directions of different length, by its formula."""
    source = torch.Generator().manual_seed(seed)
    slope = torch.randn(6, dtype=torch.float64, generator=source)
    frame = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64, generator=source)).Q * torch.tensor([2.0, 0.5])
    landscape = formula(lambda t: slope @ t + 0.5 * t @ t, [1.0] * 6)
    surface = plane_scan(landscape, frame, points=(rows, columns), span=((-1.0, 2.0), (0.0, 3.0)))
    theta = landscape.theta + surface.x[None, :, None] * frame[:, 0] + surface.y[:, None, None] * frame[:, 1]
    torch.testing.assert_close(surface.loss, theta @ slope + 0.5 * theta.square().sum(-1))
    assert surface.norms == pytest.approx((2, 0.5))
    assert abs(surface.cosine) < 1e-14


def test_distances_on_the_grid_are_true():
    """L = ‖θ − θ₀‖: for a network's own filter-normalised plane the loss is the distance that the axes show."""
    network = g2()
    directions = random_directions(network)
    landscape = formula(lambda t: (t - network.theta).norm(), network.theta.tolist())
    surface = plane_scan(landscape, directions, points=(4, 5), span=((-1.0, 3.0), (-2.0, 2.0)))
    x, y = surface.x[None, :] * surface.norms[0], surface.y[:, None] * surface.norms[1]
    torch.testing.assert_close(surface.loss, (x**2 + y**2).sqrt())


@pytest.mark.parametrize("network", [g1, g2])
@pytest.mark.parametrize("points", [3, 15])
def test_the_centre_is_the_point_itself(network, points):
    landscape = network()
    surface = plane_scan(landscape, random_directions(landscape), points=points)
    half = points // 2
    assert (float(surface.x[half]), float(surface.y[half])) == (0, 0)
    assert float(surface.loss[half, half]) == landscape.loss()


def test_eigenvectors_as_axes():
    """Along the axes of a quadratic the loss is ½λs², so rows and columns cannot be swapped."""
    matrix = torch.diag(torch.tensor([5.0, 1.0, -3.0], dtype=torch.float64))
    landscape = formula(lambda t: 0.5 * t @ matrix @ t, [0.0, 0.0, 0.0])
    surface = plane_scan(landscape, eigen_directions(exact_pairs(matrix, 3), (0, 2)), points=3)
    assert surface.loss.tolist() == [[1, -1.5, 1], [2.5, 0, 2.5], [1, -1.5, 1]]
    assert surface.labels == ("eigenvector 1 (λ = 5)", "eigenvector 3 (λ = -3)")


def test_rows_are_not_sheared_against_each_other():
    """Walking back and forth, a peer shifts every other row by a cell; here all rows of L = f(x) are the same."""
    landscape = formula(lambda t: t[0] ** 3 + 2 * t[0], [0.5, -1.0])
    surface = plane_scan(landscape, EYE, points=(6, 5))
    assert bool((surface.loss == surface.loss[0]).all())
    turned = plane_scan(landscape, EYE.flip(1), points=(5, 6))
    assert torch.equal(turned.loss, surface.loss.mT)


def test_corners_and_centre_are_direct_evaluations_of_a_network():
    """A peer never evaluates the point itself."""
    landscape = g2()
    directions = random_directions(landscape)
    surface = plane_scan(landscape, directions, points=(3, 5), span=((-0.5, 0.5), (-2.0, 2.0)))
    for i, y in ((0, -2.0), (1, 0.0), (2, 2.0)):
        for j, x in ((0, -0.5), (2, 0.0), (4, 0.5)):
            theta = landscape.theta + x * directions.vectors[:, 0] + y * directions.vectors[:, 1]
            assert float(surface.loss[i, j]) == pytest.approx(landscape.loss(theta), rel=1e-14), (i, j)


def test_metrics_have_the_shape_of_the_surface():
    landscape = g2()
    surface = plane_scan(landscape, random_directions(landscape), points=(2, 3))
    assert surface.metrics["accuracy"].shape == (2, 3)
    corner = landscape.theta + surface.x[2] * random_directions(landscape).vectors[:, 0]
    corner = corner + surface.y[0] * random_directions(landscape).vectors[:, 1]
    assert float(surface.metrics["accuracy"][0, 2]) == landscape.evaluate(corner).metrics["accuracy"].value


def test_cells_that_are_not_finite_stay_so_and_their_neighbours_are_right():
    landscape = formula(lambda t: t[0].log() + t[1], [1.0, 0.0])
    surface = plane_scan(landscape, EYE, points=(2, 3), span=((-2.0, 2.0), (0.0, 1.0)))
    assert surface.loss.isnan().tolist() == [[True, False, False]] * 2
    assert surface.nonfinite == 2
    assert surface.loss[1, 1:].tolist() == pytest.approx([1, 1 + math.log(3)])


def test_directions_of_another_origin_have_names_of_their_own():
    surface = plane_scan(skew(), EYE, points=2)
    assert surface.labels == ("first direction", "second direction")
    named = Directions(EYE, ("up", "right"), (1.0, 1.0))
    assert plane_scan(skew(), named, points=2).labels == ("up", "right")


def test_progress_is_reported():
    reporter = Reporter()
    plane_scan(skew(), EYE, points=(2, 3), progress=reporter)
    assert (reporter.stages, reporter.done) == ([("surface", 6)], 6)


def test_the_landscape_and_the_model_stay_where_they_are():
    model = cnn()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(3, 1, 6, 6), classes(3))])
    theta, directions = landscape.theta, random_directions(landscape)
    with unchecked(), unchanged(model):
        plane_scan(landscape, directions, points=3)
    assert torch.equal(landscape.theta, theta)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"directions": torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)},
            r"directions: expected two that are orthogonal, got cosine 0\.707\. Take from the second its part along",
        ),
        ({"directions": EYE[:, :1]}, r"directions: expected 2 of them, shape \(2, 2\), got 1"),
        ({"directions": EYE * torch.tensor([1.0, 0.0])}, r"directions: .* not zero, got length 0 in column 1"),
        ({"directions": torch.eye(3, dtype=torch.float64)[:, :2]}, r"directions: expected shape \(2,\) or \(2, k\)"),
        ({"directions": EYE, "points": 1}, r"points: expected at least 2, got 1"),
        ({"directions": EYE, "points": (3, 1)}, r"points: expected at least 2, got 1"),
        ({"directions": EYE, "span": (1.0, 1.0)}, r"span: expected two finite numbers"),
        (
            {"directions": EYE, "span": ((0.0, 1.0), 2.0)},
            r"span: expected \(first, last\), or such a pair for each of 2 ",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        plane_scan(skew(), **arguments)

"""Projections of planted trajectories, in closed form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formula import formula
from tests.golden import g1
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import Directions, plane_scan, plane_through, principal_directions, project, random_directions

EYE = torch.eye(3, dtype=torch.float64)
# A helix: two coordinates in the plane, one along its axis.
TURN = torch.arange(8, dtype=torch.float64) * math.pi / 4
HELIX = torch.stack([2 * TURN.cos(), 2 * TURN.sin(), TURN], dim=1)


def test_a_helix_from_above():
    found = project(HELIX, EYE[:, :2], torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found.coordinates, torch.stack([2 * TURN.cos() - 1, 2 * TURN.sin()], dim=1))
    torch.testing.assert_close(found.residuals, (TURN - 0.5).abs())
    along = float((TURN - TURN.mean()).square().mean())
    assert found.share == pytest.approx(4 / (4 + along))
    assert str(found) == f"8 points: plane holds {400 / (4 + along):.3g} % of the variance; off the plane by up to 5"
    assert found.labels == ("first direction", "second direction")


def test_coefficients_are_those_of_directions_of_any_length_and_angle():
    frame = torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    found = project(HELIX, frame, 0 * EYE[0])
    back = found.coordinates @ frame.mT
    torch.testing.assert_close(back[:, :2], HELIX[:, :2])
    torch.testing.assert_close(found.residuals, TURN)
    assert found.norms == pytest.approx((2, math.sqrt(2)))


@settings(max_examples=25)
@given(st.integers(3, 20), st.integers(2, 6), st.integers(0, 2**31))
def test_it_is_the_nearest_point_of_the_plane(size, count, seed):
    """The residual is orthogonal to the plane, and Pythagoras holds."""
    source = torch.Generator().manual_seed(seed)
    points = torch.randn(count, size, dtype=torch.float64, generator=source)
    frame = torch.randn(size, 2, dtype=torch.float64, generator=source)
    origin = torch.randn(size, dtype=torch.float64, generator=source)
    found = project(points, frame, origin)
    rest = points - origin - found.coordinates @ frame.mT
    assert float((rest @ frame).abs().max()) < 1e-10
    torch.testing.assert_close(rest.norm(dim=1), found.residuals, rtol=1e-10, atol=1e-12)
    assert 0 <= found.share <= 1 + 1e-15


def test_the_share_is_that_of_the_principal_components():
    points = torch.randn(9, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    directions = principal_directions(points, 2)
    assert project(points, directions, points[-1]).share == pytest.approx(sum(directions.shares))
    last = principal_directions(points, 2, about="last")
    assert float(project(points, last, points[-1]).residuals[-1]) == 0


def test_losses_there_and_at_the_projection():
    """L = z²: the plane z = 0 shows none of it. This is what users take for a wrong picture."""
    landscape = formula(lambda t: t[2] ** 2, [0.0, 0.0, 0.0])
    found = project(HELIX, EYE[:, :2], landscape, landscape=landscape)
    torch.testing.assert_close(found.loss, TURN**2)
    assert not found.projected_loss.any()
    assert found.cost.losses == 16


def test_the_loss_at_a_projection_is_that_of_the_surface_there():
    landscape = g1()
    directions = random_directions(landscape)
    points = [landscape.theta + s * landscape.space.randn() for s in (0.0, 0.1)]
    found = project(points, directions, landscape, landscape=landscape)
    (x, y) = found.coordinates[1].tolist()
    surface = plane_scan(landscape, directions, points=2, span=((x, x + 1), (y, y + 1)))
    assert float(surface.loss[0, 0]) == pytest.approx(float(found.projected_loss[1]), rel=1e-12)
    assert float(found.loss[0]) == landscape.loss() == pytest.approx(float(found.projected_loss[0]), rel=1e-12)


def test_a_loss_that_is_not_finite_is_nan_there():
    landscape = formula(lambda t: t[0].log(), [1.0, 0.0])
    found = project([landscape.theta, -landscape.theta], torch.eye(2).double(), landscape, landscape=landscape)
    assert found.loss.isnan().tolist() == [False, True]


def test_small_residuals_are_right_beside_large_points():
    base = torch.full((200,), 1e3, dtype=torch.float64)
    frame = torch.linalg.qr(torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    point = base + 1e4 * frame[:, 0] + 1e-7 * frame[:, 2]
    assert float(project([point], frame[:, :2], base).residuals[0]) == pytest.approx(1e-7, rel=1e-3)


def test_points_that_are_all_the_same_have_no_share():
    found = project(HELIX[[0, 0]], EYE[:, :2], HELIX[1])
    assert found.share is None
    assert str(found) == "2 points: the points are all the same, off the plane by 0.785"


def test_spans_hold_all_points():
    found = project(HELIX, EYE[:, :2], 0 * EYE[0])
    (left, right), (low, high) = found.spans(0.1)
    assert (left, right, low, high) == pytest.approx((-2.4, 2.4, -2.4, 2.4))
    flat = project(HELIX[:, [0, 0, 2]] * torch.tensor([1.0, 0.0, 1.0]), EYE[:, :2], 0 * EYE[0])
    assert flat.spans(0.1)[1] == pytest.approx((-0.4, 0.4)), "an axis without an extent has that of the other"


def test_progress_is_reported():
    reporter, landscape = Reporter(), g1()
    project([landscape], random_directions(landscape), landscape, landscape=landscape, progress=reporter)
    assert (reporter.stages, reporter.done) == ([("points and their projections", 2)], 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((HELIX, EYE[:, :2]), r"origin: expected where the coefficients are zero"),
        ((HELIX, EYE[:2, :2], HELIX[0]), r"directions: expected shape \(3,\) or \(3, k\), got \(2, 2\)"),
        ((HELIX, EYE[:, :2], HELIX[0, :2]), r"origin: expected shape"),
        ((HELIX, EYE[:, :2].float(), HELIX[0]), r"directions: expected torch\.float64 on cpu, got torch\.float32"),
        ((HELIX, EYE[:, [0, 0]], HELIX[0]), r"expected independent ones, but column 0 and column 1 are parallel"),
        (
            (HELIX, Directions(EYE[:, [0, 0]], ("gradient", "update"), (1.0, 1.0)), HELIX[0]),
            r"expected independent ones, but gradient and update are parallel",
        ),
        ((HELIX, 0 * EYE[:, :2], HELIX[0]), r"directions: expected vectors that are not zero, got 2 zero"),
        ((HELIX, plane_through(HELIX[:3]), HELIX[0]), r"origin: expected None with a plane"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        project(*arguments)


def test_names_are_one_a_point():
    with pytest.raises(ArgumentError, match="names: expected 8, one a point, got 1"):
        project(HELIX, EYE[:, :2], HELIX[0], names=("A",))

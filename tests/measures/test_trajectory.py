"""Subspaces, confinement in them, and paths, by hand and against their null laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from tests.exact_pairs import diagonal, exact_pairs
from tests.landscape.models import randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError

DOUBLE = torch.float64
EYE = torch.eye(4, dtype=DOUBLE)


def orthonormal(size: int, k: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(randn(size, k, seed=seed)).Q


# ------------------------------------------------------------------ two subspaces


def test_a_plane_that_turns():
    """span(e₁, e₂) against span(e₁, cos φ e₂ + sin φ e₃): angles 0 and φ."""
    for turn in (1e-9, 1e-4, 0.3, math.pi / 2):
        other = torch.stack([EYE[0], math.cos(turn) * EYE[1] + math.sin(turn) * EYE[2]], dim=1)
        found = tw.subspace_overlap(EYE[:, :2], other)
        assert found.angles.tolist() == pytest.approx([0, turn], rel=1e-6, abs=1e-15)
        assert found.overlap == pytest.approx((1 + math.cos(turn) ** 2) / 2)
    assert found.null_mean == 0.5
    assert str(found) == "overlap 0.5 (random subspaces: 0.5 ± 0.2)"


@given(st.integers(2, 12), st.integers(0, 2**31), st.data())
def test_an_overlap_belongs_to_the_subspaces(size, seed, data):
    k, m = data.draw(st.integers(1, size)), data.draw(st.integers(1, size))
    one, other = orthonormal(size, k, seed), orthonormal(size, m, seed + 1)
    found = tw.subspace_overlap(one, other)
    assert 0 <= found.overlap <= 1
    assert found.angles.shape == (min(k, m),)
    assert float(found.angles.cos().square().mean()) == pytest.approx(found.overlap, abs=1e-12)
    assert bool((found.angles.diff() >= 0).all())
    turned = tw.subspace_overlap(other @ orthonormal(m, m, seed + 2), one)
    torch.testing.assert_close(turned.angles, found.angles, atol=1e-7, rtol=0)
    assert turned.overlap == pytest.approx(found.overlap, abs=1e-12)
    # Both lie in the whole space.
    assert tw.subspace_overlap(one, torch.eye(size, dtype=DOUBLE)).overlap == pytest.approx(1)


def test_the_null_law_of_subspaces():
    """400 pairs of 3 and 5 of 20 dimensions: mean 5/20, and the spread that is said."""
    found = [tw.subspace_overlap(orthonormal(20, 3, 2 * i), orthonormal(20, 5, 2 * i + 1)) for i in range(400)]
    overlaps = np.array([each.overlap for each in found])
    assert found[0].null_mean == 0.25
    assert abs(overlaps.mean() - 0.25) < 4 * found[0].null_sd / 20
    assert overlaps.std() == pytest.approx(found[0].null_sd, rel=0.12)


def test_one_direction_has_the_law_of_a_share():
    """k = 10 of P = 1000: variance 1.97604790e−5."""
    found = tw.subspace_overlap(orthonormal(1000, 10, 1), orthonormal(1000, 1, 2))
    assert (found.null_mean, found.null_sd**2) == (0.01, pytest.approx(1.97604790e-5, rel=1e-8))


def test_eigenpairs_are_bases():
    pairs = exact_pairs(diagonal(4, 3, 2, 1), 2)
    assert tw.subspace_overlap(pairs, EYE[:, :2]).overlap == pytest.approx(1)
    assert tw.subspace_overlap(pairs, EYE[:, 2:]).overlap == pytest.approx(0)


def test_single_precision_sees_small_angles():
    one = orthonormal(500, 3, 0).float()
    assert float(tw.subspace_overlap(one, one).angles.max()) < 1e-6


def test_drift():
    bases = [EYE[:, :2], EYE[:, [0, 2]], EYE[:, [0, 1, 2]]]
    found = tw.subspace_drift(bases)
    expected = torch.tensor([[1, 0.5, 1], [0.5, 1, 1], [1, 1, 1]], dtype=DOUBLE)
    torch.testing.assert_close(found.overlaps, expected)
    assert found.successive().tolist() == [0.5, 1]
    assert found.with_first().tolist() == [1, 0.5, 1]
    assert found.null_mean.tolist() == [[0.5, 0.5, 0.75], [0.5, 0.5, 0.75], [0.75, 0.75, 0.75]]
    assert str(found) == (
        "overlap of 3 subspaces with the next 0.75 on average, of the first with the last 1 (random: 0.75)"
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (2 * EYE, EYE, "first: expected orthonormal columns"),
        (EYE, EYE[:3, :3], "second: expected vectors of 4 entries of torch.float64 on cpu, as the first, got 3"),
        (EYE, EYE.float(), "second: .* got 4 of torch.float32"),
        (EYE[:2], EYE, r"first: expected eigenpairs or columns of shape \(P, k\), 1 <= k <= P, got \(2, 4\)"),
        (EYE, [1, 2], "second: expected eigenpairs or columns .* got list"),
        (EYE, exact_pairs(EYE, 1).without_vectors(), "second: expected eigenpairs with vectors, got some without"),
    ],
)
def test_bad_bases_are_named(first, second, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.subspace_overlap(first, second)


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        ([EYE], "bases: expected a sequence of at least 2, got 1"),
        (EYE, "bases: expected a sequence of at least 2, got Tensor"),
        ([EYE, EYE[:3, :3]], r"bases\[1\]: expected vectors of 4 entries"),
        ([EYE, 2 * EYE], r"bases\[1\]: expected orthonormal columns"),
    ],
)
def test_bad_lists_of_bases_are_named(bases, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.subspace_drift(bases)


# ------------------------------------------------------------------ confinement


def test_confinement_by_hand():
    """An oscillation along e₁ and a slow way along e₂: much of the path, nothing of the displacement."""
    points = torch.tensor([[0, 0, 0, 0], [3, 1, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0]], dtype=DOUBLE)
    found = tw.confinement(points, EYE[:, :1])
    assert found.displacement == 0
    assert found.displacement_p == 1
    assert found.path == pytest.approx(0.9)
    assert found.updates == (pytest.approx(0.9), pytest.approx(0.9), None)
    assert (found.null_mean, found.null_sd) == (0.25, pytest.approx(math.sqrt(2 * 3 / (16 * 6))))
    assert found.gradients is None
    gradients = torch.tensor([[3, 4, 0, 0], [0, 0, 0, 0]], dtype=DOUBLE)
    assert tw.confinement(points, EYE[:, :1], gradients=gradients).gradients == (pytest.approx(0.36), None)
    assert str(found) == "0 of the displacement in the subspace (a random direction: 0.25 ± 0.2)"


def test_confinement_of_random_directions():
    """200 random displacements have uniform p-values, and the mean k/P."""
    basis = orthonormal(40, 4, 0)
    found = [tw.confinement([torch.zeros(40, dtype=DOUBLE), randn(40, seed=i)], basis) for i in range(1, 201)]
    p_values = np.array([each.displacement_p for each in found])
    assert abs(p_values.mean() - 0.5) < 4 / math.sqrt(12 * 200)
    shares = np.array([each.displacement for each in found])
    assert abs(shares.mean() - 0.1) < 4 * found[0].null_sd / math.sqrt(200)
    assert shares.std() == pytest.approx(found[0].null_sd, rel=0.2)


def test_gradient_descent_stays_where_the_gradient_is():
    """On a quadratic of two directions with curvature, all is in their span."""
    curvature = diagonal(4, 1, 0, 0)
    theta = torch.ones(4, dtype=DOUBLE)
    points = [theta]
    for _ in range(10):
        points.append(points[-1] - 0.3 * curvature @ points[-1])
    found = tw.confinement(points, exact_pairs(curvature, 2))
    assert found.displacement == pytest.approx(1)
    assert found.path == pytest.approx(1)
    everything = tw.confinement(points, EYE)
    assert (everything.displacement, everything.displacement_p) == (pytest.approx(1), 1)


def test_a_closed_path_has_no_displacement():
    found = tw.confinement(torch.stack([EYE[0], EYE[1], EYE[0]]), EYE[:, :1])
    assert (found.displacement, found.displacement_p) == (None, None)
    assert found.path == pytest.approx(0.5)
    assert str(found) == "displacement in the subspace undefined: the end is the start"
    still = tw.confinement(torch.stack([EYE[0], EYE[0]]), EYE[:, :1])
    assert (still.path, still.updates) == (None, (None,))


def test_gradients_of_another_size_are_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"gradients\[0\]: expected 4 entries .* got 3"):
        tw.confinement(torch.zeros(2, 4, dtype=DOUBLE), EYE[:, :2], gradients=torch.zeros(2, 3, dtype=DOUBLE))


def test_a_basis_of_another_size_is_named():
    with unchecked(), pytest.raises(ArgumentError, match="basis: expected vectors of length P = 4, got 3"):
        tw.confinement(torch.zeros(2, 4, dtype=DOUBLE), EYE[:3, :2])


# ------------------------------------------------------------------ paths


def test_a_path_by_hand():
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [3.0, 4.0], [3.0, 0.0]], dtype=DOUBLE)
    gradients = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, -2.0], [0.0, 0.0], [1.0, 0.0]], dtype=DOUBLE)
    found = tw.trajectory(points, gradients)
    assert found.from_start.tolist() == [0, 3, 5, 5, 3]
    assert found.update_lengths.tolist() == [3, 4, 0, 4]
    assert found.update_angles == (pytest.approx(math.pi / 2), None, None)
    assert found.length == 11
    assert found.efficiency == pytest.approx(3 / 11)
    assert found.gradient_norms.tolist() == [1, 2, 2, 0, 1]
    assert found.gradient_angles == (pytest.approx(math.pi / 2), pytest.approx(math.pi), None, None)
    values = torch.linalg.eigvalsh(torch.cov(points.mT)).flip(0)
    expected = values / values.sum()
    assert found.explained[:2].tolist() == pytest.approx(expected.tolist())
    assert found.explained[2:].tolist() == pytest.approx([0, 0], abs=1e-12)
    assert found.dimension == pytest.approx(1 / float(expected.square().sum()))


def test_a_straight_path():
    found = tw.trajectory(torch.arange(5, dtype=DOUBLE)[:, None] * EYE[:1])
    assert found.efficiency == 1
    assert found.update_angles == (0, 0, 0)
    assert found.dimension == pytest.approx(1)
    assert (found.gradient_norms, found.gradient_angles) == (None, None)


def test_a_random_walk_has_its_null():
    """1000 steps in 30,000 dimensions would be 5/2 and 6/π²; 60 steps in 20,000 are close to their own."""
    steps = torch.randn(60, 20_000, generator=torch.Generator().manual_seed(0))
    found = tw.trajectory(steps.cumsum(dim=0))
    torch.testing.assert_close(found.explained[:5], found.null_explained[:5], rtol=0.03, atol=1e-4)
    assert found.dimension == pytest.approx(found.null_dimension, rel=0.02)
    assert sum(found.update_angles) / len(found.update_angles) == pytest.approx(math.pi / 2, abs=0.01)


def test_the_null_tends_to_the_limits_of_antognini_and_sohl_dickstein():
    found = tw.trajectory(torch.randn(1500, 2, generator=torch.Generator().manual_seed(0)))
    assert float(found.null_explained[0]) == pytest.approx(6 / math.pi**2, rel=2e-3)
    assert found.null_dimension == pytest.approx(2.5, rel=2e-3)
    assert float(found.null_explained.sum()) == pytest.approx(1)


def test_the_null_is_that_of_the_centred_walk():
    """Eigenvalues of the covariance of min(i, j), centred."""
    count = 7
    walk = torch.minimum(torch.arange(count)[:, None], torch.arange(count)[None]).double()
    centred = walk - walk.mean(dim=0) - walk.mean(dim=1, keepdim=True) + walk.mean()
    values = torch.linalg.eigvalsh(centred).flip(0)[: count - 1]
    found = tw.trajectory(randn(count, 3))
    torch.testing.assert_close(found.null_explained, values / values.sum())


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 2**31))
def test_the_meter_sees_what_the_list_sees(count, size, seed):
    points, gradients = randn(2, count, size, seed=seed)
    meter = tw.TrajectoryMeter()
    for point, gradient in zip(points, gradients, strict=True):
        meter.add(point, gradient)
    live, whole = meter.read(), tw.trajectory(list(points), list(gradients))
    assert live.from_start.tolist() == whole.from_start.tolist()
    assert live.update_angles == whole.update_angles
    assert live.gradient_angles == whole.gradient_angles
    assert live.dimension is None
    assert whole.dimension is not None
    assert 0 <= whole.efficiency <= 1
    assert 1 - 1e-9 <= whole.dimension <= min(count - 1, size) + 1e-9
    # A turn of space and a shift change nothing.
    turn = orthonormal(size, size, seed % 1000)
    moved = tw.trajectory(points @ turn + 3, gradients @ turn)
    assert moved.length == pytest.approx(whole.length)
    assert moved.dimension == pytest.approx(whole.dimension, rel=1e-6)
    torch.testing.assert_close(moved.gradient_norms, whole.gradient_norms)


def test_the_meter_keeps_copies():
    """A parameter that is trained on is not the point that was given."""
    theta, meter = torch.nn.Parameter(torch.zeros(2, dtype=DOUBLE)), tw.TrajectoryMeter()
    for _ in range(3):
        meter.add(theta)
        with torch.no_grad():
            theta += 1
    assert meter.read().length == pytest.approx(2 * math.sqrt(2))


def test_tiny_steps_far_from_zero():
    """Differences first: steps of 1e−3 at a distance of 1e3 in single precision."""
    steps = 1e-3 * torch.arange(6).float()[:, None] * torch.ones(1, 300)
    found = tw.trajectory(1e3 + steps)
    assert found.dimension == pytest.approx(1, abs=1e-6)


def test_points_that_are_all_the_same():
    found = tw.trajectory(torch.ones(3, 4))
    assert (found.efficiency, found.dimension, found.explained, found.null_dimension) == (None,) * 4
    assert str(found) == "3 points that are all the same"


def test_words():
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    assert str(tw.trajectory(points)) == "distance 5 by a path of 7, effective dimension 1.53 (a random walk: 1.6)"
    meter = tw.TrajectoryMeter()
    for point in points:
        meter.add(point)
    assert str(meter.read()) == "distance 5 by a path of 7"


@pytest.mark.parametrize(
    ("points", "gradients", "message"),
    [
        (torch.zeros(1, 3), None, "checkpoints: expected at least 2 vectors, got 1"),
        (torch.zeros(3), None, r"checkpoints: expected a tensor of shape \(T, P\) .* got shape \(3,\)"),
        (3, None, "checkpoints: .* got int"),
        ([torch.zeros(3), torch.zeros(2)], None, r"checkpoints\[1\]: expected 3 entries .* as checkpoints\[0\], got 2"),
        ([torch.zeros(3), torch.zeros(3).double()], None, r"checkpoints\[1\]: .*got 3 of torch.float64"),
        ([torch.zeros(3), torch.zeros(1, 3)], None, r"checkpoints\[1\]: expected a vector .* got .* shape \(1, 3\)"),
        ([torch.zeros(3), [0, 0, 0]], None, r"checkpoints\[1\]: expected a vector .* got list"),
        (torch.tensor([[0.0], [math.nan]]), None, r"checkpoints\[1\]: expected finite entries"),
        (torch.zeros(3, 2), torch.zeros(2, 2), "gradients: expected 3, one a checkpoint, got 2"),
        (torch.zeros(3, 2), torch.zeros(3, 4), "gradient: expected 2 entries .* as the first point, got 4"),
    ],
)
def test_bad_paths_are_named(points, gradients, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.trajectory(points, gradients)


def test_a_meter_that_cannot_tell_yet():
    meter = tw.TrajectoryMeter()
    with pytest.raises(ArgumentError, match="theta: expected at least 2 points before reading, got 0"):
        meter.read()
    meter.add(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ArgumentError, match="got 1"):
        meter.read()
    with pytest.raises(ArgumentError, match="gradient: expected one at every point or at none"):
        meter.add(torch.ones(2))
    with pytest.raises(ArgumentError, match=r"theta: expected 2 entries .* as the first one, got 3"):
        meter.add(torch.ones(3), torch.ones(3))
    meter.add(torch.ones(2), torch.ones(2))
    assert meter.read().gradient_angles == (None,)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, 1e20), (torch.float32, 1e-25), (torch.float64, 1e200), (torch.float64, 1e-200)],
)
def test_lengths_whose_squares_are_no_numbers_of_the_type(dtype, scale):
    points = torch.tensor([[0, 0], [3, 0], [3, 4]], dtype=dtype) * scale
    inside = tw.confinement(points, torch.eye(2, dtype=dtype)[:, :1])
    assert inside.displacement == pytest.approx(0.36)
    assert inside.path == pytest.approx(0.36)
    assert inside.updates == pytest.approx((1.0, 0.0))
    found = tw.trajectory(points, points[[1, 2, 1]])
    assert found.length == pytest.approx(7 * scale)
    assert found.efficiency == pytest.approx(5 / 7)
    assert found.update_angles == pytest.approx((math.pi / 2,))
    assert found.gradient_angles == pytest.approx((math.acos(0.6),) * 2)
    assert found.dimension == pytest.approx(1.52811735941, rel=1e-9)


def test_distances_that_are_no_numbers_are_refused():
    with pytest.raises(ArgumentError, match="points: expected distances below 1e"):
        tw.trajectory(torch.tensor([[1.5e308], [-1.5e308]], dtype=torch.float64))

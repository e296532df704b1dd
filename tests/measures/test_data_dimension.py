"""Dimensions of data: laws in closed form, coverage, and what no dimension can be told of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import spatial, stats

import thalweg as tw
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DataError, MemoryBudgetError
from thalweg.measures import _points, data_participation_ratio, two_nn

DOUBLE = torch.float64


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def embedded(points: torch.Tensor, features: int, seed: int = 99) -> torch.Tensor:
    """In more dimensions, turned at random."""
    frame = torch.linalg.qr(torch.randn(features, points.shape[1], generator=seeded(seed), dtype=DOUBLE)).Q
    return points @ frame.mT + 3


def sphere(count: int, dimension: int, seed: int) -> torch.Tensor:
    points = torch.randn(count, dimension + 1, generator=seeded(seed), dtype=DOUBLE)
    return points / points.norm(dim=1, keepdim=True)


# ---------------------------------------------------------------------- two nearest neighbours


def likelihood(points: np.ndarray, discard: float) -> float:
    """The estimate by SciPy's tree, one point after another."""
    distances, _ = spatial.cKDTree(points).query(points, k=3)
    logs = np.sort(np.log(distances[:, 2] / distances[:, 1]))
    kept = math.floor(len(logs) * (1 - discard))
    return kept / (logs[:kept].sum() + (len(logs) - kept) * logs[kept - 1])


@pytest.mark.parametrize("discard", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("dimension", [1, 3])
def test_two_nn_is_the_censored_likelihood(discard, dimension):
    points = embedded(torch.rand(300, dimension, generator=seeded(1), dtype=DOUBLE), 6)
    found = two_nn(points, discard=discard)
    assert found.value == pytest.approx(likelihood(points.numpy(), discard), rel=1e-10)
    assert found.fitted == math.floor(300 * (1 - discard))
    assert (found.points, found.features, found.repeated, found.corrected) == (300, 6, 0, None)
    # Never less than Fisher's error, which takes neighbours for independent.
    assert found.standard_error >= found.value / math.sqrt(found.fitted)


def test_distances_are_those_of_the_points_far_from_the_origin():
    """The order comes from inner products, whose rounding must not matter: 1e-6 apart at a distance of 1e3."""
    points = 1e3 + 1e-6 * torch.rand(200, 2, generator=seeded(0), dtype=DOUBLE)
    assert two_nn(points).value == pytest.approx(likelihood(points.numpy() - 1e3, 0.1), rel=1e-3)


def test_blocks_of_points_change_nothing(monkeypatch):
    points = torch.rand(120, 3, generator=seeded(1))
    whole = two_nn(points)
    monkeypatch.setattr("thalweg.measures._two_nn._BLOCK", 700)
    assert two_nn(points).value == pytest.approx(whole.value, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_two_nn_does_not_see_scale_shift_order_or_embedding(scale, seed):
    points = torch.rand(60, 2, generator=seeded(seed), dtype=DOUBLE)
    moved = embedded(scale * points[torch.randperm(60, generator=seeded(seed))], 5, seed)
    first, second = two_nn(points), two_nn(moved)
    assert second.value == pytest.approx(first.value, rel=1e-6)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-5)


@pytest.mark.parametrize(("dimension", "runs"), [(1, 300), (2, 300), (3, 300), (5, 300)])
def test_intervals_of_two_nn_cover(dimension, runs):
    """On spheres, which have no edge. Fisher's error alone covers in 85 to 89 %."""
    found = [two_nn(embedded(sphere(500, dimension, seed), 10)) for seed in range(runs)]
    inside = sum(low < dimension < high for low, high in (one.interval() for one in found))
    # 95 % asked for; the estimate is biased by a few parts in a thousand, and the error by a tenth.
    assert stats.binom.cdf(inside, runs, 0.92) > 0.01
    spread = float(torch.tensor([one.value for one in found]).std())
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.15 + 2 / math.sqrt(2 * runs))


def test_repeated_points():
    points = torch.rand(50, 2, generator=seeded(0))
    twice = torch.cat([points, points[:7]])
    with pytest.raises(
        DataError, match=r"points: expected no point twice, got 7 repetitions among 57, .* duplicates='drop'"
    ):
        two_nn(twice)
    found = two_nn(twice, duplicates="drop")
    assert found.repeated == 7
    assert found.value == pytest.approx(two_nn(points).value, rel=1e-12)
    with pytest.raises(DataError, match=r"points: expected at least 10 that differ, got 1"):
        two_nn(torch.ones(20, 3), duplicates="drop")


def test_a_grid_has_no_ratios():
    grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0))
    with pytest.raises(DataError, match=r"points: expected neighbours at several distances, got equal ones"):
        two_nn(grid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discard": 1.0}, r"discard: expected a number in \[0, 1\), got 1\.0"),
        ({"discard": -0.1}, r"discard: expected a number in \[0, 1\), got -0\.1"),
        ({"duplicates": "keep"}, r"duplicates: expected 'refuse' or 'drop', got 'keep'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        two_nn(torch.rand(20, 2), **arguments)


# ---------------------------------------------------------------------- the participation ratio


def plain(points: torch.Tensor) -> float:
    eigenvalues = np.linalg.eigvalsh(np.cov(points.double().numpy().T).reshape(points.shape[1], -1))
    return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()


@pytest.mark.parametrize(("count", "features"), [(50, 4), (10, 40), (12, 12), (30, 1)])
def test_the_ratio_through_either_side(count, features):
    points = torch.randn(count, features, generator=seeded(0)) * torch.linspace(1, 2, features) + 5
    found = data_participation_ratio(points)
    assert found.value == pytest.approx(plain(points), rel=1e-9)
    assert (found.points, found.features) == (count, features)
    parts = data_participation_ratio(list(points.split(7)))
    assert parts.value == pytest.approx(found.value, rel=1e-12)
    assert parts.standard_error == pytest.approx(found.standard_error, rel=1e-9)
    assert found.value >= 1 - 1e-12


def test_images_pairs_and_landscapes_are_points():
    images, labels = torch.randn(20, 1, 3, 3, generator=seeded(0)), torch.zeros(20, 1)
    expected = data_participation_ratio(images.flatten(start_dim=1)).value
    assert data_participation_ratio(images).value == expected
    assert data_participation_ratio([(images[:5], labels[:5]), (images[5:], labels[5:])]).value == pytest.approx(
        expected
    )
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 1))
    landscape = tw.Landscape(model, tw.objectives.mse(), [(images, labels)])
    assert data_participation_ratio(landscape).value == expected
    assert two_nn(landscape).points == 20


@pytest.mark.parametrize(
    ("count", "features", "runs"),
    [
        (60, 30, 100),
        pytest.param(40, 100, 300, marks=pytest.mark.slow),
        pytest.param(200, 20, 300, marks=pytest.mark.slow),
    ],
)
def test_the_corrected_ratio_is_unbiased_and_its_intervals_cover(count, features, runs):
    """Gaussian points of known covariance; the plain ratio is far below."""
    variances = torch.linspace(1, 3, features, dtype=DOUBLE) ** 2
    truth = float(variances.sum() ** 2 / variances.square().sum())
    found = [
        data_participation_ratio(torch.randn(count, features, generator=seeded(s), dtype=DOUBLE) * variances.sqrt())
        for s in range(runs)
    ]
    values = torch.tensor([one.corrected for one in found])
    error = float(values.std()) / math.sqrt(runs)
    # A ratio of unbiased estimates is biased by the square of their relative error.
    assert abs(float(values.mean()) - truth) < 4 * error + truth * (float(values.std()) / truth) ** 2
    assert all(one.value < one.corrected for one in found)
    assert sum(one.value for one in found) / runs < truth - 3 * error
    inside = sum(low < truth < high for low, high in (one.interval() for one in found))
    assert stats.binom.cdf(inside, runs, 0.9) > 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 30), st.integers(1, 30), st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_the_ratio_is_between_one_and_the_rank_and_has_no_scale(count, features, scale, seed):
    points = torch.randn(count, features, generator=seeded(seed), dtype=DOUBLE)
    found = data_participation_ratio(points)
    assert 1 - 1e-9 <= found.value <= min(features, count - 1) * (1 + 1e-9)
    moved = data_participation_ratio(embedded(scale * points, features + 2, seed))
    assert moved.value == pytest.approx(found.value, rel=1e-6)


def test_it_prints():
    cross = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    found = data_participation_ratio(cross)
    assert str(found).endswith("(participation ratio, 4 points of 3 features)")
    with pytest.raises(ArgumentError, match=r"level: expected a number strictly between 0 and 1, got 1\.0"):
        found.interval(1.0)


# ---------------------------------------------------------------------- points


@pytest.mark.parametrize("measure", [data_participation_ratio, two_nn])
@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (torch.rand(3, 2), DataError, r"points: expected at least (4|10), got 3"),
        (torch.full((20, 2), math.nan), DataError, r"points: expected finite numbers"),
        (torch.ones(20, 2), DataError, r"points: expected (at least two that differ|no point twice)"),
        (torch.rand(20, 0), DataError, r"points: expected at least one number each, got none"),
        ([torch.rand(20, 2), torch.rand(20, 3)], DataError, r"points: expected 2 numbers each, got 3"),
        ([], DataError, r"points: expected at least (4|10), got 0"),
        (iter([torch.rand(20, 2)]), DataError, r"points: .* got an iterator\. Pass list\(points\)"),
        (torch.tensor(1.0), ArgumentError, r"points: expected tensors with a point along their first axis"),
        (torch.rand(20, 2, dtype=torch.complex64), ArgumentError, r"points: .* got complex numbers"),
        ([[1.0, 2.0]], ArgumentError, r"points: .* got float"),
        (3, ArgumentError, r"points: expected a tensor, batches or a landscape, got int"),
    ],
)
def test_bad_points_are_named(measure, points, error, message):
    with unchecked(), pytest.raises(error, match=message):
        measure(points)


@pytest.mark.parametrize("measure", [data_participation_ratio, two_nn])
def test_what_does_not_fit_is_refused(measure, monkeypatch):
    monkeypatch.setattr(_points, "free_bytes", lambda device: 100)
    with pytest.raises(MemoryBudgetError, match=r"points: expected to need at most the 1e-07 GB that are free"):
        measure(torch.rand(20, 12))


@pytest.mark.parametrize("scale", [2.0**660, 2.0**-660])
@pytest.mark.parametrize("measure", [two_nn, data_participation_ratio])
def test_units_do_not_matter_however_large_or_small(measure, scale):
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert measure(points * scale).value == pytest.approx(measure(points).value, rel=1e-12)
    assert measure(points * scale).standard_error == pytest.approx(measure(points).standard_error, rel=1e-9)

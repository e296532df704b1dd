"""Closed forms: rank, distances of means, covariance, the share of wrong labels, and the best error rate."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.data import gaussian
from thalweg.data._gaussian import _frame, _simplex
from thalweg.errors import ArgumentError


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(st.integers(2, 12), st.integers(0, 5))
def test_the_corners_are_equally_far_from_each_other(corners, more):
    points = _simplex(corners, corners - 1 + more)
    distances = torch.cdist(points, points)[~torch.eye(corners, dtype=torch.bool)]
    torch.testing.assert_close(distances, torch.ones_like(distances))
    torch.testing.assert_close(points.sum(dim=0), torch.zeros(corners - 1 + more, dtype=torch.float64))


def test_the_frame_is_orthonormal_and_leans_nowhere():
    frames = torch.stack([_frame(3, 2, seeded(seed)) for seed in range(2000)])
    torch.testing.assert_close(frames.mT @ frames, torch.eye(2, dtype=torch.float64).expand(2000, 2, 2))
    # Entries of a uniform frame have mean 0 and variance 1/d.
    assert (frames.mean(dim=0).abs() < 4 / math.sqrt(3 * 2000)).all()


@pytest.mark.parametrize(("dimension", "rank"), [(10, 10), (10, 4), (30, 2)])
def test_the_inputs_have_the_intrinsic_dimension(dimension, rank):
    data = gaussian(dimension, 200, 3, noise=0.0, separation=2.0, intrinsic_dimension=rank)
    values = torch.linalg.svdvals(data.train_inputs)
    assert data.train_inputs.shape == (200, dimension)
    assert values[rank - 1] > 1
    assert (values[rank:] < 1e-4).all()


def test_means_and_covariance_are_as_promised():
    data = gaussian(6, 60_000, 3, noise=0.0, separation=4.0, intrinsic_dimension=3, generator=seeded(1))
    inputs, targets = data.train_inputs.double(), data.train_targets
    means = torch.stack([inputs[targets == label].mean(dim=0) for label in range(3)])
    error = math.sqrt(3 / 20_000)  # of a mean of 20,000 points, all three directions together
    distances = torch.pdist(means)
    assert ((distances - 4).abs() < 4 * error).all()
    within = inputs - means[targets]
    values = torch.linalg.eigvalsh(within.mT @ within / len(within)).flip(0)
    torch.testing.assert_close(values[:3], torch.ones(3, dtype=torch.float64), rtol=0.03, atol=0)
    assert (values[3:].abs() < 1e-6).all()


def test_the_best_error_rate_is_that_of_two_gaussians():
    """The nearest mean errs with probability Φ(−separation/2)."""
    data = gaussian(5, 2, 2, noise=0.0, separation=2.0, test_samples=40_000)
    inputs, targets = data.test_inputs, data.test_targets
    means = torch.stack([inputs[targets == label].mean(dim=0) for label in range(2)])
    wrong = (torch.cdist(inputs, means).argmin(dim=1) != targets).float().mean()
    expected = stats.norm.cdf(-1.0)
    assert abs(float(wrong) - expected) < 4 * math.sqrt(expected * (1 - expected) / 40_000)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_wrong_labels(noise):
    clean, noisy = (gaussian(4, 20_000, 4, noise=share, separation=1.0) for share in (0.0, noise))
    assert torch.equal(clean.train_inputs, noisy.train_inputs)
    assert torch.equal(clean.test_targets, noisy.test_targets)
    wrong = noisy.train_targets != clean.train_targets
    assert abs(float(wrong.float().mean()) - noise) <= 4 * math.sqrt(noise * (1 - noise) / 20_000)
    shift = (noisy.train_targets - clean.train_targets)[wrong] % 4
    if noise:
        counts = shift.bincount(minlength=4)[1:]
        assert stats.chisquare(counts).pvalue > 1e-4


@given(st.integers(1, 60), st.integers(2, 5))
def test_classes_are_balanced(samples, classes):
    counts = gaussian(8, samples, classes, noise=0.0, separation=1.0).train_targets.bincount(minlength=classes)
    assert counts.max() - counts.min() <= 1


def test_the_generator_decides_everything(untouched_rng):
    def drawn(generator):
        return gaussian(4, 50, 2, noise=0.2, separation=1.0, generator=generator)

    default, zero, one = drawn(None), drawn(seeded(0)), drawn(seeded(1))
    assert torch.equal(default.train_inputs, zero.train_inputs)
    assert torch.equal(default.train_targets, zero.train_targets)
    assert not torch.equal(default.train_inputs, one.train_inputs)


def test_the_test_items_are_as_many_as_asked_for():
    assert len(gaussian(4, 50, 2, noise=0.0, separation=1.0).test_targets) == 50
    assert len(gaussian(4, 50, 2, noise=0.0, separation=1.0, test_samples=7).test_targets) == 7
    assert gaussian(4, 50, 2, noise=0.0, separation=1.0, test_samples=0).batches("test", 5) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, r"classes: expected at least 2, got 1\."),
        ({"samples": 0}, r"samples: expected at least 1, got 0\."),
        ({"test_samples": -1}, r"test_samples: expected at least 0, got -1\."),
        ({"intrinsic_dimension": 1}, r"intrinsic_dimension: expected from classes - 1 = 2 to dimension = 5, got 1\."),
        ({"intrinsic_dimension": 6}, r"intrinsic_dimension: expected .* to dimension = 5, got 6\."),
        ({"noise": 1.5}, r"noise: expected a probability in \[0, 1\], got 1\.5\."),
        ({"separation": -1.0}, r"separation: expected a finite number of at least 0, got -1\.0\."),
        ({"separation": math.inf}, r"separation: expected a finite number of at least 0, got inf\."),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"dimension": 5, "samples": 10, "classes": 3, "noise": 0.0, "separation": 1.0, **change}
    with pytest.raises(ArgumentError, match=message):
        gaussian(**arguments)

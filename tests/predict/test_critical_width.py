"""The critical width: planted laws, coverage of its intervals, and what it must not claim."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.predict import critical_width
from thalweg.predict._logistic import logistic

WIDTHS = [8, 16, 32, 64, 128]


def planted(seed, *, alpha=0.7, amplitude=3.0, spread=0.3, pairs=6, widths=WIDTHS, depths=None, beta=0.0):
    noise = np.exp(spread * np.random.default_rng(seed).normal(size=(len(widths), pairs)))
    deep = np.ones(len(widths)) if depths is None else np.array(depths)
    return amplitude * (np.array(widths, dtype=float) ** -alpha * deep**beta)[:, None] * noise


def test_a_law_without_noise_is_found():
    found = critical_width(WIDTHS, planted(0, spread=0.0).tolist(), 0.25)
    assert found.exponent == pytest.approx(0.7, rel=1e-12)
    assert found.amplitude == pytest.approx(3.0, rel=1e-12)
    assert found.width == pytest.approx((3 / 0.25) ** (1 / 0.7), rel=1e-10)
    assert found.barrier_at(found.width) == pytest.approx(0.25, rel=1e-10)
    assert (found.low, found.high) == pytest.approx((found.width, found.width), rel=1e-9)
    assert (found.extrapolated, found.lack_of_fit, found.depth_exponent) == (False, None, None)
    assert found.share.tolist() == [0, 0, 0, 1, 1]


def test_a_law_in_width_and_depth_is_found():
    widths, depths = [8, 32, 128] * 2, [2.0] * 3 + [8.0] * 3
    table = planted(0, spread=0.0, widths=widths, depths=depths, beta=0.4)
    found = critical_width(widths, table.tolist(), 0.25, depths=depths, depth=4.0)
    assert found.exponent == pytest.approx(0.7, rel=1e-12)
    assert found.depth_exponent == pytest.approx(0.4, rel=1e-11)
    assert found.width == pytest.approx((3 * 4**0.4 / 0.25) ** (1 / 0.7), rel=1e-10)
    assert found.barrier_at(found.width) == pytest.approx(0.25, rel=1e-10)
    assert found.logistic_width is None


def test_the_coefficients_are_those_of_ordinary_least_squares():
    """Rows with different numbers of pairs: numpy on all pairs is the twin."""
    table = planted(1)
    table[0, 2:] = math.nan
    found = critical_width(WIDTHS, table.tolist(), 0.25)
    rows, columns = np.nonzero(np.isfinite(table))
    slope, height = np.polyfit(np.log(np.array(WIDTHS, dtype=float))[rows], np.log(table[rows, columns]), 1)
    assert (-found.exponent, math.log(found.amplitude)) == pytest.approx((slope, height), rel=1e-10)


@pytest.mark.parametrize("pairs", [4, 10])
def test_the_intervals_cover_at_their_level(pairs):
    true, runs, level = (3 / 0.25) ** (1 / 0.7), 200, 0.9
    covered = {"width": 0, "exponent": 0}
    for seed in range(runs):
        found = critical_width(WIDTHS, planted(seed, pairs=pairs).tolist(), 0.25, level=level, resamples=400)
        covered["width"] += found.low <= true <= found.high
        covered["exponent"] += found.exponent_low <= 0.7 <= found.exponent_high
    for count in covered.values():
        assert stats.binom.cdf(count, runs, level) > 1e-3
        assert stats.binom.sf(count - 1, runs, level) > 1e-3


def test_beyond_the_widths_it_is_extrapolated_and_says_so():
    far = critical_width(WIDTHS, planted(0).tolist(), 0.01)
    assert far.extrapolated
    assert far.logistic_width is None
    assert "extrapolated from widths 8 to 128" in str(far)
    near = critical_width(WIDTHS, planted(0).tolist(), 0.25)
    assert near.extrapolated is near.logistic_extrapolated is False
    assert "extrapolated" not in str(near)


def test_barriers_that_do_not_fall_have_no_critical_width():
    rising = critical_width(WIDTHS, planted(0, alpha=-0.5).tolist(), 0.25)
    assert (rising.width, rising.low, rising.high, rising.extrapolated) == (None, None, None, None)
    assert rising.exponent < 0
    assert "barriers do not fall with the width" in str(rising)
    constant = critical_width(WIDTHS, [[0.5, 0.5]] * 5, 0.25)
    assert constant.width is None
    # Where the fall is within the noise, the interval has no upper end.
    weak = critical_width(WIDTHS, planted(5, alpha=0.02, spread=0.5).tolist(), 0.25)
    assert weak.high is None
    assert weak.exponent_low < 0


def test_a_bent_law_is_told_from_a_straight_one():
    n = np.array(WIDTHS, dtype=float)[:, None]
    noise = np.exp(0.05 * np.random.default_rng(0).normal(size=(5, 6)))
    bent = critical_width(WIDTHS, (3 * np.exp(-n / 40) * noise).tolist(), 0.25)
    assert bent.lack_of_fit < 1e-6
    assert bent.bent
    assert "no power law (lack of fit p = " in str(bent)
    assert str(bent).endswith(f"half of the pairs at {bent.logistic_width:.3g}")
    straight = critical_width(WIDTHS, planted(1).tolist(), 0.25)
    assert not straight.bent
    assert "power law" not in str(straight)
    p = [critical_width(WIDTHS, planted(seed).tolist(), 0.25, resamples=100).lack_of_fit for seed in range(100)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_barriers_of_zero_are_counted():
    table = planted(2)
    table[-1, 0], table[-1, 1] = 0.0, -0.01
    found = critical_width(WIDTHS, table.tolist(), 0.25)
    assert found.dropped == 2
    assert "2 barriers of 0 or less left out" in str(found)
    assert float(found.share[-1]) == 1


def test_half_of_the_pairs_below_the_threshold():
    """With symmetric noise in the logarithm both fits aim at the same width."""
    found = critical_width(WIDTHS, planted(3, pairs=200).tolist(), 0.25)
    true = (3 / 0.25) ** (1 / 0.7)
    assert found.logistic_low < true < found.logistic_high
    assert found.logistic_width == pytest.approx(true, rel=0.1)


def test_the_logistic_fit_maximises_the_penalised_likelihood():
    x, yes, total = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 3.0, 5.0]), np.full(4, 5.0)

    def loss(c):
        p = 1 / (1 + np.exp(-c[0] - c[1] * x))
        design = np.stack([np.ones(4), x], axis=1)
        information = design.T @ ((total * p * (1 - p))[:, None] * design)
        return -(yes * np.log(p) + (total - yes) * np.log1p(-p)).sum() - np.linalg.slogdet(information)[1] / 2

    best = optimize.minimize(loss, [0.0, 0.0], tol=1e-12).x
    found = logistic(x, yes, total)
    assert (found.intercept, found.slope) == pytest.approx(best.tolist(), abs=1e-4)
    low, high = found.interval(0.95)
    assert low < found.middle < high
    # Fieller: at the ends of the interval a + bm is 1.96 standard errors from 0.
    for m in (low, high):
        error = math.sqrt(np.array([1, m]) @ found.covariance @ np.array([1, m]))
        assert abs(found.intercept + found.slope * m) / error == pytest.approx(stats.norm.ppf(0.975))


def test_separated_pairs_have_a_finite_logistic_width_between_them():
    found = critical_width(WIDTHS, [[1.0] * 4, [0.9] * 4, [0.5] * 4, [0.2] * 4, [0.1] * 4], 0.3)
    assert 32 < found.logistic_width < 64
    assert logistic(np.ones(3), np.ones(3), np.full(3, 2.0)) is None


def test_a_slope_within_its_error_leaves_the_logistic_interval_unbounded():
    found = logistic(np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.array([5.0, 5.0]))
    assert found.interval(0.95) is None


def test_one_depth_is_no_further_unknown():
    table = torch.from_numpy(planted(0))
    found = critical_width(WIDTHS, table, 0.25, depths=[3.0] * 5)
    assert (found.depth, found.depth_exponent) == (3.0, None)
    assert found.width == critical_width(WIDTHS, table, 0.25).width


GOOD = planted(0).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: critical_width([8, 8], [[1.0], [1.0]], 0.1), r"widths: expected at least two different numbers"),
        (lambda: critical_width(WIDTHS, GOOD[:3], 0.1), r"barriers: expected shape \(5, pairs\), one row a width"),
        (lambda: critical_width([8, 16], [[1.0, math.inf], [1.0, 1.0]], 0.1), r"barriers: expected finite numbers or"),
        (lambda: critical_width([8, 16], [[math.nan], [1.0]], 0.1), r"barriers: expected finite numbers or NaN, with"),
        (lambda: critical_width([8, 16], [[0.0, 1.0], [1.0, 1.0]], 0.1), r"at least two positive ones in 2 different"),
        (lambda: critical_width(WIDTHS, GOOD, 0.0), r"threshold: expected a number above 0, got 0\.0"),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, level=0.0), r"level: expected a number strictly between"),
        (
            lambda: critical_width(WIDTHS, GOOD, 0.1, resamples=10),
            r"resamples: expected a whole number of at least 100",
        ),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, depths=[1.0]), r"depths: expected 5 numbers above 0, one a row"),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, depth=2.0), r"depth: expected none without depths, got one"),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, depths=[1, 1, 2, 2, 2]), r"depth: expected the depth that"),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, depths=[2.0] * 5, depth=3.0), r"depth: expected 2, the only one"),
        (lambda: critical_width(WIDTHS, GOOD, 0.1, depths=[2.0] * 5, depth=-1.0), r"depth: expected a number above 0"),
        (lambda: critical_width("wide", GOOD, 0.1), r"widths: expected numbers, got 'wide'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()

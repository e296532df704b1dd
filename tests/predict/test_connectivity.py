"""The variance rate of losses along paths, its law, and predictions held against outcomes."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.predict import critical_width, reliability, variance_rate, variance_rate_law
from thalweg.theory import connection_probability, rise_moment


def rises(count, rate, seed, distances=None):
    """Rises of Brownian bridges, drawn by inverting their law."""
    source = np.random.default_rng(seed)
    distances = source.uniform(1, 30, count) if distances is None else np.full(count, distances)
    return np.sqrt(rate * distances / 2 * source.exponential(size=count)).tolist(), distances.tolist()


def test_the_rate_by_hand():
    fit = variance_rate([1.0, 2.0], [2.0, 4.0])
    assert fit.rate == pytest.approx(2 * (0.5 + 1.0) / 2, rel=1e-14)
    assert (fit.count, fit.level) == (2, 0.95)
    assert fit.low < fit.rate < fit.high


def test_rises_of_the_mean_square_of_the_law_give_its_rate():
    x = [math.sqrt(rise_moment(2, r, 0.3)) for r in (1.0, 5.0, 9.0)]
    assert variance_rate(x, [1.0, 5.0, 9.0]).rate == pytest.approx(0.3, rel=1e-12)


@pytest.mark.parametrize("count", [2, 10])
def test_the_interval_covers_at_its_level(count):
    covered = 0
    for seed in range(300):
        fit = variance_rate(*rises(count, 0.4, seed), level=0.9)
        covered += fit.low <= 0.4 <= fit.high
    assert stats.binom.cdf(covered, 300, 0.9) > 1e-3
    assert stats.binom.sf(covered - 1, 300, 0.9) > 1e-3


def test_p_values_are_uniform_where_the_law_holds_and_small_where_it_does_not():
    p = [variance_rate(*rises(15, 0.4, seed)).p_value for seed in range(150)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    constant = variance_rate([1.0] * 30, [1.0] * 30)
    assert constant.p_value < 0.01


def test_the_law_of_the_rate_by_hand_and_its_interval():
    sizes = [100, 1000, 10_000, 100_000]
    exact = variance_rate_law(sizes, [variance_rate([d**-0.3] * 2, [2.0] * 2) for d in sizes])
    assert exact.exponent == pytest.approx(0.6, rel=1e-12)
    assert exact.prefactor == pytest.approx(1.0, rel=1e-11)
    assert exact.rate(1e6) == pytest.approx(1e6**-0.6, rel=1e-11)
    covered = 0
    for seed in range(150):
        fits = [variance_rate(*rises(8, 3 * d**-0.5, 10 * seed + i)) for i, d in enumerate(sizes)]
        law = variance_rate_law(sizes, fits, level=0.9)
        covered += law.exponent_low <= 0.5 <= law.exponent_high
    # Widening where the rates scatter makes the interval a little too long, never too short.
    assert stats.binom.cdf(covered, 150, 0.9) > 1e-3


def test_two_sizes_have_no_scatter():
    law = variance_rate_law([10, 100], [variance_rate([1.0, 1.0], [1.0, 1.0]), variance_rate([0.1, 0.1], [1.0, 1.0])])
    assert law.scatter is None
    assert law.exponent == pytest.approx(2.0)


def test_a_table_by_hand():
    found = reliability([0.05, 0.15, 0.12, 0.95], [False, True, False, True], bins=10)
    assert found.counts.tolist() == [1, 2, 1]
    assert found.predicted.tolist() == pytest.approx([0.05, 0.135, 0.95])
    assert found.observed.tolist() == [0.0, 0.5, 1.0]
    assert found.brier == pytest.approx((0.05**2 + 0.85**2 + 0.12**2 + 0.05**2) / 4)
    assert found.base_rate == 0.5
    assert found.skill == pytest.approx(1 - found.brier / 0.25)
    assert found.calibration_error == pytest.approx((0.05 + 2 * 0.365 + 0.05) / 4)
    # Clopper and Pearson: one of one has 0.025 as its lower end, none of one 0.975 as its upper end.
    assert found.low.tolist() == pytest.approx([0.0, stats.binomtest(1, 2).proportion_ci().low, 0.025])
    assert found.high.tolist() == pytest.approx([0.975, stats.binomtest(1, 2).proportion_ci().high, 1.0])


def test_a_model_that_is_right_is_calibrated_and_one_that_is_not_is_found_out():
    """Outcomes of bridges with the rate, and with four times the rate."""
    source = np.random.default_rng(1)
    distances = source.uniform(1, 20, 800)
    levels = source.uniform(0.5, 3, 800)
    p = connection_probability(levels, 0.2, 0.3, distances, 0.1)
    true = source.uniform(size=800) < p
    right = reliability(p.tolist(), true.tolist())
    wrong = reliability(connection_probability(levels, 0.2, 0.3, distances, 0.4).tolist(), true.tolist())
    assert right.p_value > 0.01
    assert ((right.low <= right.predicted) & (right.predicted <= right.high)).double().mean() > 0.8
    assert wrong.p_value < 1e-3
    assert wrong.chi_squared > 10 * right.chi_squared
    assert right.brier < wrong.brier
    assert right.calibration_error < 0.05 < wrong.calibration_error


def test_p_values_of_calibrated_predictions_are_uniform():
    source = np.random.default_rng(3)
    found = []
    for _ in range(60):
        p = source.uniform(size=40)
        found.append(reliability(p.tolist(), (source.uniform(size=40) < p).tolist(), bins=4).p_value)
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_chi_squared_by_hand():
    found = reliability([0.2, 0.4, 0.8], [True, False, True], bins=2)
    assert found.chi_squared == pytest.approx((1 - 0.6) ** 2 / (0.16 + 0.24) + 0.2**2 / 0.16)


def test_what_cannot_be_said_is_none():
    assert reliability([0.2, 0.3], [True, True]).skill is None
    sure = reliability([0.0, 1.0], [False, True])
    assert (sure.chi_squared, sure.p_value, sure.brier) == (None, None, 0)


def test_tensors_are_taken_and_sentences_written():
    found = reliability(torch.tensor([0.2, 0.8]), torch.tensor([False, True]))
    assert str(found).startswith("reliability of 2 predictions: Brier score 0.04, skill 0.84, calibration error 0.2")
    fit = variance_rate(torch.tensor([1.0, 1.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    assert str(fit).startswith("s² = 2 [")
    assert "from 2 pairs" in str(fit)
    assert str(variance_rate_law([1, 10], [fit, fit])).startswith("s² = 2 d^(−γ), γ = ")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variance_rate([1.0], [1.0]), r"rises: expected at least 2 numbers in a row, got shape \(1,\)"),
        (lambda: variance_rate([1.0, 2.0], [1.0, 2.0, 3.0]), r"distances: expected as many as rises, 2, got 3"),
        (lambda: variance_rate([-1.0, 2.0], [1.0, 2.0]), r"rises: expected numbers of at least 0 and not all 0"),
        (lambda: variance_rate([0.0, 0.0], [1.0, 2.0]), r"rises: expected numbers of at least 0 and not all 0"),
        (lambda: variance_rate([1.0, 1.0], [1.0, 0.0]), r"distances: expected numbers above 0, got the smallest 0"),
        (lambda: variance_rate([1.0, math.nan], [1.0, 1.0]), r"rises: expected finite numbers, got 1 that are not"),
        (lambda: variance_rate("ab", [1.0, 1.0]), r"rises: expected a sequence of numbers, got 'ab'"),
        (lambda: variance_rate([1.0, 1.0], [1.0, 1.0], level=1.0), r"level: expected a number strictly between 0 and"),
        (lambda: variance_rate_law([1, 2], []), r"rates: expected as many as sizes, 2, got 0"),
        (lambda: variance_rate_law([3, 3], [None, None]), r"sizes: expected at least two different numbers above 0"),
        (lambda: reliability([0.5], [True, False]), r"happened: expected as many as predicted, 1, got 2"),
        (lambda: reliability([1.5], [True]), r"predicted: expected probabilities from 0 to 1"),
        (lambda: reliability([0.5], [0.3]), r"happened: expected true or false"),
        (lambda: reliability([0.5], [True], bins=0), r"bins: expected a whole number of at least 1, got 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


def test_what_could_not_happen_and_did_refutes():
    found = reliability([0.0, 0.0, 1.0], [True, False, True])
    assert (found.chi_squared, found.p_value) == (None, pytest.approx(1 / 2001))
    mixed = reliability([0.5, 0.5, 0.0], [True, False, True])
    assert mixed.p_value == pytest.approx(1 / 2001)
    assert reliability([0.0, 1.0], [False, True]).p_value is None


def test_wrong_types_are_named():
    for call, message in (
        (lambda: variance_rate([1.0, 2.0], [1.0, 2.0], level="x"), "level: expected a number strictly between 0 and 1"),
        (lambda: variance_rate_law([1, 2], [0.1, 0.2]), "rates: expected what variance_rate returns"),
        (
            lambda: critical_width([1, 2, 4], [[1.0], [0.5], [0.2]], threshold="a"),
            "threshold: expected a number above 0",
        ),
    ):
        with unchecked(), pytest.raises(ArgumentError, match=message):
            call()

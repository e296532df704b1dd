"""Intervals against scipy, text against what a person would write."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance, format_with_error, versions

finite = st.floats(-1e12, 1e12)
errors = st.none() | st.floats(0, 1e12)


@given(finite, st.floats(0, 1e6), st.none() | st.integers(1, 200), st.floats(0.01, 0.999))
def test_intervals_are_those_of_scipy(value, error, dof, level):
    law = stats.norm() if dof is None else stats.t(dof)
    expected = (value + law.ppf((1 - level) / 2) * error, value + law.ppf((1 + level) / 2) * error)
    assert Estimate(value, error, dof).interval(level) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_few_probes_widen_the_interval():
    """Student's quantile with one degree of freedom is tan(0.475π) = 12.7."""
    low, high = Estimate(0.0, 1.0, dof=1).interval(0.95)
    assert high == pytest.approx(math.tan(0.475 * math.pi))
    assert low == -high
    assert Estimate(0.0, 1.0).interval(0.95)[1] == pytest.approx(1.959963984540054)


def test_no_error_no_interval():
    assert Estimate(1.0).interval() is None
    assert Estimate(1.0, 0.0).interval() == (1.0, 1.0)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0, math.nan])
def test_a_level_is_a_probability(level):
    with pytest.raises(ArgumentError, match=r"level: expected a number strictly between 0 and 1, got "):
        Estimate(1.0, 0.1).interval(level)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (41.7312, 0.0213, "41.731 ± 0.021"),
        (41.7312, 0.2, "41.73 ± 0.20"),
        (41.7312, None, "41.73"),
        (41.7312, 0.0, "41.73"),
        (0.0, None, "0"),
        (0.0, 0.25, "0.00 ± 0.25"),
        (-0.01, 5.0, "0.0 ± 5.0"),
        (0.3, 51.0, "0 ± 51"),
        (-41.7312, 0.0213, "-41.731 ± 0.021"),
        (123456.7, 25000.0, "123000 ± 25000"),
        (1.0, 0.0996, "1.00 ± 0.10"),
        (1.0, 0.0994, "1.000 ± 0.099"),
        (7.0, 9.96, "7 ± 10"),
        (1234567.891, 0.02, "1234567.891 ± 0.02"),
        (2.5e9, 3.1e7, "2.5e+09 ± 3.1e+07"),
        (4.25e-9, 1.3e-10, "4.25e-09 ± 1.3e-10"),
        (0.0, 1e-12, "0 ± 1e-12"),
        (math.nan, 0.1, "nan"),
    ],
)
def test_text_is_what_a_person_would_write(value, error, text):
    assert format_with_error(value, error) == text
    assert str(Estimate(value, error)) == text


@given(st.floats(-1e15, 1e15), st.floats(1e-12, 1e15))
def test_text_does_not_lie(value, error):
    """What is printed is the value to within a tenth of the error, or to 15 digits."""
    shown, _, shown_error = format_with_error(value, error).partition(" ± ")
    assert float(shown_error) == pytest.approx(error, rel=0.051)
    assert abs(float(shown) - value) <= 0.5 * error + 1e-14 * abs(value)
    assert "nan" not in shown
    assert shown != "-0"


def test_an_estimate_is_a_number():
    assert float(Estimate(2.5, 0.1)) == 2.5
    assert round(Estimate(2.54).value, 1) == 2.5


def test_costs_add_up():
    total = Cost(matvecs=3, gradients=1, seconds=0.5) + Cost(losses=2, matvecs=1, seconds=0.25)
    assert total == Cost(matvecs=4, gradients=1, losses=2, seconds=0.75)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(), "0 s"),
        (Cost(matvecs=1, seconds=0.123), "1 product, 0.12 s"),
        (Cost(matvecs=71, gradients=1, losses=2, seconds=9.4), "71 products, 1 gradient, 2 loss passes, 9.4 s"),
        (Cost(losses=1, seconds=98.9), "1 loss pass, 99 s"),
        (Cost(seconds=123.4), "123 s"),
        (Cost(seconds=98765.0), "98765 s"),
    ],
)
def test_costs_in_words(cost, text):
    assert str(cost) == text


def test_versions_are_those_that_run():
    import platform

    import torch

    import thalweg

    expected = {"thalweg": thalweg.__version__, "torch": torch.__version__, "python": platform.python_version()}
    assert versions() == expected


@given(finite, errors, st.none() | st.integers(1, 99), errors, st.none() | st.booleans(), st.integers(0, 10**12))
def test_round_trip(value, error, dof, data_error, converged, count):
    source = Provenance("double-backward", None, "float64", "cpu", 2, count, versions())
    estimate = Estimate(value, error, dof, data_error, converged, Cost(count, 1, 2, 0.125), source)
    plain = estimate.to_dict()
    assert plain["type"] == "Estimate"
    assert plain["cost"]["type"] == "Cost"
    assert Estimate.from_dict(plain) == estimate

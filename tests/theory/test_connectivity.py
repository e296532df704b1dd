"""The Brownian bridge between two minima: closed forms, and bridges that are drawn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.theory import connection_level, connection_probability, rise_moment, rise_survival

numbers = st.floats(-5, 5)
sizes = st.floats(0.01, 20)


def bridges(count, steps, length, rate, seed):
    """Brownian bridges of a given length on a grid, shape (count, steps + 1)."""
    walk = np.random.default_rng(seed).normal(size=(count, steps)).cumsum(axis=1) * math.sqrt(rate * length / steps)
    walk = np.concatenate([np.zeros((count, 1)), walk], axis=1)
    return walk - np.linspace(0, 1, steps + 1) * walk[:, -1:]


def test_a_number_known_to_fifteen_digits():
    assert connection_probability(1.0, 0.2, 0.4, 2.0, 0.5) == pytest.approx(0.617107114024888, rel=1e-14)


def test_bridges_that_are_drawn():
    """On a grid of step h the maximum is too low as if the level were 0.5826 √(s²h) higher (Chernoff, 1965)."""
    count, steps, length, rate = 4000, 1000, 2.0, 0.5
    chord = np.linspace(0.2, 0.4, steps + 1)
    found = bridges(count, steps, length, rate, 0)
    shift = 0.5826 * math.sqrt(rate * length / steps)
    for level in (0.6, 0.8, 1.0, 1.3):
        share = ((chord + found).max(axis=1) <= level).mean()
        expected = connection_probability(level + shift, 0.2, 0.4, length, rate)
        assert abs(share - expected) < 3.5 * math.sqrt(expected * (1 - expected) / count)
        rise = (found.max(axis=1) > level - 0.4).mean()
        expected = rise_survival(level - 0.4 + shift, length, rate)
        assert abs(rise - expected) < 3.5 * math.sqrt(expected * (1 - expected) / count)


def test_a_bridge_in_two_parts_is_one_bridge():
    """Chapman–Kolmogorov: whatever the middle is, both halves must stay below, by the same law."""
    level, first, second, length, rate = 1.0, 0.2, 0.4, 2.0, 0.5
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    middle = (first + second) / 2 + math.sqrt(rate * length / 4) * nodes
    halves = [connection_probability(level, end, middle, length / 2, rate) for end in (first, second)]
    assert (weights * halves[0] * halves[1]).sum() / weights.sum() == pytest.approx(
        connection_probability(level, first, second, length, rate), abs=2e-3
    )


@given(level=numbers, first=numbers, second=numbers, distance=sizes, rate=sizes, tries=st.integers(1, 5))
def test_what_any_such_probability_must_keep_to(level, first, second, distance, rate, tries):
    p = connection_probability(level, first, second, distance, rate, tries=tries)
    assert 0 <= p <= 1
    assert p == connection_probability(level, second, first, distance, rate, tries=tries)
    assert p <= connection_probability(level + 0.5, first, second, distance, rate, tries=tries)
    assert p >= connection_probability(level, first, second, 2 * distance, rate, tries=tries)
    if level <= max(first, second):
        assert p == 0
    once = connection_probability(level, first, second, distance, rate)
    assert p == pytest.approx(1 - (1 - once) ** tries, abs=1e-12)


@given(p=st.floats(0, 0.999), first=numbers, second=numbers, distance=sizes, rate=sizes, tries=st.integers(1, 5))
def test_the_level_of_a_probability_is_its_inverse(p, first, second, distance, rate, tries):
    level = connection_level(p, first, second, distance, rate, tries=tries)
    assert level >= max(first, second) - 1e-12
    assert connection_probability(level, first, second, distance, rate, tries=tries) == pytest.approx(p, abs=1e-6)


def test_limits():
    assert connection_probability(0.4, 0.2, 0.4, 2.0, 0.5) == 0
    assert connection_probability(1.0, 0.2, 0.4, 1e-9, 0.5) == 1
    assert connection_probability(1.0, 0.2, 0.4, 2.0, 1e-9) == 1
    assert connection_probability(1.0, 0.2, 0.4, 2.0, 0.5, tries=200) == pytest.approx(1)


def test_the_rise_between_ends_of_the_same_height_is_the_same_law():
    for x in (0.1, 0.7, 2.0):
        assert 1 - rise_survival(x, 2.0, 0.5) == pytest.approx(connection_probability(x, 0, 0, 2.0, 0.5), rel=1e-14)
    assert rise_survival(-1.0, 2.0, 0.5) == 1


@pytest.mark.parametrize("order", [1, 2, 3, 2.5])
def test_moments_are_the_integrals_of_the_survival(order):
    x = np.linspace(0, 12, 400_001)
    integral = np.trapezoid(order * x[1:] ** (order - 1) * rise_survival(x[1:], 2.0, 0.5), x[1:])
    assert rise_moment(order, 2.0, 0.5) == pytest.approx(integral, rel=1e-4)
    assert rise_moment(1, 2.0, 0.5) == pytest.approx(math.sqrt(math.pi * 0.5 * 2 / 8), rel=1e-14)


def test_arrays_are_broadcast_and_numbers_stay_numbers():
    table = connection_probability(np.linspace(0, 1, 5)[:, None], 0.2, 0.4, np.array([1.0, 2.0]), 0.5)
    assert table.shape == (5, 2)
    assert table[-1, 1] == connection_probability(1.0, 0.2, 0.4, 2.0, 0.5)
    assert type(connection_probability(1.0, 0.2, 0.4, 2.0, 0.5)) is float


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rise_survival(1.0, 0.0, 0.5), r"distance: expected numbers above 0, got 0\.0\."),
        (
            lambda: connection_probability(1.0, 0.2, 0.4, 1.0, -1.0),
            r"rate: expected numbers of at least 0, got -1\.0\.",
        ),
        (lambda: connection_probability(math.inf, 0, 0, 1.0, 1.0), r"level: expected finite numbers, got inf\."),
        (lambda: connection_probability("high", 0, 0, 1.0, 1.0), r"level: expected a number or an array of numbers"),
        (lambda: connection_probability(1.0, 0, 0, 1.0, 1.0, tries=0), r"tries: expected a whole number of at least 1"),
        (lambda: connection_probability(1.0, 0, 0, 1.0, 1.0, tries=True), r"tries: .* got True\."),
        (lambda: connection_level(1.0, 0, 0, 1.0, 1.0), r"probability: expected numbers from 0 to below 1, got 1\.0\."),
        (lambda: rise_moment(-2, 1.0, 1.0), r"order: expected a number above -2, got -2\."),
    ],
)
def test_bad_input_is_refused(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize(("distance", "rate"), [(0.0, 0.5), (2.0, 0.0), (1e-200, 1e-200)])
def test_without_variance_the_path_is_its_chord(distance, rate):
    found = connection_probability(np.array([0.3, 0.4, 0.5]), 0.2, 0.4, distance, rate)
    assert found.tolist() == [0.0, 1.0, 1.0]


def test_shapes_and_types_that_do_not_fit_are_named():
    with pytest.raises(ArgumentError, match=r"expected shapes that can be broadcast .* got \(2,\), \(3,\)"):
        connection_probability([1.0, 2.0], [0.0, 0.1, 0.2], 0.0, 1.0, 1.0)
    with pytest.raises(ArgumentError, match="level: expected a number or an array"):
        connection_probability(torch.ones(1, requires_grad=True), 0.0, 0.0, 1.0, 1.0)
    with unchecked(), pytest.raises(ArgumentError, match="order: expected a number above -2"):
        rise_moment([1, 2], 1.0, 1.0)

"""Barriers against the four references, by hand and as invariants."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import ArgumentError
from thalweg.paths import PathScan, barrier


def scan(losses: list[float], position: list[float] | None = None) -> PathScan:
    alpha = torch.linspace(0, 1, len(losses), dtype=torch.float64)
    if position is not None:
        alpha = torch.tensor(position, dtype=torch.float64)
    return PathScan(alpha, alpha, torch.tensor(losses, dtype=torch.float64))


def test_the_four_references():
    """O53."""
    found = barrier(scan([0.2, 1.3, 0.5]))
    assert (found.max, found.min, found.mean, found.linear) == pytest.approx((0.8, 1.1, 0.95, 0.95))
    assert (found.position, found.peak, found.peak_position, found.excluded) == (0.5, 1.3, 0.5, 0)
    assert str(found) == "barrier 0.95 at α = 0.5 (max 0.8, mean 0.95, min 1.1)"


def test_the_linear_maximum_need_not_be_at_the_peak():
    """Between 0 and 8 the chord is 8α: 5 at ¼ is 3 above it, 7 at ¾ only 1."""
    found = barrier(scan([0, 5, 4, 7, 8]))
    assert (found.linear, found.position) == (3, 0.25)
    assert (found.max, found.mean, found.min, found.peak, found.peak_position) == (0, 4, 8, 8, 1)


def test_a_path_that_only_falls_has_a_barrier_against_its_lower_end_alone():
    found = barrier(scan([4, 3, 2, 1]))
    assert (found.linear, found.max, found.min) == pytest.approx((0, 0, 3))


def test_points_that_are_not_finite_are_left_out_and_counted():
    found = barrier(scan([0, math.nan, 2, math.inf, 0]))
    assert (found.linear, found.peak, found.position, found.excluded) == (2, 2, 0.5, 2)


def test_points_outside_the_ends_do_not_count():
    found = barrier(scan([9, 0, 1, 0, math.nan], [-0.5, 0, 0.5, 1, 1.5]))
    assert (found.linear, found.peak, found.excluded) == (1, 1, 0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_how_the_references_stand_to_one_another(losses):
    found = barrier(scan(losses))
    gap = abs(losses[0] - losses[-1])
    assert found.linear >= 0
    assert found.max >= 0
    assert found.min == pytest.approx(found.max + gap, abs=1e-9)
    assert found.mean == pytest.approx(found.max + gap / 2, abs=1e-9)
    assert found.max - 1e-9 <= found.linear <= found.min + 1e-9
    back = barrier(scan(losses[::-1]))
    assert (back.linear, back.max, back.mean, back.min) == pytest.approx(
        (found.linear, found.max, found.mean, found.min), abs=1e-9
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (scan([math.nan, 1, 0]), r"scan: expected one point with a finite loss at α = 0, got nan"),
        (scan([0, 1, math.inf]), r"scan: expected one point with a finite loss at α = 1, got inf"),
        (scan([0, 1, 0], [0, 0.5, 0.9]), r"scan: expected one point with a finite loss at α = 1, got 0 of them"),
    ],
)
def test_an_end_must_be_there(bad, message):
    with pytest.raises(ArgumentError, match=message):
        barrier(bad)

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thalweg.figures._ticks import decades, symlog, symlog_inverse, symlog_threshold, symlog_ticks, tick_text


@given(st.floats(-1e6, 1e6), st.sampled_from([1e-4, 1.0, 100.0]))
def test_symlog_has_an_inverse_and_is_odd(value, threshold):
    mapped = symlog(np.array([value]), threshold)
    np.testing.assert_allclose(symlog_inverse(mapped, threshold), value, rtol=1e-9, atol=1e-9 * threshold)
    np.testing.assert_array_equal(symlog(np.array([-value]), threshold), -mapped)


@given(st.floats(1e-8, 1e8), st.floats(1.05, 1e9))
def test_ticks_of_a_logarithmic_axis_lie_on_it(lowest, ratio):
    ticks = decades(lowest, lowest * ratio)
    assert all(lowest <= tick <= lowest * ratio for tick in ticks)
    assert len(ticks) <= 7
    assert ticks == sorted(set(ticks))


def test_ticks_through_zero_are_few_and_hold_zero():
    ticks = symlog_ticks(-1e9, 1e9, 1e-6)
    assert len(ticks) <= 9
    assert 0.0 in ticks
    assert ticks == [-t for t in reversed(ticks)]


def test_the_threshold_is_near_the_smallest_magnitude_but_not_lost_in_rounding():
    assert symlog_threshold(np.array([40.0, -0.3, 0.0])) == 0.1
    assert symlog_threshold(np.array([1.0, 1e-17])) == 1e-5
    assert symlog_threshold(np.zeros(3)) == 1.0


def test_ticks_are_written_short():
    assert [tick_text(v) for v in (0.0, -0.25, 1000.0, 1e5, 1e-4, 3e-7)] == [
        "0", "−0.25", "1000", "10⁵", "10⁻⁴", "3×10⁻⁷",
    ]  # fmt: skip

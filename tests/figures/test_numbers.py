import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.figures._numbers import duration, number, percent, power, thousands, with_error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (9.9999, "10.0"),
        (-0.0123456, "−0.0123"),
        (999999.0, "999999"),
        (9.999e6, "1.00×10⁷"),
        (-2.5e-7, "−2.50×10⁻⁷"),
        (math.inf, "not finite"),
        (math.nan, "not finite"),
    ],
)
def test_numbers_are_written_as_a_person_would(value, text):
    assert number(value) == text


@given(st.floats(-1e12, 1e12, allow_nan=False).filter(lambda v: abs(v) > 1e-12))
def test_a_written_number_reads_back_to_its_digits(value):
    text = number(value, 4).replace("−", "-")
    if "×10" in text:
        mantissa, exponent = text.split("×10")
        raised = exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        text = f"{mantissa}e{raised}"
    assert math.isclose(float(text), value, rel_tol=6e-4)
    assert "e" not in number(value, 4)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (182.04, 7.63, "182.0 ± 7.6"),
        (24.6, 7e-4, "24.60 ± 7×10⁻⁴"),
        (-3.21e-5, 2e-7, "(−3.210 ± 0.020)×10⁻⁵"),
        (1.5, 0.0, "1.50"),
        (1.5, None, "1.50"),
        (0.0, 0.02, "0.000 ± 0.020"),
        (1.0, math.inf, "1.00"),
    ],
)
def test_an_error_says_how_many_digits_there_are(value, error, text):
    assert with_error(value, error) == text


def test_shares_counts_times_and_powers():
    assert percent(0.123456) == "12.3 %"
    assert percent(-0.5, 0) == "−50 %"
    assert percent(0.0) == "0.0 %"
    assert percent(1e-9, 3) == "< 0.001 %"
    assert thousands(1234567) == "1,234,567"
    assert [duration(s) for s in (0.0, 0.5, 59.94, 60.0, 3599.0, 3600.0)] == [
        "0 s", "0.50 s", "59.9 s", "1 min 0 s", "59 min 59 s", "1 h 0 min",
    ]  # fmt: skip
    assert power(12) == "10¹²"

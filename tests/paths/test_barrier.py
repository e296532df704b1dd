"""Barriers against the four references, by hand and as invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.formula import formula
from tests.golden import INPUTS, g2
from tests.paths.test_linear import image_landscape
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.paths import Curve, PathScan, barrier, straight


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


def along(f) -> tuple[Curve, tw.Landscape]:
    """The unit interval, with f as the loss."""
    landscape = formula(lambda t: f(t[0]), [0.0])
    return straight(landscape.theta, landscape.theta + 1), landscape


def truth(f, points=20001) -> tuple[float, float]:
    """The largest value and the largest rise over the chord, on a very fine grid."""
    t = torch.linspace(0, 1, points, dtype=torch.float64)
    values = torch.stack([f(x) for x in t])
    return float(values.max()), float((values - (1 - t) * values[0] - t * values[-1]).max())


SHAPES = {
    "bump": lambda t: torch.exp(-200 * (t - 0.37) ** 2) + 0.2 * t,
    "kink": lambda t: -(t - 1 / 3).abs() - 0.2 * t,
    "two kinks": lambda t: torch.maximum(-(t - 0.21).abs(), 0.05 - 3 * (t - 0.83).abs()),
    "waves": lambda t: torch.sin(17 * t + 0.37),
    "valley": lambda t: (t - 0.6).square(),
    "fall": lambda t: -t.exp(),
    "flat": lambda t: 0 * t + 1,
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_maximum_is_bracketed(name):
    f = SHAPES[name]
    found = barrier(*along(f), tolerance=0.02, budget=80)
    peak, rise = truth(f)
    assert found.interval is not None
    assert found.peak_interval is not None
    assert found.interval[0] - 1e-12 <= rise <= found.interval[1] + 1e-12
    assert found.peak_interval[0] - 1e-12 <= peak <= found.peak_interval[1] + 1e-12
    assert found.converged
    spread = float(found.path.loss.max() - found.path.loss.min())
    assert found.interval[1] - found.interval[0] <= 0.02 * spread + 1e-15
    assert (found.linear, found.peak) == (found.interval[0], found.peak_interval[0])
    low, high = found.between
    assert low <= found.position <= high
    assert found.cost.losses == len(found.path.position) <= 80


@settings(max_examples=12)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=4), st.floats(0.05, 0.3))
def test_the_references_of_a_refined_path_are_those_of_its_points(heights, tolerance):
    def f(t):
        return sum(a * torch.sin((i + 1) * 3 * t) for i, a in enumerate(heights)) + 0 * t

    found = barrier(*along(f), tolerance=tolerance, budget=20)
    again = barrier(found.path)
    names = ("linear", "max", "mean", "min", "position", "peak", "peak_position", "excluded")
    assert [getattr(found, name) for name in names] == [getattr(again, name) for name in names]
    assert (again.interval, again.converged, again.path) == (None, None, None)


def test_the_double_well_by_line_and_by_its_valley():
    landscape = formula(lambda t: (t[0] ** 2 - 1) ** 2 + 5 * (t[1] - 1 + t[0] ** 2) ** 2, [-1.0, 0.0])
    end = torch.tensor([1.0, 0.0], dtype=torch.float64)
    line = barrier(straight(landscape.theta, end), landscape)
    assert (line.linear, line.position, line.path.kind) == (6, 0.5, "linear")
    assert line.interval[1] <= 6.06
    valley = Curve(torch.stack([landscape.theta, torch.tensor([0.0, 2.0], dtype=torch.float64), end]))
    found = barrier(valley, landscape)
    assert (found.max, found.converged, found.path.kind) == (1, True, "bezier")
    assert str(found).startswith("barrier 1, at most 1.00")


def test_the_budget_is_kept_and_an_open_end_is_said():
    f = SHAPES["waves"]
    found = barrier(*along(f), tolerance=1e-6, budget=20)
    assert (len(found.path.position), found.converged) == (20, False)
    assert found.interval[0] <= truth(f)[1] <= found.interval[1]


def test_steps_are_bracketed_but_not_closely():
    def f(t):
        return torch.floor(10 * torch.sin(3 * t)) / 10

    found = barrier(*along(f), tolerance=0.01, budget=40)
    assert found.interval[0] <= truth(f)[1] <= found.interval[1]
    assert not found.converged


def test_more_safety_asks_for_more():
    few, many = (barrier(*along(SHAPES["bump"]), safety=safety) for safety in (1.0, 4.0))
    assert len(few.path.position) < len(many.path.position)


def test_a_path_that_is_not_finite_somewhere_has_no_upper_end():
    found = barrier(*along(lambda t: 1 / (t - 0.5).abs()), budget=20)
    assert (found.interval, found.peak_interval, found.between, found.converged) == (None, None, None, False)
    assert found.excluded == found.path.gaps == 1
    assert math.isnan(float(found.path.loss[found.path.position == 0.5]))


def test_the_metrics_of_a_scan():
    alpha = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    accuracy = torch.tensor([0.9, 0.2, 0.7], dtype=torch.float64)
    given_scan = PathScan(alpha, alpha, alpha, {"accuracy": accuracy})
    error, fall = (barrier(given_scan, metric=metric) for metric in ("error", "accuracy"))
    assert (error.linear, error.max, error.mean, error.min) == pytest.approx((0.6, 0.5, 0.6, 0.7))
    assert (fall.linear, fall.max, fall.mean, fall.min) == pytest.approx((0.6, 0.5, 0.6, 0.7))
    assert (error.peak, fall.peak) == pytest.approx((0.8, 0.2))
    assert str(error).startswith("barrier of the error 0.6 at α = 0.5")
    with pytest.raises(ArgumentError, match="metric: expected one of 'loss', 'accuracy', 'error', got 'f1'"):
        barrier(given_scan, metric="f1")
    with pytest.raises(ArgumentError, match="metric: expected one of 'loss', got 'error'"):
        barrier(scan([0, 1, 0]), metric="error")


def test_error_and_accuracy_of_a_network_are_one_path_upside_down():
    landscape = g2()
    line = straight(landscape.theta, -landscape.theta)
    error, fall = (barrier(line, landscape, metric=metric, budget=17) for metric in ("error", "accuracy"))
    assert error.linear == pytest.approx(fall.linear)
    assert error.interval == pytest.approx(fall.interval)
    assert fall.peak_interval == pytest.approx(tuple(1 - end for end in reversed(error.peak_interval)))
    assert fall.peak_interval[0] <= fall.peak_interval[1] == fall.peak


def test_other_data():
    landscape = g2()
    other = landscape.on([(INPUTS[:2], torch.tensor([2, 2]))])
    line = straight(landscape.theta, -landscape.theta)
    found = barrier(line, other)
    assert float(found.path.loss[-1]) == other.loss(-landscape.theta)
    assert found.peak != barrier(line, landscape).peak


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 2}, "points: expected from 3 to the budget of 65, got 2"),
        ({"budget": 5}, "points: expected from 3 to the budget of 5, got 9"),
        ({"budget": 9.5}, r"budget: expected a whole number, got 9\.5"),
        ({"tolerance": 0.0}, "tolerance: expected a positive finite number"),
        ({"safety": 0.5}, r"safety: expected a number of at least 1, got 0\.5"),
        ({"metric": "f1"}, "metric: expected one of 'loss', 'accuracy', 'error', got 'f1'"),
    ],
)
def test_bad_arguments_are_named(options, message):
    landscape = g2()
    with unchecked(), pytest.raises(ArgumentError, match=message):
        barrier(straight(landscape.theta, -landscape.theta), landscape, **options)


def test_what_is_no_path_is_named():
    landscape = g2()
    line = straight(landscape.theta, -landscape.theta)
    with pytest.raises(ArgumentError, match="start: expected none with a scan"):
        barrier(scan([0, 1, 0]), landscape)
    with pytest.raises(
        ArgumentError, match="start: expected the landscape that the curve is measured on, got NoneType"
    ):
        barrier(line)
    with unchecked(), pytest.raises(ArgumentError, match="path: expected a PathScan or a Curve, got Tensor"):
        barrier(line.nodes, landscape)
    with pytest.raises(ArgumentError, match="curve: expected nodes of the 21 parameters"):
        barrier(Curve(torch.zeros(2, 3)), landscape)
    with pytest.raises(ArgumentError, match="curve: expected one point with a finite loss at α = 1, got nan"):
        barrier(*along(lambda t: 1 / (1 - t)))


def test_shares_stay_shares_and_accuracy_is_the_error_upside_down():
    landscape = image_landscape(0)
    curve = straight(landscape.theta, image_landscape(1).theta)
    found, error = (barrier(curve, landscape, metric=metric, budget=17) for metric in ("accuracy", "error"))
    assert found.path is not None
    assert torch.equal(found.path.position, error.path.position)
    assert 0 <= found.peak_interval[0] <= found.peak == found.peak_interval[1]
    assert error.peak_interval == pytest.approx((1 - found.peak, 1 - found.peak_interval[0]))
    assert (error.interval, error.between) == (pytest.approx(found.interval), found.between)
    assert error.interval[1] <= 1


def test_the_path_is_followed_up_to_a_gap():
    """L = 4t(1 − t) but for a wall at ½ ± 0.02: the largest finite value is 0.9984."""
    f = lambda t: torch.where((t - 0.5).abs() < 0.02, torch.inf, 4 * t * (1 - t))  # noqa: E731
    found = barrier(*along(f))
    assert 0.99 < found.peak <= 0.9984
    assert found.interval is None
    assert str(found).endswith("points not finite, not converged")
    assert str(barrier(found.path)).endswith(f"{found.excluded} points not finite")


def test_every_reference_has_its_interval():
    found = barrier(*along(lambda t: 4 * t * (1 - t) + t))
    peak, _ = truth(lambda t: 4 * t * (1 - t) + t)
    for value, interval, reference in (
        (found.max, found.max_interval, 1.0),
        (found.mean, found.mean_interval, 0.5),
        (found.min, found.min_interval, 0.0),
    ):
        assert interval[0] == value
        assert interval[0] - 1e-12 <= peak - reference <= interval[1] + 1e-12
    assert barrier(found.path).max_interval is None

"""Adaptive scans: a few cells, the whole surface, and an estimate that covers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, generator, mlp, randn
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import adaptive_scan, plane_scan, random_directions
from thalweg.surfaces._hierarchy import Hierarchy

EYE = torch.eye(2, dtype=torch.float64)


class Place(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, batch):
        return self.at


def surface_of(f):
    """A landscape whose plane over the two axes is z = f(x, y)."""
    objective = tw.objectives.from_function(lambda model, batch: f(*model(batch)), lambda batch: 1)
    return tw.Landscape(Place(), objective, [torch.zeros(1)], check=False)


def truth_of(f, found):
    y, x = torch.meshgrid(found.y, found.x, indexing="ij")
    return f(x, y)


def true_errors(f, found):
    """Differences from the full surface, and its range."""
    truth = truth_of(f, found)
    return (found.loss - truth).abs(), float(truth.max() - truth.min())


def step(x, y):
    return (x + 0.5 * y > 0.2).double()


# Name: surface, and the most that may be measured of it.
SMOOTH = {
    "quadratic": (lambda x, y: x**2 + 10 * y**2, 0.05),
    "valley": (lambda x, y: (1 - 2 * x) ** 2 + 100 * (2 * y - 4 * x**2) ** 2, 0.15),
    "four wells": (lambda x, y: (9 * x**2 + 3 * y - 2) ** 2 + (3 * x + 9 * y**2 - 1) ** 2, 0.15),
    "exponential": (lambda x, y: torch.exp(5 * x + 3 * y), 0.15),
    "saddle of waves": (lambda x, y: torch.sin(6 * x) * torch.cos(5 * y), 0.5),
}
ROUGH = {
    "kink": (lambda x, y: (x + 0.37 * y - 0.11).abs(), 0.55),
    "cone": (lambda x, y: (x**2 + y**2).sqrt(), 0.3),
    "pieces": (lambda x, y: torch.relu(x + 0.3 * y) + torch.relu(y - 0.2) + torch.relu(0.5 - x - y), 0.5),
    "cliff": (lambda x, y: torch.tanh(30 * (x + 0.5 * y - 0.2)), 0.8),
    "step": (step, 0.8),
}


LONG = {"exponential", "saddle of waves", "kink", "pieces", "cone", "cliff", "step"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in SMOOTH | ROUGH]
)
def test_the_estimate_covers_the_largest_error(name):
    f, most = (SMOOTH | ROUGH)[name]
    found = adaptive_scan(surface_of(f), EYE)
    off, extent = true_errors(f, found)
    assert float(off.max()) <= 0.01 * extent
    assert float(off.max()) <= found.largest_error * extent + 1e-12 * extent
    assert found.largest_error <= 0.01
    assert found.converged
    # Cell by cell the estimate is one from its surroundings: it may miss, in few cells and by little.
    assert float((off > found.error + 1e-12 * extent).double().mean()) < 0.02
    assert found.share == int(found.measured.sum()) / 51**2 <= most
    assert found.cost.losses == int(found.measured.sum())
    torch.testing.assert_close(found.loss[found.measured], truth_of(f, found)[found.measured], rtol=1e-13, atol=1e-13)
    assert bool((found.error[found.measured] == 0).all())


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.002, 0.1))
def test_random_surfaces_are_within_the_tolerance_that_was_asked_for(seed, tolerance):
    source = generator(seed)
    waves = 4 * torch.randn(6, 2, generator=source, dtype=torch.float64)
    phases = 7 * torch.rand(6, generator=source, dtype=torch.float64)

    def f(x, y):
        return sum(torch.sin(a * x + b * y + c) for (a, b), c in zip(waves, phases, strict=True))

    found = adaptive_scan(surface_of(f), EYE, points=(13, 17), tolerance=tolerance)
    off, extent = true_errors(f, found)
    assert found.converged
    assert float(off.max()) <= found.largest_error * extent + 1e-12 * extent <= (tolerance + 1e-12) * extent


def test_a_network_within_one_percent_of_its_range_from_a_third_of_its_cells():
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(20, 4), classes(20))])
    directions = random_directions(landscape)
    full = plane_scan(landscape, directions, points=33)
    found = adaptive_scan(landscape, directions, points=33)
    extent = float(full.loss.max() - full.loss.min())
    assert found.share <= 0.35
    assert float((found.loss - full.loss).abs().max()) <= 0.01 * extent
    assert torch.equal(found.loss[found.measured], full.loss[found.measured])
    assert torch.equal(found.metrics["accuracy"].isnan(), ~found.measured)
    assert torch.equal(found.x, full.x)
    assert (found.labels, found.norms, found.cosine) == (full.labels, full.norms, full.cosine)


# ---------------------------------------------------------------------- where the estimate does not cover


def spike(width: float):
    return lambda x, y: x + y + torch.exp(-((x - 0.1) ** 2 + (y + 0.47) ** 2) / (2 * width**2))


def test_a_spike_between_the_first_grids_lines_may_be_missed():
    """Known and documented: nothing that is measured meets it."""
    found = adaptive_scan(surface_of(spike(0.02)), EYE, checks=0)
    off, extent = true_errors(spike(0.02), found)
    assert found.largest_error < 0.01
    assert float(off.max()) > 0.1 * extent


@pytest.mark.slow
def test_checks_find_what_the_grids_have_missed():
    """A bump over nine cells of a thousand: 400 checks meet it, and it is resolved."""

    def f(x, y):
        return x + y + torch.exp(-((x + 0.375) ** 2 + (y + 0.375) ** 2) / (2 * 0.04**2))

    blind = adaptive_scan(surface_of(f), EYE, points=33, checks=0)
    found = adaptive_scan(surface_of(f), EYE, points=33, checks=400)
    assert float(true_errors(f, blind)[0].max()) > 0.2 * true_errors(f, blind)[1]
    off, extent = true_errors(f, found)
    assert float(off.max()) <= 0.01 * extent
    assert found.cost.losses > blind.cost.losses + 400


def test_checks_are_drawn_by_the_generator():
    landscape = surface_of(SMOOTH["quadratic"][0])
    masks = [
        adaptive_scan(landscape, EYE, points=17, generator=source).measured
        for source in (None, generator(0), generator(1))
    ]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


# ---------------------------------------------------------------------- limits


def test_the_budget_is_kept_and_spent_where_the_error_is_largest():
    f = ROUGH["kink"][0]
    found = adaptive_scan(surface_of(f), EYE, budget=400)
    assert 300 < found.cost.losses <= 400
    assert found.converged is False
    off, extent = true_errors(f, found)
    assert float(off.max()) / extent <= found.largest_error
    coarse = adaptive_scan(surface_of(f), EYE, budget=81)
    assert (coarse.cost.losses, coarse.converged) == (81, False)
    assert float(off.mean()) < 0.5 * float(true_errors(f, coarse)[0].mean())
    # On the kink and not beside it.
    distance = (found.x[None, :] + 0.37 * found.y[:, None] - 0.11).abs()
    fine = found.measured & torch.from_numpy(Hierarchy(51, 51).level > 1)
    assert float(distance[fine].mean()) < 0.9 * float(distance.mean())


def test_the_border_of_what_is_finite_is_resolved_to_single_cells():
    def f(x, y):
        return torch.where(x**2 + y**2 < 0.5, x + y, torch.full_like(x, math.nan))

    found = adaptive_scan(surface_of(f), EYE, points=17)
    truth = truth_of(f, found)
    assert torch.equal(found.loss.isnan(), truth.isnan())
    assert found.nonfinite == int(truth.isnan().sum())
    torch.testing.assert_close(found.loss, truth, rtol=0, atol=0.03, equal_nan=True)
    assert found.converged
    short = adaptive_scan(surface_of(f), EYE, points=17, budget=150)
    known = short.loss.isfinite()
    assert short.converged is False
    assert not bool((known & truth.isnan()).any())
    assert bool(short.error[~known & ~short.measured].isnan().all())
    assert short.nonfinite < found.nonfinite


def test_a_surface_without_a_finite_cell():
    nowhere = surface_of(lambda x, y: torch.where(x == 0, x, math.nan))
    found = adaptive_scan(nowhere, EYE, points=9, span=(0.5, 1.0))
    assert found.loss.isnan().all()
    assert found.nonfinite == 81
    assert (found.largest_error, found.converged) == (None, True)


def test_a_flat_surface_is_known_from_the_first_two_grids():
    found = adaptive_scan(surface_of(lambda x, y: 0 * x + 3), EYE, checks=0)
    assert (found.cost.losses, found.converged) == (81, True)
    torch.testing.assert_close(found.loss, torch.full_like(found.loss, 3), rtol=1e-14, atol=0)


@pytest.mark.parametrize("points", [5, (5, 31), (6, 7), (20, 9)])
def test_odd_shapes(points):
    f = SMOOTH["four wells"][0]
    found = adaptive_scan(surface_of(f), EYE, points=points, span=((-1.0, 0.5), (0.0, 1.0)))
    off, extent = true_errors(f, found)
    assert found.loss.shape == ((points, points) if isinstance(points, int) else points)
    assert float(off.max()) <= 0.01 * extent


@given(st.integers(5, 70), st.integers(5, 70))
def test_grids_are_nested_and_reach_every_cell(rows, columns):
    hierarchy = Hierarchy(rows, columns)
    for (down, across), (finer, wider) in zip(hierarchy.levels, hierarchy.levels[1:], strict=False):
        assert set(down) <= set(finer)
        assert set(across) <= set(wider)
    assert [len(axis) for axis in hierarchy.levels[-1]] == [rows, columns]
    assert all(len(axis) >= 5 for axis in hierarchy.levels[0])
    assert hierarchy.level.max() < len(hierarchy.levels)


def test_progress_is_reported():
    reporter = Reporter()
    found = adaptive_scan(surface_of(SMOOTH["quadratic"][0]), EYE, progress=reporter)
    assert reporter.stages == [("adaptive surface", None)]
    assert reporter.done >= found.cost.losses
    assert str(found).endswith("4% of it measured, the rest within 0.0% of its range by estimate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": 1}, r"points: expected at least 2, got 1"),
        ({"points": (3, 51)}, r"points: expected at least 5 along both axes, got \(3, 51\)"),
        ({"tolerance": 0.0}, r"tolerance: expected a share of the range strictly between 0 and 1, got 0\.0"),
        ({"tolerance": 1.0}, r"tolerance: expected a share"),
        ({"checks": -1}, r"checks: expected a number of cells, 0 or more, got -1"),
        ({"budget": 80}, r"budget: expected a number of cells, at least the 81 of the first two grids, got 80"),
        ({"directions": EYE + 0.1}, r"directions: expected two that are orthogonal"),
        ({"span": ((0.0, 1.0), 2.0)}, r"span: expected \(first, last\)"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        adaptive_scan(surface_of(SMOOTH["quadratic"][0]), **{"directions": EYE} | arguments)

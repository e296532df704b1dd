"""What of a scan is not known is said to be so: neither not finite, nor within any tolerance."""

import math
from dataclasses import replace

import pytest
import torch

import thalweg as tw
from tests.formula import formula
from thalweg.errors import ArgumentError, Interrupted
from thalweg.surfaces import adaptive_scan, convexity_map, grid_scan, line_scan, merge_tree, persistence, plane_scan
from thalweg.surfaces._results import Surface

EYE = torch.eye(2, dtype=torch.float64)


def bowl(theta):
    return theta @ theta


class Stop:
    """A function that the user interrupts at the n-th cell."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, model, batch):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return 0.0


def cut_off(scan, at, **options):
    with pytest.raises(Interrupted) as caught:
        scan(formula(bowl, [0.0, 0.0]), EYE, functions={"stop": Stop(at)}, **options)
    return caught.value.result


def test_an_interrupted_adaptive_scan_claims_no_error():
    found = cut_off(adaptive_scan, 10, points=17)
    assert (found.largest_error, found.unknown, found.nonfinite) == (None, 280, 0)
    assert str(found).endswith("3% of it measured, 280 cells of which nothing is known")


@pytest.mark.parametrize("scan", [plane_scan, grid_scan, adaptive_scan])
@pytest.mark.parametrize("topology", [merge_tree, persistence])
def test_topology_needs_a_scan_that_is_finished(scan, topology):
    if topology is persistence:
        pytest.importorskip("gudhi")
    found = cut_off(scan, 10, points=7)
    message = r"grid: expected a scan that is finished, but of 40 of its 49 points nothing is known"
    with pytest.raises(ArgumentError, match=message):
        topology(found)
    assert topology(found.loss).excluded == 40


def test_cells_beyond_the_budget_are_unknown_and_no_part_of_the_error():
    found = adaptive_scan(formula(lambda t: torch.log(t[0] + 0.5) + t[1] ** 2, [0.0, 0.0]), EYE, points=17, budget=90)
    assert found.unknown == int((~found.measured & found.loss.isnan()).sum()) > 0
    assert found.nonfinite == int(found.measured[:, found.x <= -0.5].sum())
    assert f"but for {found.unknown} cells of which nothing is known" in str(found)
    with pytest.raises(ArgumentError, match=rf"of {found.unknown} of its 289 points nothing is known"):
        merge_tree(found)


def test_measured_cells_are_no_part_of_the_largest_error():
    axis = torch.linspace(0, 1, 3, dtype=torch.float64)
    loss = torch.arange(9, dtype=torch.float64).view(3, 3)
    measured = loss < 8
    known = Surface(axis, axis, loss, measured=measured, error=torch.where(measured, 0.0, 2.0))
    assert known.largest_error == 0.25
    nothing = replace(known, error=torch.where(measured, 0.0, math.nan), loss=torch.where(measured, loss, math.nan))
    assert (nothing.largest_error, nothing.unknown) == (None, 1)
    assert replace(known, measured=loss < 9, error=0 * loss).largest_error == 0


def test_lines_count_what_is_not_finite():
    line = line_scan(
        formula(lambda t: t.log().sum(), [1.0]), torch.ones(1, dtype=torch.float64), span=(-2, 2), points=5
    )
    assert line.nonfinite == 2
    assert str(line) == "5 points along direction, 2 not finite"
    half = replace(line, measured=torch.tensor([True, False, True, True, True]))
    assert (half.nonfinite, half.unknown) == (1, 1)
    assert str(half) == "5 points along direction, 1 not measured, 1 not finite"


def test_the_topology_of_a_grid_is_that_of_its_losses():
    found = grid_scan(formula(lambda t: ((t**2 - 0.25) ** 2).sum(), [0.0, 0.0, 0.0]), torch.eye(3).double(), points=5)
    assert merge_tree(found).minima == 8
    assert torch.equal(merge_tree(found).level, merge_tree(found.loss).level)


def test_an_interrupted_convexity_map_keeps_what_there_is():
    places = []

    def stopping(place):
        places.append(place)
        if len(places) == 5:
            raise KeyboardInterrupt
        return tw.hessian(place)

    landscape = formula(lambda t: (t**4).sum(), [0.5, 0.5])
    with pytest.raises(Interrupted, match=r"interrupted: 4 of 9 cells are computed") as caught:
        convexity_map(landscape, EYE, points=3, span=(-0.1, 0.1), matrix=stopping)
    found, full = caught.value.result, convexity_map(landscape, EYE, points=3, span=(-0.1, 0.1))
    done = found.measured
    assert done.flatten().tolist() == [True] * 4 + [False] * 5
    torch.testing.assert_close(found.largest[done], full.largest[done])
    assert (found.nonfinite, found.unmeasured, full.unmeasured) == (0, 5, 0)
    assert (found.cost.losses, full.measured) == (4, None)
    assert str(found).endswith("5 not computed")


def test_a_cell_that_has_not_converged_is_not_called_convex():
    """The Ritz value bounds λ_min from above: here it is positive, and λ_min is not."""

    def valley(theta):
        curvature = torch.linspace(1, 2, 40, dtype=theta.dtype)
        curvature[7] = -0.05
        return 0.5 * (curvature * theta**2).sum()

    landscape, directions = formula(valley, [0.0] * 40), torch.eye(40, dtype=torch.float64)[:, :2]
    with pytest.warns(match="9 of 9 cells have not converged"):
        found = convexity_map(landscape, directions, points=3, max_matvecs=3)
    assert bool((found.smallest > 0).all())
    assert not bool(found.convex().any())
    assert "convex to within" not in str(found)
    assert str(found).endswith("9 not converged")

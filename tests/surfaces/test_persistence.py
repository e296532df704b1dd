"""Persistence of functions whose minima, saddles and maxima are known."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import thalweg as tw
from tests.surfaces.trees import AXIS, WELL, diagram, double_well, grids, naive_components
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MissingExtraError
from thalweg.surfaces import Line, Persistence, Surface, graph_persistence, persistence

pytest.importorskip("gudhi")


def test_two_wells_die_at_the_saddle():
    """O44: minima at (±1, 0), and the saddle (0, 1) of height 1; O43 along the line."""
    found = persistence(double_well(), threshold=0.05)
    assert found.pairs(0).tolist() == [[0.0, 1.0]]
    assert found.essential(0).tolist() == [0.0]
    assert {tuple(found.birth_at[0].tolist()), tuple(found.essential_at[0].tolist())} == {(16, 16), (16, 48)}
    assert found.death_at[0].tolist() == [32, 32]
    assert (found.count(0), found.count(0, above=1.0), found.count(0, above=0.99)) == (2, 1, 2)
    assert persistence(WELL).pairs(0).tolist() == [[0.0, 1.0]]


def test_a_narrow_valley_across_the_axes_breaks_into_shallow_minima():
    """What the threshold above is for: neighbours along the axes cannot follow the parabola of O44."""
    every = persistence(double_well())
    assert every.count(0) == 12
    assert every.count(0, above=0.05) == 2


def test_four_wells_have_one_loop():
    found = persistence(WELL[:, None] + WELL)
    assert found.pairs(0).tolist() == [[0.0, 1.0]] * 3
    assert found.pairs(1).tolist() == [[1.0, 2.0]]
    assert found.death_at[3].tolist() == [8, 8]
    assert found.essential(1).numel() == 0
    assert str(found) == "H0: 4 components, 1 essential, persistence up to 1; H1: 1 loop, persistence up to 1"


def test_eight_wells_have_loops_and_a_cavity():
    found = persistence(WELL[:, None, None] + WELL[:, None] + WELL)
    assert (found.count(0), found.count(1), found.count(2)) == (8, 5, 1)
    assert found.pairs(2).tolist() == [[2.0, 3.0]]
    assert "H2: 1 cavity" in str(found)


def test_products_of_cosines():
    """cos x · cos y over two periods each: a chessboard of minima −1 and maxima 1, saddles at 0."""
    x = torch.linspace(-2 * math.pi, 2 * math.pi, 41, dtype=torch.float64)
    product = x.cos()[:, None] * x.cos()
    found = persistence(product, threshold=1e-9)
    # The interior has 8 minima and 5 maxima that are not on the border, where there are 4 more minima halfway.
    assert found.count(0) == int((product < -1 + 1e-12).sum()) == 12
    assert torch.allclose(found.pairs(0), torch.tensor([-1.0, 0.0], dtype=torch.float64), atol=1e-12)
    inner = product[1:-1, 1:-1]
    assert len(found.pairs(1)) == int((inner > 1 - 1e-12).sum()) == 5
    assert torch.allclose(found.pairs(1), torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-12)


def test_a_polynomial_by_hand():
    """4 2 3 1 5 0 6: minima 2, 1 and 0; 2 meets 1 at 3, 1 meets 0 at 5."""
    found = persistence(torch.tensor([4, 2, 3, 1, 5, 0, 6]))
    assert found.pairs(0).tolist() == [[1.0, 5.0], [2.0, 3.0]]
    assert found.birth_at[:, 0].tolist() == [3, 1]
    assert found.death_at[:, 0].tolist() == [4, 2]
    assert found.essential(0).tolist() == [0.0]
    assert found.essential_at.tolist() == [[5]]
    assert found.limits == (0.0, 6.0)


def test_what_only_falls_has_one_class():
    found = persistence(torch.arange(12.0).reshape(3, 4))
    assert (len(found.birth), found.essential_birth.tolist()) == (0, [0.0])
    assert str(found) == "H0: 1 component, 1 essential"


def test_plateaus_are_one_minimum_each():
    flat = torch.tensor([[0.0, 0, 5, 1, 1], [0, 0, 5, 1, 1]])
    assert diagram(persistence(flat)) == [(1.0, 5.0), (0.0, math.inf)]
    assert diagram(persistence(torch.zeros(4, 4))) == [(0.0, math.inf)]


def test_neighbours_are_along_the_axes():
    """A diagonal of zeros is three components in the vertex construction; in the other it would be one."""
    values = torch.ones(3, 3) - torch.eye(3)
    assert diagram(persistence(values)) == [(0.0, 1.0), (0.0, 1.0), (0.0, math.inf)]


def test_a_hole_is_counted_and_never_filled():
    bowl = AXIS[:, None] ** 2 + AXIS**2
    bowl[8, 8] = math.nan
    found = persistence(Surface(AXIS, AXIS, bowl))
    assert found.excluded == 1
    assert diagram(found) == [(0.0625, 0.125)] * 3 + [(0.0625, math.inf)]
    # The ring around the hole is closed at its corners, and nothing ever fills it.
    assert found.essential(1).tolist() == [0.125]
    assert str(found).endswith("; 1 not finite and left out")
    wall = torch.tensor([[0.0, math.inf, 2.0], [1.0, -math.inf, 3.0]])
    assert diagram(persistence(wall)) == [(0.0, math.inf), (2.0, math.inf)]
    assert persistence(wall).limits == (0.0, 3.0)


def test_a_line_is_taken_as_it_is():
    line = Line(AXIS, WELL)
    assert diagram(persistence(line)) == diagram(persistence(WELL)) == [(0.0, 1.0), (0.0, math.inf)]


def test_a_threshold_leaves_out_what_lasts_no_longer():
    values = torch.tensor([4.0, 2, 3, 1, 5, 0, 6])
    assert persistence(values, threshold=1.0).pairs().tolist() == [[1.0, 5.0]]
    assert persistence(values, threshold=0.99).pairs().tolist() == [[1.0, 5.0], [2.0, 3.0]]
    assert persistence(values, threshold=4.0).count() == 1


def test_the_oscillation_is_the_largest_within_a_cell():
    values = torch.tensor([[0.0, 1.0, math.nan], [2.0, 7.0, 100.0], [0.0, 3.0, 3.0]])
    assert persistence(values).oscillation == 97.0
    values[2, 2] = math.nan
    assert persistence(values).oscillation == 7.0
    assert persistence(torch.tensor([1.0, 4.0, 3.0])).oscillation == 3.0
    assert persistence(torch.tensor([1.0, math.nan])).oscillation is None
    assert persistence(torch.tensor([1.0])).oscillation is None


def test_levels_of_a_finer_grid_are_within_the_oscillation():
    """The promise of ``oscillation``: the wave stays between the corners of its cells but at extrema."""
    fine = torch.linspace(0, 3, 241, dtype=torch.float64)
    wave = (4 * fine).sin() + fine
    coarse = persistence(wave[::20])
    assert coarse.oscillation is not None
    distance = tw.bottleneck_distance(coarse, persistence(wave)).value
    assert distance is not None
    assert 0 < distance < coarse.oscillation


@settings(max_examples=60, deadline=None)
@given(grids())
def test_components_are_those_of_filling_level_by_level(values):
    if not bool(values.isfinite().any()):
        return
    found = persistence(values)
    assert diagram(found) == naive_components(values.numpy())
    # Euler: over all cells that enter, the alternating sum is that of the essential classes.
    assert _euler(values) == sum((-1) ** k * len(found.essential(k)) for k in range(values.ndim))


def _euler(values: torch.Tensor) -> int:
    """Count vertices − edges + squares − … of the cells without a hole at a corner."""
    finite = values.isfinite().numpy()
    total = 0
    for spans in np.ndindex(*(2,) * finite.ndim):
        cells = finite
        for axis, span in enumerate(spans):
            if span:
                n = cells.shape[axis]
                cells = np.take(cells, range(n - 1), axis) & np.take(cells, range(1, n), axis)
        total += (-1) ** sum(spans) * int(cells.sum())
    return total


@settings(max_examples=40, deadline=None)
@given(grids(ties=False))
def test_levels_stand_where_they_are_said_to(values):
    if not bool(values.isfinite().any()):
        return
    found = persistence(values)
    for at, level in (
        (found.birth_at, found.birth),
        (found.death_at, found.death),
        (found.essential_at, found.essential_birth),
    ):
        assert torch.equal(values[tuple(at.T)], level)
    shifted = persistence(2 * values + 3)
    assert torch.equal(shifted.birth, 2 * found.birth + 3)
    assert torch.equal(shifted.death_at, found.death_at)
    # The order of levels alone decides who meets whom.
    warped = persistence(values.exp())
    assert torch.equal(warped.birth_at.sort(0).values, found.birth_at.sort(0).values)


def test_a_graph_of_minima():
    values, edges = torch.tensor([0.0, 1.0, 0.5, 9.0]), torch.tensor([[0, 1], [1, 2], [0, 2]])
    found = graph_persistence(values, edges, torch.tensor([2.0, 3.0, 9.0]))
    assert found.pairs().tolist() == [[0.5, 3.0], [1.0, 2.0]]
    assert found.essential().tolist() == [0.0, 9.0]
    assert found.birth_at.tolist() == [[2, 2], [1, 1]]
    assert found.death_at.tolist() == [[1, 2], [0, 1]]
    assert found.shape == (4,)
    assert found.oscillation is None


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (torch.tensor([math.nan, math.inf]), "grid: expected at least one finite value, got none among 2."),
        (torch.zeros(0, 3), "grid: expected at least one finite value, got none among 0."),
        (torch.tensor(1.0), "grid: expected real numbers on at least one axis, got torch.float32 of shape ()."),
        (torch.ones(2, dtype=torch.complex64), "grid: expected real numbers on at least one axis, got torch.complex64"),
        ([1.0, 2.0], "grid: expected a Surface, a Line, a Grid or a tensor, got list."),
    ],
)
def test_what_is_no_grid_is_refused(grid, message):
    with unchecked(), pytest.raises(ArgumentError) as caught:
        persistence(grid)
    assert message in str(caught.value)


@pytest.mark.parametrize("threshold", [-1.0, math.nan, math.inf])
def test_a_threshold_is_a_persistence(threshold):
    with pytest.raises(ArgumentError, match="threshold: expected a finite number of at least 0"):
        persistence(WELL, threshold=threshold)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(MissingExtraError, match=r'extra "tda": pip install "thalweg\[tda\]"'):
        persistence(WELL)


def test_the_record_says_how_much_it_holds():
    found = persistence(WELL[:, None] + WELL)
    again = Persistence.from_dict(found.to_dict())
    assert again.pairs(1).tolist() == found.pairs(1).tolist()
    assert again.oscillation == found.oscillation

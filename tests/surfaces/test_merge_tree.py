"""Merge trees against wells that are known, persistence, and plain twins."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.surfaces.trees import WELL, double_well, grids, naive_components, tree_diagram
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import Surface, graph_merge_tree, merge_tree


def test_two_wells_join_at_the_saddle():
    """O44: minima at (±1, 0), saddle (0, 1)."""
    x, y = torch.linspace(-2, 2, 65, dtype=torch.float64), torch.linspace(-1, 2, 49, dtype=torch.float64)
    tree = merge_tree(Surface(x, y, double_well()), threshold=0.05)
    assert tree.level.tolist() == [0.0, 0.0, 1.0]
    assert tree.position.tolist() == [[16, 16], [16, 48], [32, 32]]
    assert tree.parent.tolist() == [2, 2, -1]
    assert tree.merges.tolist() == [-1, 2]
    assert tree.persistence() == (None, 1.0)
    assert int(tree.basin.sum()) == 65 * 49
    assert (tree.minima, tree.saddles, tree.count(above=1.0)) == (2, 1, 1)


def test_a_polynomial_by_hand():
    tree = merge_tree(torch.tensor([4, 2, 3, 1, 5, 0, 6]))
    assert tree.level.tolist() == [0, 1, 2, 3, 5]
    assert tree.position[:, 0].tolist() == [5, 3, 1, 2, 4]
    assert tree.parent.tolist() == [4, 3, 3, 4, -1]
    assert tree.merges.tolist() == [-1, 4, 3]
    assert tree.basin.tolist() == [3, 2, 2]
    assert str(tree) == "3 minima and 2 saddles on 7 points, the lowest 0 at (5); persistence up to 4"


def test_three_that_meet_at_one_point_meet_in_one_node():
    values = torch.tensor([[9.0, 0, 9, 9], [1, 5, 2, 9], [9, 3, 9, 9]])
    tree = merge_tree(values)
    assert tree.level.tolist() == [0, 1, 2, 3, 5]
    assert tree.parent.tolist() == [4, 4, 4, 4, -1]
    assert tree.merges.tolist() == [-1, 4, 4, 4]


def test_a_threshold_prunes_and_gives_the_basin_to_the_neighbour():
    values = torch.tensor([4.0, 2, 3, 1, 5, 0, 6])
    tree = merge_tree(values, threshold=1.0)
    assert tree.level.tolist() == [0, 1, 5]
    assert tree.parent.tolist() == [2, 2, -1]
    assert tree.basin.tolist() == [3, 4]
    assert merge_tree(values, threshold=4.0).level.tolist() == [0.0]
    # Two shallow dips side by side: the further one follows the nearer one to the well that both lead to.
    chain = merge_tree(torch.tensor([0.0, 9, 1, 3, 2.5, 2.9, 2.8]), threshold=1.0)
    assert chain.level.tolist() == [0.0, 1.0, 9.0]
    assert int(chain.basin.sum()) == 7
    assert chain.basin.tolist() == [2, 5]


def test_holes_are_walls():
    tree = merge_tree(torch.tensor([[0.0, math.nan, 2.0], [1.0, math.inf, 3.0]]))
    assert tree.level.tolist() == [0.0, 2.0]
    assert tree.parent.tolist() == tree.merges.tolist() == [-1, -1]
    assert tree.persistence() == (None, None)
    assert tree.excluded == 2
    assert str(tree).endswith("the lowest 0 at (0, 0); 2 not finite and left out")


def test_equal_values_are_told_apart_the_same_way_every_time():
    flat = merge_tree(torch.zeros(3, 3))
    assert (flat.level.tolist(), flat.position.tolist(), flat.basin.tolist()) == ([0.0], [[0, 0]], [9])
    wells = torch.tensor([1.0, 0, 1, 0, 1])
    assert merge_tree(wells).position[:2, 0].tolist() == [1, 3]
    assert merge_tree(wells).merges.tolist() == [-1, 2]


@settings(max_examples=80, deadline=None)
@given(grids())
def test_the_pairs_are_those_of_filling_level_by_level(values):
    if not bool(values.isfinite().any()):
        return
    tree = merge_tree(values)
    assert tree_diagram(tree) == naive_components(values.numpy())
    assert int(tree.basin.sum()) == int(values.isfinite().sum())
    _require_tree(tree)
    assert torch.equal(values[tuple(tree.position.T)], tree.level)


@settings(max_examples=40, deadline=None)
@given(grids(ties=False, holes=False), st.integers(0, 6))
def test_a_pruned_tree_is_what_the_long_pairs_say(values, threshold):
    whole, pruned = tree_diagram(merge_tree(values)), merge_tree(values, threshold=threshold)
    assert tree_diagram(pruned) == [pair for pair in whole if pair[1] - pair[0] > threshold]
    assert int(pruned.basin.sum()) == values.numel()
    _require_tree(pruned)
    kept = {tuple(p) for p in merge_tree(values).position[: len(whole)].tolist()}
    assert {tuple(p) for p in pruned.position[: pruned.minima].tolist()} <= kept


@settings(max_examples=30, deadline=None)
@given(grids(ties=False, holes=False))
def test_the_pairs_are_those_of_persistence(values):
    pytest.importorskip("gudhi")
    from thalweg.surfaces import persistence

    tree, found = merge_tree(values), persistence(values)
    ours = {
        (tuple(tree.position[leaf].tolist()), tuple(tree.position[at].tolist()))
        for leaf, at in enumerate(tree.merges.tolist())
        if at >= 0
    }
    components = found.dimension == 0
    theirs = zip(found.birth_at[components].tolist(), found.death_at[components].tolist(), strict=True)
    assert ours == {(tuple(birth), tuple(death)) for birth, death in theirs}


def _require_tree(tree):
    for node, above in enumerate(tree.parent.tolist()):
        assert above == -1 or (above >= tree.minima and float(tree.level[above]) > float(tree.level[node]) - 1e-12)
    children = torch.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.level))
    assert bool((children[: tree.minima] == 0).all())
    assert bool((children[tree.minima :] >= 2).all())
    assert bool((tree.level[: tree.minima].diff() >= 0).all())
    assert bool((tree.level[tree.minima :].diff() >= 0).all())


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**31))
def test_a_graph_is_cut_at_every_level_as_by_hand(count, seed):
    """The number of components at any level, by matrix powers of the graph that is there."""
    source = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 5, (count,), generator=source).double()
    pairs = torch.combinations(torch.arange(count))
    pairs = pairs[torch.rand(len(pairs), generator=source) < 0.6]
    heights = values[pairs].max(1).values + torch.randint(0, 4, (len(pairs),), generator=source)
    tree = graph_merge_tree(values, pairs, heights)
    dying = tree_diagram(tree)
    for level in range(10):
        there = values <= level
        joined = torch.diag(there.double())
        for (a, b), height in zip(pairs.tolist(), heights.tolist(), strict=True):
            if height <= level:
                joined[a, b] = joined[b, a] = 1.0
        reach = torch.matrix_power(joined, count)[there][:, there] > 0
        components = len({tuple(row) for row in reach.tolist()})
        assert components == sum(birth <= level < death for birth, death in dying)


def test_a_graph_drops_what_is_not_finite():
    tree = graph_merge_tree(
        torch.tensor([0.0, math.nan, 2.0, 1.0]),
        torch.tensor([[0, 1], [0, 2], [2, 3], [0, 3]]),
        torch.tensor([5.0, math.inf, 3.0, 4.0]),
    )
    assert tree.level.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert tree.position.tolist() == [[0, 0], [3, 3], [2, 2], [2, 3], [0, 3]]
    assert tree.excluded == 3
    assert tree.shape == (4,)


def test_a_graph_without_edges_is_as_many_trees():
    tree = graph_merge_tree(torch.tensor([3.0, 1.0]), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0))
    assert tree.level.tolist() == [1.0, 3.0]
    assert tree.persistence() == (None, None)


@pytest.mark.parametrize(
    ("values", "edges", "heights", "message"),
    [
        (torch.ones(0), torch.tensor([[0, 1]]), torch.ones(1), "values: expected shape (n,) with n ≥ 1, got (0,)."),
        (
            torch.ones(2),
            torch.tensor([[0, 2]]),
            torch.ones(1),
            "edges: expected two different vertices from 0 to 1, got",
        ),
        (torch.ones(2), torch.tensor([[1, 1]]), torch.ones(1), "got (1, 1) in row 0."),
        (torch.ones(2), torch.tensor([[0.0, 1.0]]), torch.ones(1), "edges: expected integers of shape (m, 2)"),
        (torch.ones(2), torch.tensor([[0, 1]]), torch.ones(2), "heights: expected shape (1,), one an edge, got (2,)."),
        (torch.ones(2), torch.tensor([[0, 1]]), torch.tensor([0.5]), "got 0.5 on the path 0–1 with 1 at an end."),
        (
            torch.full((2,), math.nan),
            torch.tensor([[0, 1]]),
            torch.ones(1),
            "values: expected at least one finite value",
        ),
        ([1.0], torch.tensor([[0, 1]]), torch.ones(1), "values: expected a tensor, got list."),
    ],
)
def test_what_is_no_graph_is_refused(values, edges, heights, message):
    with unchecked(), pytest.raises(ArgumentError) as caught:
        graph_merge_tree(values, edges, heights)
    assert message in str(caught.value)


def test_a_large_grid_takes_no_time():
    """A million points in a few seconds: no loop over points."""
    x = torch.linspace(-8, 8, 1000, dtype=torch.float64)
    tree = merge_tree((x.cos()[:, None] * (1.3 * x).cos()), threshold=1e-3)
    assert 10 < tree.minima < 40
    assert tree.cost.seconds < 20
    assert merge_tree(WELL).shape == (17,)

"""Distances between persistence diagrams: by hand, by all matchings, by gudhi, and by what is proved of them."""

import math
from itertools import permutations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.surfaces.trees import WELL, grids
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.surfaces import Persistence, bottleneck_distance, persistence, wasserstein_distance

pytest.importorskip("gudhi")


def of(*pairs: tuple[float, float], essential: tuple[float, ...] = (), limits=(0.0, 10.0)) -> Persistence:
    """A diagram of dimension 0 as given."""
    count, endless = len(pairs), len(essential)
    birth, death = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).T
    return Persistence(
        dimension=torch.zeros(count, dtype=torch.int64),
        birth=birth,
        death=death,
        birth_at=torch.zeros(count, 1, dtype=torch.int64),
        death_at=torch.zeros(count, 1, dtype=torch.int64),
        essential_dimension=torch.zeros(endless, dtype=torch.int64),
        essential_birth=torch.tensor(essential, dtype=torch.float64),
        essential_at=torch.zeros(endless, 1, dtype=torch.int64),
        shape=(9,),
        limits=limits,
    )


def by_all_matchings(one, other, order: float) -> float:
    """The least cost over all bijections, each side with room for the diagonal of the other."""
    left = [*one, *[None] * len(other)]
    right = [*other, *[None] * len(one)]

    def cost(p, q) -> float:
        if p is None and q is None:
            return 0.0
        if p is None or q is None:
            birth, death = p or q
            return (death - birth) / 2
        return max(abs(p[0] - q[0]), abs(p[1] - q[1]))

    totals = []
    for chosen in permutations(right):
        costs = [cost(p, q) for p, q in zip(left, chosen, strict=True)]
        totals.append(max(costs, default=0.0) if math.isinf(order) else sum(c**order for c in costs) ** (1 / order))
    return min(totals, default=0.0)


points = st.tuples(st.integers(0, 6), st.integers(1, 6)).map(lambda p: (float(p[0]), float(p[0] + p[1])))


@settings(max_examples=60, deadline=None)
@given(st.lists(points, max_size=3), st.lists(points, max_size=3), st.sampled_from([1.0, 2.0, 3.5]))
def test_the_least_of_all_matchings(one, other, order):
    found = wasserstein_distance(of(*one), of(*other), order=order).value
    assert found == pytest.approx(by_all_matchings(one, other, order), rel=1e-12, abs=1e-12)
    assert bottleneck_distance(of(*one), of(*other)).value == pytest.approx(
        by_all_matchings(one, other, math.inf), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("order", [1.0, 2.0, 5.0])
def test_as_gudhi_says_to_its_own_accuracy(order):
    hera = pytest.importorskip("gudhi.hera")
    source = torch.Generator().manual_seed(3)
    one, other = (torch.rand(n, 2, generator=source, dtype=torch.float64).cumsum(1) for n in (60, 45))
    found = wasserstein_distance(
        of(*one.tolist(), essential=(0.3,)), of(*other.tolist(), essential=(0.1,)), order=order
    )
    endless = torch.tensor([[0.3, math.inf]]).double(), torch.tensor([[0.1, math.inf]]).double()
    first, second = (torch.cat(pair).numpy() for pair in zip((one, other), endless, strict=True))
    near = hera.wasserstein_distance(first, second, order=order, internal_p=math.inf, delta=1e-3)
    assert found.value <= near * (1 + 1e-12)
    assert near <= found.value * 1.001


def test_essential_features_are_matched_by_their_births():
    one, other = of((1.0, 2.0), essential=(0.0, 5.0)), of((1.0, 2.0), essential=(5.5, 0.25))
    assert bottleneck_distance(one, other).value == 0.5
    assert wasserstein_distance(one, other).value == 0.75
    assert wasserstein_distance(one, other, order=2.0).value == pytest.approx(math.hypot(0.5, 0.25))
    assert bottleneck_distance(one, other, essential=False).value == 0
    assert wasserstein_distance(one, other, essential=False).value == 0


def test_different_numbers_of_them_are_infinitely_far():
    for distance in (bottleneck_distance, wasserstein_distance):
        found = distance(of(essential=(0.0,)), of(essential=(0.0, 1.0)))
        assert found.value is None
        assert "infinite" in str(found)
        assert distance(of(essential=(0.0,)), of(), essential=False).value == 0


def test_a_shift_is_as_far_as_it_shifts_and_shape_is_not_touched():
    grid = WELL[:, None] + 0.5 * WELL
    here, there = persistence(grid), persistence(grid + 0.75)
    assert bottleneck_distance(here, there).value == pytest.approx(0.75)
    assert bottleneck_distance(here, there, scale="range").value == pytest.approx(0, abs=1e-12)
    stretched = persistence(3 * grid - 1)
    assert bottleneck_distance(here, stretched, scale="range").value == pytest.approx(0, abs=1e-12)
    assert wasserstein_distance(here, stretched, dimension=1, scale="range").value == pytest.approx(0, abs=1e-12)
    # The higher pass of the one is 1 of 13.5, and the other landscape has no second well at all.
    bowl = persistence(WELL[:, None] + 0.5 * WELL, threshold=0.6)
    assert bottleneck_distance(here, bowl).value == pytest.approx(0.25)
    assert str(bottleneck_distance(here, bowl, scale="range")).endswith(" of the range")


@settings(max_examples=40, deadline=None)
@given(grids(), st.integers(0, 2**31))
def test_stability(values, seed):
    """Bottleneck ≤ sup norm (Cohen-Steiner, Edelsbrunner & Harer, 2007), in every dimension, holes included."""
    assume(bool(values.isfinite().any()))
    noise = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    one, other = persistence(values), persistence(values + noise)
    for dimension in range(values.ndim):
        found = bottleneck_distance(one, other, dimension=dimension).value
        assert found is not None
        assert found <= float(noise[values.isfinite()].abs().max()) + 1e-12
        assert found == pytest.approx(bottleneck_distance(other, one, dimension=dimension).value, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(grids(holes=False, axes=2), grids(holes=False, axes=2), grids(holes=False, axes=2))
def test_a_metric_that_falls_with_its_order(one, two, three):
    a, b, c = (persistence(grid) for grid in (one, two, three))
    previous = math.inf
    for order in (1.0, 2.0, 8.0):
        ab, bc, ac = (wasserstein_distance(x, y, order=order).value for x, y in ((a, b), (b, c), (a, c)))
        assert ac <= ab + bc + 1e-12
        assert ab <= previous + 1e-12
        previous = ab
    assert bottleneck_distance(a, b).value <= previous + 1e-12
    assert wasserstein_distance(a, a).value == 0
    assert bottleneck_distance(a, a).value == 0


def test_a_large_order_is_the_bottleneck():
    one, other = of((0.0, 4.0), (1.0, 2.0)), of((0.5, 4.0))
    assert wasserstein_distance(one, other, order=5000.0).value == pytest.approx(0.5, rel=1e-3)
    assert bottleneck_distance(one, other).value == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: bottleneck_distance(of(), of(), dimension=-1),
            "whole number of at least 0, and at most 0 for first, got -1.",
        ),
        (lambda: bottleneck_distance(of(), of(), scale="metres"), "scale: expected 'loss' or 'range', got 'metres'."),
        (
            lambda: bottleneck_distance(of(), of(limits=(2.0, 2.0)), scale="range"),
            "second: expected a loss that varies for scale='range', got 2 everywhere.",
        ),
        (lambda: wasserstein_distance(of(), WELL), "second: expected a Persistence, got Tensor."),
        (
            lambda: wasserstein_distance(of(), of(), order=0.5),
            "order: expected a finite number of at least 1, got 0.5.",
        ),
        (
            lambda: wasserstein_distance(of(), of(), order=math.inf),
            "order: expected a finite number of at least 1, got inf",
        ),
    ],
)
def test_wrong_arguments_are_told(call, message):
    with unchecked(), pytest.raises(ArgumentError) as caught:
        call()
    assert message in str(caught.value)


def test_too_many_features_for_memory(monkeypatch):
    monkeypatch.setattr("thalweg.surfaces._diagram_distance.free_bytes", lambda device: 10)
    with pytest.raises(MemoryBudgetError, match="first: expected fewer features, got 1 and 1"):
        wasserstein_distance(of((0.0, 1.0)), of((0.0, 2.0)))

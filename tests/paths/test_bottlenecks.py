"""The lowest ways between many minima: by hand, by all ways, and from measured paths."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from tests.formula import formula
from tests.paths.test_linear import image_landscape
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.paths import PathScan, bottlenecks, linear_path, path_maxima


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)


@st.composite
def levels(draw):
    """A symmetric matrix of path maxima, some unknown, above the losses on its diagonal; ties and zeros occur."""
    count = draw(st.integers(1, 5))
    loss = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    out = torch.diag(torch.tensor(loss, dtype=torch.float64))
    for i, j in itertools.combinations(range(count), 2):
        rise = draw(st.none() | st.integers(0, 4))
        out[i, j] = out[j, i] = math.nan if rise is None else max(loss[i], loss[j]) + rise
    return out


def all_ways(direct, i, j):
    """The lowest level, from every way without repetition."""
    between = [k for k in range(len(direct)) if k not in (i, j)]
    best = math.inf
    for length in range(len(between) + 1):
        for middle in itertools.permutations(between, length):
            way = [i, *middle, j]
            heights = [float(direct[a, b]) for a, b in itertools.pairwise(way)]
            if not any(map(math.isnan, heights)):
                best = min(best, max(heights))
    return best


@given(levels())
def test_levels_are_those_of_the_best_of_all_ways(direct):
    found = bottlenecks(direct)
    count = len(direct)
    for i, j in itertools.combinations(range(count), 2):
        best, way = all_ways(direct, i, j), found.way(i, j)
        if math.isinf(best):
            assert bool(found.level[i, j].isnan())
            assert way == ()
            continue
        assert float(found.level[i, j]) == float(found.level[j, i]) == best
        assert float(found.barrier[i, j]) == best - max(float(direct[i, i]), float(direct[j, j])) >= 0
        assert (way[0], way[-1]) == (i, j)
        assert max(float(direct[a, b]) for a, b in itertools.pairwise(way)) == best
    assert torch.equal(found.level.diagonal(), direct.diagonal())
    assert torch.equal(found.barrier.diagonal(), torch.zeros(count).double())
    assert len(found.tree) == count - found.parts
    assert found.tree_level.tolist() == sorted(found.tree_level.tolist())


def test_by_hand():
    found = bottlenecks(matrix([0.0, 5.0, 1.0], [5.0, 0.0, 2.0], [1.0, 2.0, 0.5]), labels=("a", "b", "c"))
    assert found.level.tolist() == [[0.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 0.5]]
    assert found.tree.tolist() == [[0, 2], [1, 2]]
    assert found.way(0, 1) == (0, 2, 1)
    assert found.way(1, 1) == (1,)
    assert str(found) == "3 minima, all connected at or below a loss of 2, by the paths known"


def test_losses_of_zero_are_losses():
    """A sparse matrix has no edge where there is a 0."""
    assert bottlenecks(torch.zeros(3, 3, dtype=torch.float64)).parts == 1


def test_parts_without_a_way_between_them():
    nan = math.nan
    found = bottlenecks(matrix([0.0, nan, 1.0], [nan, 0.0, nan], [1.0, nan, 0.0]))
    assert found.parts == 2
    assert found.way(0, 1) == ()
    assert str(found) == "3 minima in 2 parts between which no way is known"
    assert str(bottlenecks(matrix([0.5]))) == "1 minima, all connected at or below a loss of 0.5, by the paths known"


def wells():
    """L = x²(x − 2)²(x − 4)²/9: three minima on a line, and the middle one on every path between the outer."""
    return [formula(lambda t: (t[0] * (t[0] - 2) * (t[0] - 4)).square().sum() / 9, [x]) for x in (0.0, 2.0, 4.0)]


def test_measured_paths():
    reporter = Reporter()
    found = path_maxima(wells(), lambda a, b: linear_path(a, b, points=41), labels=("l", "m", "r"), progress=reporter)
    top = max((x * (x - 2) * (x - 4)) ** 2 / 9 for x in [i / 20 for i in range(41)])
    assert found.maxima[0, 1] == pytest.approx(top, rel=1e-12)
    assert found.maxima[0, 2] == pytest.approx(top, rel=1e-2)
    assert found.loss.tolist() == [0, 0, 0]
    assert found.cost.losses == 3 + 3 * 42
    assert reporter.stages[0] == ("paths", 3)
    least = bottlenecks(found)
    assert least.labels == ("l", "m", "r")
    assert bool((least.level <= found.maxima).all())
    assert str(found) == "maxima of 3 paths between 3 minima"


def test_any_function_of_two_landscapes_is_a_path():
    found = path_maxima(wells()[:2], lambda a, b: tw.string_method(a, b, images=5, tol=0.1))
    assert found.maxima[0, 1] == pytest.approx(1.0, rel=1e-6)  # the middle image stays at x = 1
    assert found.cost.gradients > 0


def test_a_path_with_a_loss_that_is_not_finite_is_no_way():
    holed = [formula(lambda t: 1 / t[0].abs(), [x]) for x in (-1.0, 1.0, 2.0)]
    found = path_maxima(holed, lambda a, b: linear_path(a, b, points=3))
    assert found.maxima.isnan().tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert found.excluded == 1
    assert str(found) == "maxima of 3 paths between 3 minima, 1 of them not finite"
    # From −1 to 2 in two steps, none of the three points is the pole: sampling errs to the low side.
    assert bottlenecks(found).way(0, 1) == (0, 2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bottlenecks(torch.zeros(2, 3)), r"barriers: expected a square matrix of levels, got \(2, 3\)"),
        (lambda: bottlenecks([[0.0]]), r"barriers: expected a square matrix of levels, got list"),
        (lambda: bottlenecks(matrix([0.0, 1.0], [2.0, 0.0])), r"barriers: expected a symmetric matrix"),
        (lambda: bottlenecks(matrix([0.0, 1.0], [math.nan, 0.0])), r"barriers: expected a symmetric matrix"),
        (lambda: bottlenecks(matrix([math.nan])), r"barriers: expected finite losses on the diagonal"),
        (lambda: bottlenecks(matrix([2.0, 1.0], [1.0, 0.0])), r"got 1 between minima 0 and 1 with 2 and 0\. These are"),
        (lambda: bottlenecks(matrix([0.0]), labels=("a", "b")), r"labels: expected 1, as there are minima, got 2"),
        (lambda: bottlenecks(matrix([0.0])).way(0, 1), r"second: expected a number from 0 to 0, got 1"),
        (lambda: path_maxima(wells()[:1]), r"minima: expected at least two landscapes, got 1"),
        (lambda: path_maxima(wells(), labels=("a",)), r"labels: expected 3, as there are minima, got 1"),
        (lambda: path_maxima([1, 2]), r"minima\[0\]: expected a Landscape, got int"),
        (
            lambda: path_maxima(wells(), "linear"),
            r"path: expected a function of two landscapes, or several of them, got 'linear'",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


def test_the_best_of_several_paths_counts():
    """A NaN of one kind of path does not spoil another."""
    ends = [formula(lambda t: (t[0] ** 2 - 1) ** 2 + t[1] ** 2, [x, 0.0]) for x in (-1.0, 1.0)]

    def of(*loss):
        return lambda a, b: PathScan(torch.zeros(2), torch.zeros(2), torch.tensor(loss), cost=Cost(losses=2))

    found = path_maxima(ends, [of(0.0, math.nan), of(3.0, 2.0), of(0.5, 1.5), linear_path])
    assert found.maxima[0, 1] == found.maxima[1, 0] == 1
    assert found.chosen is not None
    assert found.chosen.tolist() == [[-1, 3], [3, -1]]
    assert found.cost.losses == 2 + 3 * 2 + 16
    lost = path_maxima(ends, [of(0.0, math.nan)])
    assert bool(lost.maxima[0, 1].isnan())
    assert lost.chosen is not None
    assert lost.chosen[0, 1] == -1


def test_a_path_that_ends_below_its_minima_is_no_lower_than_they_are():
    """Statistics that are re-estimated lower the ends; the networks themselves stay where they were."""
    ends = [image_landscape(seed) for seed in (0, 1, 2)]
    found = path_maxima(ends, lambda a, b: linear_path(a, b, points=3, statistics="re-estimated"))
    assert bool((found.maxima >= torch.maximum(found.loss[:, None], found.loss)).all())
    assert bottlenecks(found).parts == 1


def test_a_path_without_losses_is_named():
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=r"path: expected a function that returns .* got a TrainedCurve"),
    ):
        path_maxima(wells()[:2], lambda a, b: tw.train_curve(a, b, steps=1))
    with unchecked(), pytest.raises(ArgumentError, match=r"path: expected a function of two landscapes, or several"):
        path_maxima(wells()[:2], [])

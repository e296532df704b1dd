"""The straight line between two points: exact at both ends, and by hand in between."""

import copy
import math

import pytest
import torch
from torch.nn import functional

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g1_data, g2
from tests.landscape.models import Counting, classes, cnn, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.paths import barrier, linear_path

CROSS = tw.objectives.cross_entropy()
IMAGES, CLASSES = randn(7, 1, 6, 6), classes(7)


def image_landscape(seed: int, sizes: int | list[int] = 7, **options) -> tw.Landscape:
    model = scrambled(cnn(), seed)
    data = list(zip(IMAGES.split(sizes), CLASSES.split(sizes), strict=True))
    return tw.Landscape(model, CROSS, data, **options)


def test_the_points_are_where_they_should_be():
    landscape = g2()
    end = landscape.space.randn(torch.Generator().manual_seed(3))
    path = linear_path(landscape, end, points=7)
    assert path.position.tolist() == [i / 6 for i in range(7)]
    expected = [landscape.loss((1 - i / 6) * landscape.theta + i / 6 * end) for i in range(7)]
    assert path.loss.tolist() == pytest.approx(expected, rel=1e-13)
    assert path.metrics["accuracy"][-1] == landscape.evaluate(end).metrics["accuracy"].value
    assert path.distance[-1] == pytest.approx(float((end - landscape.theta).norm()), rel=1e-14)
    assert path.distance.tolist() == pytest.approx((path.position * path.distance[-1]).tolist())
    assert (path.kind, path.labels) == ("linear", ("A", "B"))
    assert path.cost.losses == 7


def test_both_ends_are_exact():
    landscape = g1()
    end = landscape.space.randn()
    path = linear_path(landscape, end)
    assert len(path.loss) == 15
    assert float(path.loss[0]) == landscape.loss()
    assert float(path.loss[-1]) == landscape.loss(end)


@pytest.mark.parametrize("sizes", [7, [4, 3], 1])
def test_both_ends_are_the_two_models_with_batch_norm(sizes):
    """Running statistics move along: without that the end would be another model."""
    start, end = image_landscape(0, sizes), image_landscape(1, sizes)
    path = linear_path(start, end, points=5, labels=("first", "second"))
    assert float(path.loss[0]) == pytest.approx(start.loss(), rel=1e-14)
    assert float(path.loss[-1]) == pytest.approx(end.loss(), rel=1e-14)
    assert path.metrics["accuracy"][-1] == end.evaluate().metrics["accuracy"].value
    assert (path.labels, path.cost.losses) == (("first", "second"), 6)
    # Only with the buffers of the first does the vector of the second give another loss.
    assert linear_path(start, end.theta, points=5).loss[-1] != pytest.approx(end.loss(), rel=1e-3)


def test_the_middle_by_hand():
    """A model whose parameters and statistics are the weighted means, run by torch alone."""
    start, end = image_landscape(0), image_landscape(1)
    middle = copy.deepcopy(start.model)
    one, other = start.model.state_dict(), end.model.state_dict()
    mixed = {k: 0.75 * v + 0.25 * other[k] if v.is_floating_point() else v for k, v in one.items()}
    middle.load_state_dict(mixed)
    expected = functional.cross_entropy(middle.eval()(IMAGES), CLASSES).item()
    assert float(linear_path(start, end, points=5).loss[1]) == pytest.approx(expected, rel=1e-12)


def test_buffers_that_are_counters_are_those_of_the_nearer_end():
    one, other = image_landscape(0), image_landscape(1)
    counter = next(name for name in one.buffers if name.endswith("num_batches_tracked"))
    seen: list[float] = []

    class Spy(torch.nn.Module):
        def __init__(self, body, count):
            super().__init__()
            self.body = body
            self.body.get_submodule(counter.rpartition(".")[0]).num_batches_tracked.fill_(count)

        def forward(self, x):
            seen.append(int(self.body.get_buffer(counter)))
            return self.body(x)

    start = tw.Landscape(Spy(one.model, 10), CROSS, [(IMAGES, CLASSES)])
    end = tw.Landscape(Spy(other.model, 20), CROSS, [(IMAGES, CLASSES)])
    seen.clear()
    linear_path(start, end, points=5)
    assert seen[:5] == [10, 10, 20, 20, 20]


def test_no_error_adds_up_along_the_way():
    """101 points of a long segment: each is computed from the ends, so each is right to rounding."""
    landscape = quadratic(torch.eye(2).double(), torch.zeros(2).double(), [1e6, 0.0])
    path = linear_path(landscape, torch.tensor([0.0, 1e6], dtype=torch.float64), points=101)
    alpha = path.position
    torch.testing.assert_close(path.loss, 0.5e12 * ((1 - alpha) ** 2 + alpha**2), rtol=1e-15, atol=0)


def test_the_valley_of_a_known_landscape():
    """V = (x² − 1)² + 5(y − 1 + x²)²: the line between the minima (±1, 0) climbs to 6, the saddle has 1."""
    landscape = formula(lambda t: (t[0] ** 2 - 1) ** 2 + 5 * (t[1] - 1 + t[0] ** 2) ** 2, [-1.0, 0.0])
    end = torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = barrier(linear_path(landscape, end, points=31))
    assert (found.linear, found.position) == (6, 0.5)


def test_a_loss_that_is_not_finite_is_nan_there_and_left_out_of_the_barrier():
    landscape = formula(lambda t: 1 / t[0].abs(), [-1.0])
    path = linear_path(landscape, torch.ones(1, dtype=torch.float64), points=5)
    assert path.loss.isnan().tolist() == [False, False, True, False, False]
    found = barrier(path)
    assert (found.linear, found.excluded) == (1, 1)


def test_progress_is_reported():
    reporter = Reporter()
    linear_path(g1(), g1().theta, points=4, labels=("here", "there"), progress=reporter)
    assert reporter.stages == [("path here → there", 4)]
    assert reporter.done == 4


def test_the_models_stay_as_they_were_also_when_one_raises():
    start, end = image_landscape(0), image_landscape(1)
    theta = start.theta
    with unchecked(), unchanged(start.model), unchanged(end.model):
        linear_path(start, end, points=3)
    assert torch.equal(start.theta, theta)
    model = Counting(scrambled(cnn()))
    landscape = tw.Landscape(model, CROSS, [(IMAGES, CLASSES)])
    model.fail_at = model.seen[0] + 2
    with unchecked(), unchanged(model), pytest.raises(RuntimeError, match="the model stops here"):
        linear_path(landscape, landscape.theta, points=3)


def regression(outputs: int = 1, **options) -> tw.Landscape:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, outputs)).double()
    inputs, targets = g1_data()[0]
    return tw.Landscape(
        scrambled(model), tw.objectives.squared_error(), [(inputs, targets.expand(4, outputs))], **options
    )


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (regression(), regression(2), r"end: expected the parameters of start, got others at 2\.bias and 1 more\."),
        (regression(), regression(params="0.*"), r"end: expected the parameters of start, got others at 2\.bias"),
        (image_landscape(0), image_landscape(1, mode="train"), r"end: expected the mode of start, eval, got train"),
        (
            image_landscape(0),
            image_landscape(1, dtype=torch.float32),
            r"end: expected the type and device of start, torch\.float64 on cpu, got torch\.float32 on cpu",
        ),
        (
            tw.Landscape(cnn(), CROSS, [(IMAGES, CLASSES)]),
            tw.Landscape(cnn(), CROSS, [(IMAGES[:5], CLASSES[:5])]),
            r"end: expected the number of samples of start, 7, got 5",
        ),
        (
            tw.Landscape(cnn(), CROSS, [(IMAGES, CLASSES)]),
            tw.Landscape(cnn(), CROSS, [(IMAGES, (CLASSES + 1) % 3)]),
            r"end: expected the loss of start's model and data at α = 1, .* must share their data, their objective",
        ),
        (
            tw.Landscape(scrambled(cnn(), 0), CROSS, [(IMAGES, CLASSES)], params="0.*"),
            tw.Landscape(scrambled(cnn(), 1), CROSS, [(IMAGES, CLASSES)], params="0.*"),
            r"the values of all parameters that are not selected",
        ),
        (
            tw.Landscape(torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)).double(),
                         tw.objectives.squared_error(), g1_data()),
            tw.Landscape(torch.nn.Sequential(torch.nn.GroupNorm(1, 2), torch.nn.Linear(2, 1)).double(),
                         tw.objectives.squared_error(), g1_data()),
            r"end: expected the buffers of start, got others at 0\.num_batches_tracked and 2 more",
        ),
        (g1(), torch.ones(3, dtype=torch.float64), r"end: expected shape \(9,\), got \(3,\)"),
        (g1(), torch.ones(9), r"end: expected torch\.float64 on cpu, got torch\.float32"),
        (g1(), torch.full((9,), math.nan, dtype=torch.float64), r"end: expected finite entries"),
    ],
)  # fmt: skip
def test_ends_that_do_not_belong_together_are_named(start, end, message):
    with pytest.raises(ArgumentError, match=message):
        linear_path(start, end)


def test_one_point_is_no_path():
    with pytest.raises(ArgumentError, match="points: expected at least 2, got 1"):
        linear_path(g1(), g1(), points=1)

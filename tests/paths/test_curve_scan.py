"""Losses along curves: the points, the lengths, and what becomes of batch norm."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.formula import formula
from tests.golden import g1, g2
from tests.landscape.models import Counting, classes, cnn, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.paths import Curve, TrainedCurve, barrier, curve_length, curve_scan, linear_path, straight

CROSS = tw.objectives.cross_entropy()
IMAGES, CLASSES = randn(8, 1, 6, 6), classes(8)


def image_landscape(seed: int, data=None) -> tw.Landscape:
    return tw.Landscape(scrambled(cnn(), seed), CROSS, data or [(IMAGES[:4], CLASSES[:4]), (IMAGES[4:], CLASSES[4:])])


def bent(start, end) -> Curve:
    nodes = straight(start.theta, end.theta, bends=1).nodes
    nodes[1] += 0.3
    return Curve(nodes, labels=("first", "second"))


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_points_and_lengths(kind):
    landscape = g2()
    nodes = torch.stack([landscape.theta, *(landscape.space.randn(torch.Generator().manual_seed(s)) for s in (1, 2))])
    curve = Curve(nodes, kind, ("here", "there"))
    scan = curve_scan(curve, landscape, points=5)
    expected = [landscape.loss(curve.point(t)) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert scan.loss.tolist() == pytest.approx(expected, rel=1e-14)
    assert scan.metrics["accuracy"][-1] == landscape.evaluate(nodes[-1]).metrics["accuracy"].value
    assert scan.distance.tolist() == pytest.approx([curve_length(curve, 0.0, t / 4) for t in range(5)])
    assert (scan.kind, scan.labels, scan.cost.losses, scan.gaps) == (kind, ("here", "there"), 5, 0)


def test_a_curve_without_bends_is_the_line():
    start, end = image_landscape(0), image_landscape(1)
    for statistics in ("interpolated", "re-estimated"):
        line = linear_path(start, end, points=5, statistics=statistics)
        scan = curve_scan(straight(start.theta, end.theta), start, end, points=5, statistics=statistics)
        torch.testing.assert_close(scan.loss, line.loss, rtol=1e-12, atol=0)
        torch.testing.assert_close(scan.distance, line.distance, rtol=1e-12, atol=0)


def by_hand(start, theta, data) -> float:
    """Torch alone: train-mode passes with cumulative averages, then the loss in eval mode."""
    model = copy.deepcopy(start.model)
    nn.utils.vector_to_parameters(theta, model.parameters())
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        for inputs, _ in data:
            model.train()(inputs)
        return float(functional.cross_entropy(model.eval()(IMAGES), CLASSES))


def test_statistics_re_estimated_at_every_point():
    start, end = image_landscape(0), image_landscape(1)
    curve = bent(start, end)
    with unchanged(start.model), unchanged(end.model):
        scan = curve_scan(curve, start, end, points=3, statistics="re-estimated")
        line = linear_path(start, end, points=3, statistics="re-estimated")
    straightened = straight(start.theta, end.theta)
    for i, t in enumerate((0.0, 0.5, 1.0)):
        assert float(scan.loss[i]) == pytest.approx(by_hand(start, curve.point(t), start.data), rel=1e-11)
        assert float(line.loss[i]) == pytest.approx(by_hand(start, straightened.point(t), start.data), rel=1e-11)
    stale = curve_scan(curve, start, end, points=3)
    assert float(stale.loss[0]) == pytest.approx(start.loss(), rel=1e-14)
    assert float(stale.loss[1]) != pytest.approx(float(scan.loss[1]), rel=1e-3)
    assert (scan.statistics, stale.statistics) == ("re-estimated", "interpolated")
    assert "statistics re-estimated" in str(scan)
    assert (scan.cost.losses, stale.cost.losses, line.cost.losses) == (8, 5, 8)


def test_statistics_of_training_data_under_test_data():
    test, train = [(IMAGES, CLASSES)], [(randn(9, 1, 6, 6, seed=5), classes(9))]
    start, end = image_landscape(0, train), image_landscape(1, train)
    for scan in (
        curve_scan(
            bent(start, end), start.on(test), end.on(test), points=3, statistics="re-estimated", estimate_on=train
        ),
    ):
        assert float(scan.loss[1]) == pytest.approx(by_hand(start, bent(start, end).point(0.5), train), rel=1e-11)
    line = linear_path(start.on(test), end.on(test), points=3, statistics="re-estimated", estimate_on=train)
    middle = (start.theta + end.theta) / 2
    assert float(line.loss[1]) == pytest.approx(by_hand(start, middle, train), rel=1e-11)


def test_the_cost_is_what_it_says():
    model = Counting(scrambled(cnn()))
    landscape = tw.Landscape(model, CROSS, [(IMAGES, CLASSES)])
    for statistics, expected in (("interpolated", 3), ("re-estimated", 6)):
        before = model.seen[0]
        scan = curve_scan(straight(landscape.theta, -landscape.theta), landscape, points=3, statistics=statistics)
        assert model.seen[0] - before == scan.cost.losses == expected


def test_a_loss_that_is_not_finite_is_a_gap_and_counted():
    landscape = formula(lambda t: 1 / t[0].abs(), [-1.0])
    scan = curve_scan(straight(landscape.theta, torch.ones(1).double()), landscape, points=5)
    assert scan.loss.isnan().tolist() == [False, False, True, False, False]
    assert scan.gaps == 1
    assert str(scan) == "bezier path A → B, 5 points, 1 of them not finite"


def test_progress_is_reported():
    reporter = Reporter()
    curve_scan(straight(g1().theta, g1().theta + 1, labels=("here", "there")), g1(), points=4, progress=reporter)
    assert (reporter.stages, reporter.done) == ([("bezier here → there", 4)], 4)


def test_bad_input_is_named():
    start, end = image_landscape(0), image_landscape(1)
    curve = bent(start, end)
    with pytest.raises(ArgumentError, match="curve: expected nodes of the 9 parameters of the landscape, got 4"):
        curve_scan(Curve(torch.zeros(3, 4)), g1())
    with pytest.raises(ArgumentError, match=r"curve: expected nodes of torch.float64 on cpu, got torch.float32 on cpu"):
        curve_scan(Curve(torch.zeros(3, 9)), g1())
    with pytest.raises(ArgumentError, match=r"curve: expected its first node where .* got one .* away"):
        curve_scan(curve, end, start)
    with pytest.raises(ArgumentError, match="end: expected the parameters of start"):
        curve_scan(curve, start, g1())
    with unchecked(), pytest.raises(ArgumentError, match="curve: expected a Curve, got Tensor; linear_path measures"):
        curve_scan(curve.nodes, start)
    with unchecked(), pytest.raises(ArgumentError, match="statistics: expected 'interpolated' or 're-estimated'"):
        curve_scan(curve, start, end, statistics="stale")
    with unchecked(), pytest.raises(ArgumentError, match="statistics: expected 'interpolated' or 're-estimated'"):
        linear_path(start, end, statistics="stale")
    train = tw.Landscape(cnn(), CROSS, [(IMAGES, CLASSES)], mode="train")
    with pytest.raises(ArgumentError, match="expected one in eval mode, got train mode"):
        curve_scan(straight(train.theta, -train.theta), train, statistics="re-estimated")


def test_a_trained_curve_is_measured_as_its_curve():
    start, end = image_landscape(0), image_landscape(1)
    trained = TrainedCurve(bent(start, end), "mean", torch.zeros(1), torch.zeros(1))
    assert torch.equal(curve_scan(trained, start, end).loss, curve_scan(trained.curve, start, end).loss)
    of_training, of_curve = (barrier(each, start, end, budget=9) for each in (trained, trained.curve))
    assert of_training.interval == of_curve.interval


def test_barriers_of_curves_and_their_data():
    """On test data, in the error, with statistics as they should be: the same numbers as a scan by hand."""
    start, end = image_landscape(0), image_landscape(1)
    curve = bent(start, end)
    found = barrier(curve, start, end, metric="error", statistics="re-estimated", points=5, budget=5)
    scan = curve_scan(curve, start, end, points=5, statistics="re-estimated")
    assert found.linear == pytest.approx(barrier(scan, metric="error").linear)
    assert found.path is not None
    assert math.isclose(float(found.path.loss[2]), float(scan.loss[2]), rel_tol=1e-12)
    assert found.cost.losses == 2 + 10

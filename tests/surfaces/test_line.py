"""Lines: where the points are, and what the quadratic model says of them."""

import math

import pytest
import torch

import thalweg as tw
from tests.exact_pairs import exact_pairs
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import Counting, classes, cnn, mlp, randn
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import Directions, eigen_directions, line_scan, random_directions

A = torch.tensor([[3.0, 1.0], [1.0, -2.0]], dtype=torch.float64)
B = torch.tensor([0.5, -1.0], dtype=torch.float64)
D = torch.tensor([2.0, 1.0], dtype=torch.float64)


def test_both_ends_of_a_segment_are_hit_exactly():
    """61 points over [−½, 3/2] hold 0 and 1; 60 would hold neither."""
    landscape = g2()
    end = landscape.space.randn(torch.Generator().manual_seed(3))
    line = line_scan(landscape, end - landscape.theta)
    assert (float(line.position[15]), float(line.position[45])) == (0.0, 1.0)
    assert (float(line.position[0]), float(line.position[60])) == (-0.5, 1.5)
    assert float(line.loss[15]) == landscape.loss()
    assert float(line.loss[45]) == pytest.approx(landscape.loss(end), rel=1e-14)
    assert float(line.metrics["accuracy"][15]) == landscape.evaluate().metrics["accuracy"].value
    assert (line.cost.losses, line.cost.gradients, line.cost.matvecs) == (61, 0, 0)
    assert line.quadratic is None


def test_every_point_by_a_formula():
    landscape = quadratic(A, B, [1.0, 2.0])
    line = line_scan(landscape, D, points=9, span=(-2.0, 0.0))
    assert line.position.tolist() == [-2, -1.75, -1.5, -1.25, -1, -0.75, -0.5, -0.25, 0]
    for s, loss in zip(line.position.tolist(), line.loss.tolist(), strict=True):
        t = torch.tensor([1.0, 2.0], dtype=torch.float64) + s * D
        assert loss == pytest.approx(float(B @ t + 0.5 * t @ A @ t), rel=1e-14)
    assert (line.label, line.norm) == ("direction", pytest.approx(math.sqrt(5)))


def test_the_quadratic_model_is_exact_for_a_quadratic():
    line = line_scan(quadratic(A, B, [1.0, 2.0]), D, points=9, quadratic=True)
    torch.testing.assert_close(line.quadratic, line.loss, rtol=1e-13, atol=1e-13)
    assert (line.cost.losses, line.cost.gradients, line.cost.matvecs) == (9, 1, 1)


def test_the_quadratic_model_touches_a_network_to_third_order():
    landscape = g1()
    direction = landscape.space.randn()
    near, far = (
        line_scan(landscape, direction, points=3, span=(-reach, reach), quadratic=True) for reach in (1e-3, 2e-3)
    )
    gap = [abs(float(line.loss[2] - line.quadratic[2])) for line in (near, far)]
    assert gap[1] / gap[0] == pytest.approx(8, rel=0.05)
    assert float(near.quadratic[1]) == landscape.loss()


def test_another_matrix_makes_another_model():
    landscape = quadratic(A, 0 * B, [0.0, 0.0])
    op = tw.FunctionOperator(lambda v: 7 * v, 2, dtype=torch.float64)
    line = line_scan(landscape, D, points=3, span=(0.0, 2.0), quadratic=True, operator=op)
    assert line.quadratic.tolist() == pytest.approx([0, 17.5, 70])
    assert (op.matvecs, line.cost.matvecs) == (1, 1)


def test_along_an_eigenvector():
    landscape = g1()
    matrix = tw.hessian(landscape).dense()
    pairs = exact_pairs(matrix, 2)
    line = line_scan(landscape, eigen_directions(pairs, (0,)), quadratic=True)
    assert line.label == "eigenvector 1 (λ = 2.692)"
    bend = (line.quadratic[16] - 2 * line.quadratic[15] + line.quadratic[14]) * 900  # the step is 1/30
    assert float(bend) == pytest.approx(2.69247713777789, rel=1e-9)


def test_a_direction_is_not_scaled_and_its_norm_is_measured():
    landscape = formula(lambda t: t.square().sum().sqrt(), [0.0, 0.0])
    record = Directions(3 * D.unsqueeze(1), ("mine",), (99.0,))
    line = line_scan(landscape, record, points=5, span=(0.0, 1.0))
    torch.testing.assert_close(line.loss, line.position * line.norm)
    assert (line.label, line.norm) == ("mine", pytest.approx(3 * math.sqrt(5)))


def test_a_loss_that_is_not_finite_is_nan_there():
    landscape = formula(lambda t: t[0].log(), [1.0])
    line = line_scan(landscape, torch.ones(1, dtype=torch.float64), points=5, span=(-2.0, 2.0))
    assert line.loss.isnan().tolist() == [True, True, False, False, False]
    assert line.loss[2:].tolist() == pytest.approx([0, math.log(2), math.log(3)])


def test_progress_is_reported():
    reporter = Reporter()
    line_scan(g1(), torch.ones(9, dtype=torch.float64), points=4, progress=reporter)
    assert (reporter.stages, reporter.done) == ([("line along direction", 4)], 4)


def test_the_landscape_and_the_model_stay_where_they_are():
    model = cnn()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(3, 1, 6, 6), classes(3))])
    theta, direction = landscape.theta, random_directions(landscape, 1)
    before = direction.vectors.clone()
    with unchecked(), unchanged(model):
        line_scan(landscape, direction, points=5, quadratic=True)
    assert torch.equal(landscape.theta, theta)
    assert torch.equal(direction.vectors, before)


def test_a_scan_that_is_interrupted_leaves_the_model():
    model = Counting(mlp())
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(3, 4), classes(3))])
    model.fail_at, model.error = model.seen[0] + 3, KeyboardInterrupt
    with unchecked(), unchanged(model), pytest.raises(KeyboardInterrupt):
        line_scan(landscape, landscape.theta, points=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"direction": torch.ones(3, dtype=torch.float64)},
            r"direction: expected shape \(2,\) or \(2, k\), got \(3,\)",
        ),
        ({"direction": 0 * D}, r"direction: expected vectors that are not zero, got length 0 in column 0"),
        ({"direction": D / 0}, r"direction: expected finite entries"),
        (
            {"direction": Directions(torch.eye(2, dtype=torch.float64), ("a", "b"), (1.0, 1.0))},
            r"direction: expected 1 of them, shape \(2, 1\), got 2\. Take one with directions\.only\(i\)",
        ),
        ({"direction": D, "points": 1}, r"points: expected at least 2, got 1"),
        ({"direction": D, "span": (1.0, 0.0)}, r"span: expected two finite numbers, the first below the second"),
        (
            {"direction": D, "operator": tw.FunctionOperator(lambda v: v, 2, dtype=torch.float64)},
            r"operator: expected None without quadratic=True",
        ),
        (
            {"direction": D, "quadratic": True, "operator": tw.FunctionOperator(lambda v: v, 3, dtype=torch.float64)},
            r"operator: expected shape \(2, 2\), got \(3, 3\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        line_scan(quadratic(A, B, [1.0, 2.0]), **arguments)

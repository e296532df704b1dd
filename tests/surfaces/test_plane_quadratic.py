"""The quadratic model on planes."""

import pytest
import torch

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.surfaces import line_scan, plane_scan

A = torch.tensor([[3.0, 1.0, 0.5], [1.0, -2.0, 0.25], [0.5, 0.25, 1.0]], dtype=torch.float64)
B = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
FRAME = torch.tensor([[2.0, 1.0], [1.0, -2.0], [0.0, 0.0]], dtype=torch.float64)


def test_it_is_exact_for_a_quadratic_and_not_transposed():
    surface = plane_scan(
        quadratic(A, B, [1.0, 2.0, -1.0]), FRAME, points=(3, 4), span=((-1.0, 2.0), (0.0, 0.5)), quadratic=True
    )
    torch.testing.assert_close(surface.quadratic, surface.loss, rtol=1e-13, atol=1e-13)
    assert (surface.cost.losses, surface.cost.gradients, surface.cost.matvecs) == (12, 1, 2)


def test_it_touches_a_network_to_third_order():
    landscape = g1()
    frame = torch.linalg.qr(landscape.space.randn(count=2)).Q
    gaps = []
    for reach in (1e-3, 2e-3):
        surface = plane_scan(landscape, frame, points=3, span=(-reach, reach), quadratic=True)
        gaps.append(float((surface.loss - surface.quadratic)[2, 2].abs()))
        assert float(surface.quadratic[1, 1]) == landscape.loss()
    assert gaps[1] / gaps[0] == pytest.approx(8, rel=0.05)


def test_its_middle_row_is_the_model_of_the_line():
    landscape = g1()
    frame = torch.linalg.qr(landscape.space.randn(count=2)).Q
    surface = plane_scan(landscape, frame, points=5, quadratic=True)
    line = line_scan(landscape, frame[:, 0].contiguous(), points=5, span=(-1.0, 1.0), quadratic=True)
    torch.testing.assert_close(surface.quadratic[2], line.quadratic)


def test_another_matrix_makes_another_model():
    landscape = quadratic(A, 0 * B, [0.0, 0.0, 0.0])
    op = tw.FunctionOperator(lambda v: 4 * v, 3, dtype=torch.float64)
    surface = plane_scan(landscape, FRAME, points=3, quadratic=True, operator=op)
    assert surface.quadratic.tolist() == [[20, 10, 20], [10, 0, 10], [20, 10, 20]]
    assert op.matvecs == 2


def test_without_being_asked_for_there_is_none():
    assert plane_scan(g1(), torch.eye(9, 2, dtype=torch.float64), points=2).quadratic is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operator": tw.FunctionOperator(lambda v: v, 3)}, r"operator: expected None without quadratic=True"),
        (
            {"operator": tw.FunctionOperator(lambda v: v, 2), "quadratic": True},
            r"operator: expected shape \(3, 3\), got \(2, 2\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        plane_scan(quadratic(A, B, [1.0, 2.0, 3.0]), FRAME, points=2, **arguments)


def test_a_gradient_that_is_not_finite_is_an_error():
    landscape = formula(lambda t: t[0].abs().sqrt() + t[1], [0.0, 1.0])
    with pytest.raises(NonFiniteError):
        plane_scan(landscape, torch.eye(2, dtype=torch.float64), points=2, quadratic=True)

"""What the figure of a trajectory shows."""

import math

import pytest
import torch

import thalweg as tw
from thalweg.figures import draw, plot

STEPS = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [3.0, 4.0, 0.0], [3.0, 4.0, 1.0]], dtype=torch.float64)
SLOPES = torch.tensor([[100.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def titles(figure):
    return [note.text for note in figure.layout.annotations]


def test_lengths_turns_slopes_and_shares_have_a_panel_each():
    found = tw.trajectory(STEPS, SLOPES)
    figure = plot(found)
    curves = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data if trace.name}
    assert curves["along the path"] == ([0, 1, 2, 3], [0.0, 3.0, 7.0, 8.0])
    assert curves["from the start"][1] == pytest.approx([0.0, 3.0, 5.0, math.sqrt(26)])
    # Turns belong to the point between two updates; the gradients' to the later of two points.
    assert curves["updates"] == ([1, 2], pytest.approx([90.0, 90.0]))
    assert curves["gradients"] == ([1, 2, 3], pytest.approx([90.0, 0.0, 90.0]))
    assert curves["‖g‖"][1] == [100.0, 2.0, 1.0, 1.0]
    assert curves["this path"][1] == pytest.approx(found.explained.tolist())
    assert curves["random walk"][1] == pytest.approx(found.null_explained.tolist())
    assert {"distance", "gradient norm", "turn, degrees", "share of variance", "start", "end"} <= set(titles(figure))
    assert figure.layout.yaxis3.type == "log"


def test_the_plane_is_drawn_to_one_scale_and_says_what_it_holds():
    found = tw.trajectory(STEPS)
    figure = plot(found)
    assert figure.layout.yaxis.scaleanchor == "x"
    shares = [round(100 * share) for share in found.explained.tolist()]
    assert figure.layout.xaxis.title.text == f"component 1, {shares[0]} % of variance"
    assert f"component 2, {shares[1]} % of variance" in titles(figure)
    shown = torch.tensor([list(figure.data[1].x), list(figure.data[1].y)], dtype=torch.float64)
    assert torch.allclose(shown.mT, found.coordinates)
    (axes, *_) = draw(found).axes
    assert axes.get_aspect() == 1.0
    assert axes.get_xlabel() == f"component 1, {shares[0]} % of variance"


def test_coordinates_are_those_of_the_singular_value_decomposition():
    points = torch.randn(7, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = tw.trajectory(points)
    centred = points - points.mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = u[:, :2] * s[:2]
    signs = (expected * found.coordinates).sum(dim=0).sign()
    assert torch.allclose(found.coordinates, expected * signs, atol=1e-12)
    # Variance of the plane is the share that it is said to have.
    share = found.coordinates.square().sum() / centred.square().sum()
    assert float(share) == pytest.approx(float(found.explained[:2].sum()), rel=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_few_points_have_a_figure(count):
    found = tw.trajectory(STEPS[:count])
    assert tuple(found.coordinates.shape) == (count, min(2, count - 1))
    panels = 3 if count == 2 else 4
    visible = [axes for axes in draw(found).axes if axes.get_visible()]
    assert len(visible) == panels
    assert len({trace.xaxis for trace in plot(found).data}) == panels


def test_without_the_points_there_is_no_plane():
    meter = tw.TrajectoryMeter()
    for point in STEPS:
        meter.add(point)
    found = meter.read()
    assert found.coordinates is None
    assert not any("component" in text for text in titles(plot(found)))
    assert len(draw(found).axes) == 2


def test_points_that_are_all_the_same_leave_gaps():
    found = tw.trajectory(torch.ones(4, 3))
    curves = {trace.name: list(trace.y) for trace in plot(found).data}
    assert all(math.isnan(turn) for turn in curves["updates"])
    draw(found)


def test_given_axes_show_the_first_panel():
    (axes,) = draw(tw.trajectory(STEPS)).axes[:1]
    figure = draw(tw.trajectory(STEPS), axes)
    assert figure is axes.figure

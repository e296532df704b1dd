"""What the figure of an intrinsic dimension shows."""

from dataclasses import replace

import pytest
import torch

from thalweg.estimate import Cost
from thalweg.figures import draw, plot
from thalweg.measures import IntrinsicDimension

FOUND = IntrinsicDimension(
    value=30,
    interval=(20.0, 45.0),
    crossings=(25, 36),
    bracket=(10, 100),
    dimensions=(1, 10, 100),
    performances=torch.tensor([[0.1, 0.3], [0.5, 0.7], [0.9, 0.9]], dtype=torch.float64),
    start=0.1,
    baseline=0.9,
    baselines=None,
    share=0.9,
    target=0.81,
    metric="accuracy",
    projection="dense",
    size=1234,
    steps=10,
    cost=Cost(),
)


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_means_have_errors_and_stand_among_single_trainings():
    curves = by_name(plot(FOUND))
    assert list(curves["mean"].y) == pytest.approx([0.2, 0.6, 0.9])
    assert list(curves["mean"].error_y.array) == pytest.approx([0.1, 0.1, 0.0])
    assert list(curves["single seeds"].x) == [1, 1, 10, 10, 100, 100]
    assert list(curves["single seeds"].y) == [0.1, 0.3, 0.5, 0.7, 0.9, 0.9]


def test_what_is_asked_for_and_what_is_found_are_marked():
    figure = plot(FOUND)
    curves = by_name(figure)
    assert set(curves["90 % of it 0.810"].y) == {0.81}
    assert set(curves["all parameters 0.900"].y) == {0.9}
    assert set(curves["before training 0.100"].y) == {0.1}
    assert set(curves["d_int = 30 [20, 45]"].x) == {30}
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == (20.0, 45.0)
    assert figure.layout.xaxis.title.text == "dimensions trained, d, of 1,234 parameters"
    assert list(figure.layout.xaxis.ticktext) == ["1", "10", "100"]
    words = [text.get_text() for text in draw(FOUND).axes[0].get_legend().get_texts()]
    assert "d_int = 30 [20, 45]" in words
    assert "90 % of it 0.810" in words


def test_a_dimension_that_was_not_found_is_not_marked():
    figure = plot(replace(FOUND, value=None, interval=None, crossings=(None, None)))
    assert not any(name.startswith("d_int") for name in by_name(figure))
    assert len(figure.layout.shapes) == 0
    draw(replace(FOUND, value=None, interval=None))


def test_one_seed_has_no_error():
    one = replace(FOUND, performances=FOUND.performances[:, :1], interval=None, crossings=(30,))
    curves = by_name(plot(one))
    assert curves["accuracy"].error_y.array is None
    assert "single seeds" not in curves
    draw(one)


def test_no_dimension_had_to_be_tried():
    none = replace(FOUND, dimensions=(), performances=torch.zeros(0, 2), value=0, interval=(0.0, 0.0), crossings=(0, 0))
    plot(none)
    draw(none)


def test_dimensions_that_lie_close_have_round_ticks():
    many = tuple(range(50, 62))
    close = replace(FOUND, dimensions=many, performances=torch.rand(12, 2, generator=torch.Generator().manual_seed(0)))
    assert list(plot(close).layout.xaxis.tickvals) == [20.0, 50.0]


def test_text_stays_text():
    figure = plot(replace(FOUND, metric="<b>$x$</b>"), title="<i>")
    assert "&lt;b&gt;$x$&lt;/b&gt;" in [note.text for note in figure.layout.annotations]
    assert any(text.get_text() == r"<b>\$x\$</b>" for text in draw(replace(FOUND, metric="<b>$x$</b>")).axes[0].texts)

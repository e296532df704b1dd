import math

import numpy as np
import pytest
import torch

from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.surfaces._results import Line

S = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64)


def line(*loss, model=True, norm=0.5):
    return Line(
        S, torch.tensor(loss, dtype=torch.float64), label="e₁", norm=norm, quadratic=9 * S**2 if model else None
    )


def test_the_axis_is_true_distance():
    for trace in plot(line(1.0, 0.5, 1.0, 2.0, norm=0.5)).data:
        np.testing.assert_allclose(trace.x, [-0.5, 0, 0.5, 1])
    drawn = draw(line(1.0, 0.5, 1.0, 2.0, norm=0.5)).axes[0].lines
    np.testing.assert_allclose(drawn[-1].get_xdata(), [-0.5, 0, 0.5, 1])


def test_the_model_does_not_stretch_the_axis():
    low, high = plot(line(1.0, 0.5, 1.0, 2.0)).layout.yaxis.range
    assert low < 0.5
    assert 2.0 < high < 3.0


def test_without_a_model_there_is_no_legend():
    figure = plot(line(1.0, 0.5, 1.0, 2.0, model=False))
    assert len(figure.data) == 1
    assert figure.layout.showlegend is False
    assert draw(line(1.0, 0.5, 1.0, 2.0, model=False)).axes[0].get_legend() is None


def test_a_point_that_is_not_finite_is_a_gap():
    assert np.isnan(plot(line(1.0, math.inf, 1.0, 2.0)).data[-1].y[1])


def test_a_flat_line_has_an_axis_with_a_height():
    low, high = plot(line(0.0, 0.0, 0.0, 0.0, model=False)).layout.yaxis.range
    assert low < 0 < high


def test_a_logarithmic_axis_needs_a_positive_loss():
    figure = plot(line(1.0, 0.01, 1.0, 2.0), scale="log")
    assert figure.layout.yaxis.type == "log"
    assert 10 ** figure.layout.yaxis.range[0] < 0.01
    with pytest.raises(
        ArgumentError, match=r"scale: 'log' needs a positive loss, got -0\.1 on the line; use 'linear'\."
    ):
        plot(line(1.0, -0.1, 1.0, 2.0), scale="log")


def test_a_line_without_a_finite_loss_is_refused():
    with pytest.raises(ArgumentError, match="result: expected a line with at least one finite loss, got none"):
        draw(line(*[math.nan] * 4))

"""What the figure of Langevin chains shows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thalweg.estimate import Estimate
from thalweg.figures import draw, plot
from thalweg.measures import LearningCoefficient

LOSSES = torch.tensor([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]], dtype=torch.float64)
FOUND = LearningCoefficient(
    estimate=Estimate(2.0, 0.1, dof=1),
    chains=torch.tensor([1.9, 2.1], dtype=torch.float64),
    losses=LOSSES,
    rhat=1.01,
    effective_draws=torch.tensor([2.0, 2.0]),
    below=0.0,
    distances=torch.tensor([1.0, 1.0]),
    left=(1,),
    hot=(),
    base=0.1,
    inverse_temperature=10.0,
    localisation=100.0,
    step_size=1e-4,
    batch_size=None,
    burn_in=5,
    size=10,
)


def test_every_chain_is_a_curve_and_a_point():
    figure = plot(FOUND)
    curves = {trace.name: trace for trace in figure.data if trace.name}
    assert list(curves["chain 0"].x) == [1, 2, 3]
    assert list(curves["chain 1"].y) == [0.3, 0.2, 0.1]
    assert set(curves["λ̂ = 2.00 ± 0.10"].y) == {2.0}
    assert set(curves["P/2 = 5"].y) == {5.0}
    points = figure.data[-1]
    assert list(points.y) == [1.9, 2.1]
    assert list(points.marker.symbol) == ["circle", "diamond-open"]
    assert "left the neighbourhood" in points.customdata[1]
    (band,) = figure.layout.shapes
    assert (band.y0, band.y1) == FOUND.estimate.interval()
    assert len(draw(FOUND).axes) == 2


def test_the_bound_is_left_out_where_it_would_press_the_chains_flat():
    assert "P/2 = 5000" not in {trace.name for trace in plot(replace(FOUND, size=10_000)).data}
    words = [text.get_text() for text in draw(replace(FOUND, size=10_000)).axes[1].get_legend().get_texts()]
    assert words == ["λ̂ = 2.00 ± 0.10"]


def test_one_chain_has_no_interval():
    one = replace(FOUND, estimate=Estimate(2.0), chains=FOUND.chains[:1], losses=LOSSES[:1], left=(), hot=(0,))
    figure = plot(one)
    assert len(figure.layout.shapes) == 0
    assert "hot" in figure.data[-1].customdata[0]
    draw(one)


def test_long_chains_are_thinned_and_their_gaps_stay():
    losses = torch.rand(2, 10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses[0, 0] = float("inf")
    curve = plot(replace(FOUND, losses=losses)).data[0]
    assert len(curve.x) <= 1500
    assert np.isnan(curve.y[0])
    assert curve.y[1] == pytest.approx(float(losses[0, int(curve.x[1]) - 1]))


def test_given_axes_show_the_losses():
    axes = draw(FOUND).axes[1]
    axes.clear()
    draw(FOUND, axes)
    assert len(axes.lines) == 2

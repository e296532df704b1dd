import math
from dataclasses import replace

import numpy as np
import torch

from thalweg.figures import draw, plot
from thalweg.paths._results import Barrier, PathScan

ALPHA = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)


def scan(*loss, **metrics):
    curves = {name: torch.tensor(values, dtype=torch.float64) for name, values in metrics.items()}
    return PathScan(ALPHA, ALPHA, torch.tensor(loss, dtype=torch.float64), curves, labels=("here", "there"))


def test_the_barrier_stands_on_the_chord_and_ends_on_the_curve():
    barrier = Barrier(2.5, 2.0, 2.5, 3.0, 0.5, 4.0, 0.5)
    chord, _, bar = plot(scan(1.0, 4.0, 2.0), barrier=barrier).data
    assert chord.y == (1.0, 2.0)
    assert bar.x == (0.5, 0.5)
    assert bar.y == (1.5, 4.0)
    assert bar.name == "barrier 2.50"


def test_metrics_get_panels_of_their_own():
    figure = plot(scan(1.0, 4.0, 2.0, accuracy=[1.0, 0.2, 0.9]))
    labels = {note.text for note in figure.layout.annotations}
    assert labels == {"loss", "accuracy"}
    assert len(draw(scan(1.0, 4.0, 2.0, accuracy=[1.0, 0.2, 0.9])).axes) == 2


def test_the_ends_are_named():
    assert plot(scan(1.0, 4.0, 2.0)).layout.xaxis.title.text == "position α<br>0: here<br>1: there"
    assert draw(scan(1.0, 4.0, 2.0)).axes[0].get_xlabel() == "position α\n0: here\n1: there"


def test_a_point_that_is_not_finite_is_left_out_and_an_end_that_is_not_has_no_chord():
    _, middle, gap = plot(scan(1.0, math.inf, 2.0)).data
    assert np.isnan(middle.y[1])
    assert (gap.x, gap.y, gap.name) == (0.5, 1.0, "not finite")
    (curve,) = plot(scan(math.nan, 4.0, 2.0), barrier=Barrier(1, 1, 1, 1, 0.5, 4.0, 0.5, 1)).data
    assert np.isnan(curve.y[0])


def test_a_path_without_a_rise_has_no_bar(four):
    flat = replace(four.connections[0].barrier, linear=0.0)
    names = [trace.name for trace in plot(four.connections[0].path, barrier=flat).data]
    assert not any(name and name.startswith("barrier") for name in names)

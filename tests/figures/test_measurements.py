from dataclasses import replace

import numpy as np
import pytest

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.figures._measurements import MEASURES, bars


def test_bars_are_the_values_and_whiskers_their_errors(four):
    (bar,) = plot(four.measurements, measures=("trace",)).data
    np.testing.assert_allclose(bar.x, [item.trace.value for item in four.measurements])
    np.testing.assert_allclose(bar.error_x.array, [item.trace.standard_error for item in four.measurements])
    (bar,) = plot(four.measurements, measures=("eigenvalue",)).data
    np.testing.assert_allclose(bar.error_x.array, [float(item.top.residuals[0]) for item in four.measurements])


def test_each_measure_has_its_panel_and_label(four):
    figure = plot(four.measurements)
    assert len(figure.data) == len(MEASURES) == len(draw(four.measurements).axes)
    labels = [note.text for note in figure.layout.annotations]
    assert "sharpness S within ρ = 0.05" in labels
    assert "test accuracy" in labels
    assert (
        not plot(four.measurements, measures=("trace",), headed=False).layout.annotations[-1].text.startswith("trace")
    )


def test_the_training_accuracy_stands_in_where_one_has_no_test_data(four):
    first, *rest = four.measurements
    (panel,) = bars((replace(first, test=None), *rest), ("accuracy",))
    assert panel.label == "training accuracy"
    assert panel.values == [item.train.metrics["accuracy"].value for item in four.measurements]


def test_what_was_not_determined_has_no_bar_and_says_so(four):
    first, *rest = four.measurements
    figure = plot((replace(first, effective_rank=None), *rest), measures=("rank",))
    assert figure.data[0].x[0] is None
    assert "not determined" in [note.text for note in figure.layout.annotations]
    assert len(draw((replace(first, effective_rank=None), *rest), measures=("rank",)).axes[0].patches) == 3


def test_a_measure_that_nobody_has_is_left_out_unless_asked_for(four):
    bare = tuple(replace(item, effective_rank=None) for item in four.measurements)
    assert len(bars(bare)) == len(MEASURES) - 1
    assert len(bars(bare, ("rank",))) == 1


def test_a_wide_range_has_a_logarithmic_axis(four):
    first, *rest = four.measurements
    wide = (replace(first, gradient_norm=replace(first.gradient_norm, value=1e3)), *rest)
    assert plot(wide, measures=("gradient",)).layout.xaxis.type == "log"
    assert draw(wide, measures=("gradient",)).axes[0].get_xscale() == "log"
    assert plot(four.measurements, measures=("gradient",)).layout.xaxis.type is None


def test_equal_names_keep_their_own_bars(four):
    same = tuple(replace(item, name="the same") for item in four.measurements)
    (bar,) = plot(same, measures=("trace",)).data
    assert len(set(bar.y)) == 4


@pytest.mark.parametrize("function", [plot, draw])
def test_bad_input_is_named(function, four):
    with pytest.raises(
        ArgumentError, match=r"result: expected at least one Measurement and nothing else, got nothing\."
    ):
        function(())
    with unchecked(), pytest.raises(ArgumentError, match=r"nothing else, got \['Measurement', 'int'\]"):
        function([four.measurements[0], 3])
    with pytest.raises(ArgumentError, match=r"measures: expected some of 'sharpness', .*, got \['speed'\]"):
        function(four.measurements, measures=("speed",))
    with pytest.raises(ArgumentError, match=r"measures: expected some of .*, got \[\]"):
        function(four.measurements, measures=())

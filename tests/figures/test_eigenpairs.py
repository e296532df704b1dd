import numpy as np
import pytest
import torch

from tests.report.synthetic import eigenpairs
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.figures._ticks import symlog_inverse


def pairs(*values, which="LA", unconverged=0):
    return eigenpairs(torch.tensor(values, dtype=torch.float64), which, unconverged=unconverged)


def markers(figure):
    return [trace for trace in figure.data if trace.mode == "markers"]


def test_a_linear_axis_shows_values_and_residuals_as_they_are():
    result = pairs(5.0, 2.0, 1.0)
    (dots,) = markers(plot(result, scale="linear"))
    np.testing.assert_allclose(dots.y, [5, 2, 1])
    np.testing.assert_allclose(dots.error_y.array, result.residuals.numpy())
    np.testing.assert_allclose(dots.error_y.arrayminus, result.residuals.numpy())


def test_a_symlog_axis_has_its_ticks_at_the_values_they_name():
    figure = plot(pairs(5.0, 0.02, -0.3))
    axis = figure.layout.yaxis
    np.testing.assert_allclose(
        symlog_inverse(np.asarray(axis.tickvals), 0.01), [float(t.replace("−", "-")) for t in axis.ticktext], rtol=1e-9
    )
    (dots,) = markers(figure)
    np.testing.assert_allclose(symlog_inverse(np.asarray(dots.y), 0.01), [5, 0.02, -0.3])


def test_the_other_end_stands_after_a_gap_with_the_smallest_last():
    figure = plot(pairs(5.0, 2.0), bottom=pairs(-0.9, -0.4, which="SA"), scale="linear")
    (dots,) = markers(figure)
    np.testing.assert_array_equal(dots.x, [1, 2, 5, 6])
    np.testing.assert_allclose(dots.y, [5, 2, -0.4, -0.9])
    assert figure.layout.xaxis.ticktext[-1] == "P"
    assert [text.split(":")[0] for text in dots.customdata] == ["rank 1", "rank 2", "rank P−1", "rank P"]


def test_what_has_not_converged_looks_another_way():
    done, open_ = markers(plot(pairs(5.0, 2.0, 1.0, unconverged=1)))
    assert (done.name, len(done.y)) == ("converged", 2)
    assert (open_.name, len(open_.y), open_.marker.symbol) == ("not converged", 1, "circle-open")
    assert plot(pairs(5.0, 2.0)).layout.showlegend is False
    assert draw(pairs(5.0, 2.0, 1.0, unconverged=1)).axes[0].get_legend() is not None


def test_figures_beside_each_other_share_their_axis():
    small, large = pairs(1.0, 0.5), pairs(100.0, -3.0)
    alone, shared, other = plot(small), plot(small, beside=[large]), plot(large, beside=[small])
    assert shared.layout.yaxis.range == other.layout.yaxis.range != alone.layout.yaxis.range
    assert shared.layout.yaxis.ticktext == other.layout.yaxis.ticktext
    assert draw(small, beside=[large]).axes[0].get_ylim() == draw(large, beside=[small]).axes[0].get_ylim()


@pytest.mark.parametrize(("which", "label"), [("SA", "rank from the smallest"), ("LM", "rank by magnitude")])
def test_the_axis_says_which_end(which, label):
    assert plot(pairs(1.0, 2.0, which=which)).layout.xaxis.title.text == label
    assert draw(pairs(1.0, 2.0, which=which)).axes[0].get_xlabel() == label


def test_zeros_alone_can_be_drawn():
    assert plot(pairs(0.0, 0.0)).data
    assert draw(pairs(0.0, 0.0)).axes


@pytest.mark.parametrize("function", [plot, draw])
def test_another_scale_is_named(function):
    with unchecked(), pytest.raises(ArgumentError, match="scale: expected one of 'linear', 'symlog', got 'log'"):
        function(pairs(1.0), scale="log")

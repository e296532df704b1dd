"""Several spectra on one axis: every eigenvalue where it is, every density as it is."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from tests.unchecked import unchecked
from thalweg.figures._ticks import symlog_inverse, symlog_threshold


def spectrum(scale: float, size: int = 20) -> tw.Spectrum:
    op, _ = operator((scale * np.linspace(-0.5, 2, size)).tolist())
    return tw.spectrum(op, top=min(3, size), bottom=min(2, size), probes=2, steps=6)


@pytest.fixture(scope="module")
def blocks():
    spectra = {"first": spectrum(1.0), "second": spectrum(10.0), "one": spectrum(3.0, 1)}
    return tw.BlockSpectra(spectra, {name: (f"{name}.weight",) for name in spectra}, "hessian", tw.Cost())


@pytest.fixture(scope="module")
def matrices():
    return tw.MatrixSpectra({"hessian": spectrum(1.0), "ggn": spectrum(5.0)}, tw.Cost(), {})


def test_strips_show_every_eigenvalue_once(blocks):
    figure = tw.plot(blocks)
    _, dots, means = figure.data
    shown = {name: torch.cat([one.bottom.values, one.top.values]).unique() for name, one in blocks.spectra.items()}
    every = np.concatenate([np.asarray(values) for values in shown.values()])
    mean = np.array([one.trace.value / one.size for one in blocks.spectra.values()])
    threshold = symlog_threshold(np.concatenate([every, mean]))
    for row, values in enumerate(shown.values()):
        at = np.asarray(dots.x)[np.asarray(dots.y) == row]
        np.testing.assert_allclose(np.sort(symlog_inverse(at, threshold)), values, rtol=1e-9)
    np.testing.assert_allclose(symlog_inverse(np.asarray(means.x), threshold), mean, rtol=1e-9)
    assert figure.layout.yaxis.ticktext == ("first (20)", "second (20)", "one (1)")
    axes = tw.draw(blocks).axes[0]
    drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "o"])
    np.testing.assert_allclose(np.sort(drawn), np.sort(every))


def test_what_has_not_converged_is_open(matrices):
    one = spectrum(1.0)
    one.top.converged[1] = False
    figure = tw.plot(tw.MatrixSpectra({"a": one}, tw.Cost(), {}))
    (open_,) = [trace for trace in figure.data if trace.name == "not converged"]
    assert len(open_.x) == 1
    assert open_.marker.symbol == "circle-open"
    assert "not converged" not in {trace.name for trace in tw.plot(matrices).data}
    tw.draw(tw.MatrixSpectra({"a": one}, tw.Cost(), {}))


def test_panels_show_the_densities_on_common_axes(matrices):
    figure = tw.plot(matrices, view="density")
    curves = [trace for trace in figure.data if trace.name == "density"]
    for curve, one in zip(curves, matrices.spectra.values(), strict=True):
        y = np.asarray(curve.y, dtype=float)
        kept = np.isfinite(y)
        assert kept.any()
        np.testing.assert_allclose(y[kept], one.density.density.numpy()[kept])
    ends = [trace for trace in figure.data if trace.name == "eigenvalues of both ends"]
    np.testing.assert_allclose(
        ends[1].x, np.unique(torch.cat([matrices["ggn"].top.values, matrices["ggn"].bottom.values]))
    )
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    wide = matrices["ggn"].density.grid
    assert figure.layout.xaxis.range == (float(wide[0]), float(wide[-1]))
    first, second = tw.draw(matrices, view="density").axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()


@pytest.mark.parametrize("view", ["eigenvalues", "density"])
@pytest.mark.parametrize("count", [1, 10, 60])
def test_any_number_of_groups(view, count):
    one = spectrum(1.0)
    spectra = {f"encoder.transformer.blocks.{place}.attention": one for place in range(count)}
    result = tw.BlockSpectra(spectra, {name: (name,) for name in spectra}, "hessian", tw.Cost())
    assert tw.plot(result, view=view).layout.height < 2600
    paper = tw.draw(result, view=view, title="a title")
    paper.canvas.draw()
    box, page = paper.get_tightbbox(), paper.get_size_inches()
    assert box.x0 > -0.05
    assert box.x1 < page[0] + 0.05
    # Given axes are used.
    figure = tw.draw(spectrum(1.0))
    assert tw.draw(result, figure.axes[0], view=view) is figure


def test_zeros_can_be_drawn():
    zero = tw.spectrum(tw.FunctionOperator(torch.zeros_like, 5, dtype=torch.float64))
    result = tw.MatrixSpectra({"zero": zero}, tw.Cost(), {})
    for view in ("eigenvalues", "density"):
        assert tw.plot(result, view=view).data
        assert tw.draw(result, view=view).axes


def test_an_unknown_view_is_named(matrices):
    for function in (tw.plot, tw.draw):
        with (
            unchecked(),
            pytest.raises(tw.errors.ArgumentError, match="view: expected one of 'eigenvalues', 'density'"),
        ):
            function(matrices, view="both")

"""A spectrum shows what its eigenpairs and its density show."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from tests.unchecked import unchecked


@pytest.fixture(scope="module")
def spectrum():
    op, _ = operator([10.0, 9.0, 8.0, *np.linspace(-0.2, 0.5, 57).tolist()])
    return tw.spectrum(op, top=5, bottom=2)


def test_both_ends_by_rank(spectrum):
    figure = tw.plot(spectrum, title="Hessian")
    assert figure.to_dict() == tw.plot(spectrum.top, bottom=spectrum.bottom, title="Hessian").to_dict()
    heights = np.concatenate([np.asarray(part.y, dtype=float) for part in tw.plot(spectrum, scale="linear").data[1:]])
    assert set(np.round(spectrum.top.values.numpy(), 6)) <= set(np.round(heights, 6))
    assert len(tw.draw(spectrum).axes) == 1


def test_the_density_with_its_outliers(spectrum):
    assert spectrum.outliers == 3
    figure = tw.plot(spectrum, view="density")
    *_, marks = figure.data
    np.testing.assert_array_equal(marks.x, spectrum.top.values[:3])
    assert tw.draw(spectrum, view="density").axes[0].get_yscale() == "log"
    curve = figure.data[1]
    assert float(torch.trapezoid(spectrum.density.density, spectrum.density.grid)) == pytest.approx(1, abs=1e-6)
    assert len(curve.x) == len(spectrum.density.grid)


def test_an_unknown_view_is_named(spectrum):
    for function in (tw.plot, tw.draw):
        with (
            unchecked(),
            pytest.raises(tw.errors.ArgumentError, match="view: expected one of 'eigenvalues', 'density', "),
        ):
            function(spectrum, view="both")

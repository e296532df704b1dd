"""A spectrum shows what its eigenpairs and its density show."""

from dataclasses import replace

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


def test_the_edge_of_the_bulk_and_what_lies_beyond():
    values = [10.0, 9.0, *(2 * np.cos(np.pi * (np.arange(1, 121) / 121) ** 1)).tolist()]
    op, _ = operator(values)
    found = tw.spectrum(op, top=15, bottom=1, probes=2, steps=15)
    found = replace(found, edge=tw.measures.BulkEdge(2.0, 0.01, 2.1, 2))
    *_, marks, line = tw.plot(found, view="density").data
    np.testing.assert_array_equal(marks.x, found.top.values[:2])
    assert line.name == "edge of the bulk"
    assert tuple(line.x) == (2.0, 2.0)
    labels = [text.get_text() for text in tw.draw(found, view="density").axes[0].get_legend().get_texts()]
    assert labels[-2:] == ["2 outliers", "edge of the bulk"]

from dataclasses import replace

import numpy as np

from thalweg.figures import draw, plot


def test_the_curve_is_the_density_and_the_band_is_one_error_wide(item):
    density = item.density
    band, curve = plot(density).data
    known = density.density > 1e-6
    np.testing.assert_allclose(np.asarray(curve.y)[known], density.density[known])
    upper = np.asarray(band.y)[: len(density.grid)]
    np.testing.assert_allclose(upper[known], (density.density + density.standard_error)[known])


def test_the_axis_is_logarithmic_and_ends_above_the_gaussians_tail(item):
    figure = plot(item.density)
    assert figure.layout.yaxis.type == "log"
    low, high = figure.layout.yaxis.range
    assert -16 < low < high
    lightest = float(item.density.weights.min()) / (item.density.width * np.sqrt(2 * np.pi))
    assert 10**low < lightest
    assert draw(item.density).axes[0].get_yscale() == "log"


def test_outliers_are_marked_where_they_are(item):
    outliers = item.top.values[:3]
    *_, marks = plot(item.density, outliers=outliers).data
    np.testing.assert_array_equal(marks.x, outliers)
    assert marks.name == "3 outliers"
    assert plot(item.density, outliers=outliers[:1]).data[-1].name == "1 outlier"


def test_one_probe_has_no_band_and_says_so(item):
    density = replace(item.density, nodes=item.density.nodes[:1], weights=item.density.weights[:1], standard_error=None)
    (curve,) = plot(density).data
    assert curve.name == "one probe"
    assert len(draw(density).axes[0].collections) == 0


def test_the_horizontal_axis_can_be_chosen(item):
    assert plot(item.density, limits=(-1.0, 2.0)).layout.xaxis.range == (-1.0, 2.0)
    assert draw(item.density, limits=(-1.0, 2.0)).axes[0].get_xlim() == (-1.0, 2.0)

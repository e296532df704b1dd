"""Advice on how many samples are enough: laws with known answers, and what the advice is worth when it is followed."""

import math

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.measures.parts_of_data import operators, seeded, use_dense, wishart
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.measures._error_laws import Gaps, Goal, maximum_law, mean_law


def test_a_mean_without_bias():
    """The standard error falls with the root: twice the accuracy takes four times the data."""
    law = mean_law(5.0, 0.5, Goal(0.02, 100, 19))
    assert law.size == 2500
    assert mean_law(5.0, 0.5, Goal(0.01, 100, 19)).size == 10_000
    low, high = law.size_interval
    assert low < 2500 < high
    assert (law.bias, law.exponent, law.misfit, law.relative_error) == (0.0, None, None, 0.1)
    assert mean_law(5.0, 0.0, Goal(0.02, 100, 19)).size == 1
    assert mean_law(-5.0, 0.5, Goal(0.02, 100, 19)).size == 2500


@pytest.mark.parametrize("slope", [0.5, 0.75, 1.0])
def test_the_law_of_a_maximum_is_found_again(slope):
    """Gaps that obey a power law exactly; the bias is the integral of g/2s."""
    shares = [0.8, 0.5, 0.25]
    gaps = Gaps(shares, [0.3 * share**-slope for share in shares], 0.01)
    law = maximum_law(4.0, 0.2, gaps, Goal(0.01, 1000, 19))
    assert law.exponent == pytest.approx(slope, abs=1e-4)
    assert law.bias == pytest.approx(0.3 / (2 * slope), rel=1e-4)
    assert law.misfit < 1e-4
    ratio = 1000 / law.size
    error = math.hypot(law.bias * ratio**law.exponent, 0.2 * math.sqrt(ratio))
    assert error == pytest.approx(0.04, rel=1e-3)
    assert law.size_interval[0] < law.size < law.size_interval[1]


def test_a_gap_that_is_none():
    """Noise alone: no bias, nothing known of the slope; and a value that cannot be told from zero gets no size."""
    law = maximum_law(4.0, 0.2, Gaps([0.8, 0.5, 0.25], [-0.1, -0.05, -0.2], 0.1), Goal(0.1, 1000, 19))
    assert (law.bias, law.exponent_error, law.misfit) == (0.0, None, None)
    assert law.size == 250
    lost = mean_law(0.3, 0.2, Goal(0.1, 1000, 19))
    assert (lost.size, lost.size_interval) == (None, None)


def advised(monkeypatch, spectrum: np.ndarray, rtol: float, runs: int, **settings) -> list[tw.SubsetSize]:
    use_dense(monkeypatch)
    parts = [operators(wishart(spectrum, 400, 20, seed)) for seed in range(runs)]
    return [tw.size_advice(each, rtol, 400, generator=seeded(seed), **settings) for seed, each in enumerate(parts)]


def test_advice_on_the_trace_is_the_known_size(monkeypatch):
    """The relative variance of the trace of a Wishart matrix is 2 Σλ² / (N (Σλ)²)."""
    spectrum = np.r_[5.0, 3.0, np.full(10, 0.1)]
    truth = 2 * (spectrum**2).sum() / spectrum.sum() ** 2 / 0.02**2
    found = advised(monkeypatch, spectrum, 0.02, 100, quantity="trace", probes=8)
    sizes = np.array([each.size for each in found])
    assert np.median(sizes) == pytest.approx(truth, rel=0.1)
    inside = [each.trace.size_interval[0] <= truth <= each.trace.size_interval[1] for each in found]
    assert np.mean(inside) >= 0.90
    assert all(each.eigenvalue is None and each.enough == (each.size <= 400) for each in found)
    assert all(each.extrapolated == (each.size > 1600) for each in found)


@pytest.mark.parametrize(("name", "rtol"), [("spiked", 0.1), ("spiked", 0.06), ("mixed", 0.08)])
def test_advice_that_is_followed_delivers(monkeypatch, name, rtol):
    """New samples of the advised size: the root mean square error of λ₁ is what was asked for, within a quarter."""
    spectrum = {"spiked": np.r_[5.0, np.ones(39)], "mixed": 3 / np.sqrt(np.arange(1, 41))}[name]
    found = advised(monkeypatch, spectrum, rtol, 40, quantity="eigenvalue", probes=2)
    size = round(float(np.median([each.size for each in found])))
    draws = np.random.default_rng(1)
    values = []
    for _ in range(400):
        x = draws.standard_normal((size, 40)) * np.sqrt(spectrum)
        values.append(np.linalg.eigvalsh(x.T @ x / size)[-1])
    error = np.sqrt(np.mean((np.array(values) / spectrum.max() - 1) ** 2))
    assert 0.75 * rtol < error < 1.25 * rtol
    inside = [each.eigenvalue.size_interval[0] <= size <= each.eigenvalue.size_interval[1] for each in found]
    assert np.mean(inside) >= 0.90
    assert all(0.5 <= each.eigenvalue.exponent <= 1 for each in found)


def test_both_quantities_and_what_there_is(monkeypatch):
    use_dense(monkeypatch)
    parts = operators(wishart(np.r_[5.0, np.ones(9)], 400, 20, seed=0))
    both = tw.size_advice(parts, 0.05, 400, available=1000, probes=8)
    assert both.size == max(both.eigenvalue.size, both.trace.size)
    assert both.reachable == (both.size <= 1000)
    assert both.enough == (both.size <= 400)
    assert "samples for 0.05 relative error, from 400" in str(both)
    far = tw.size_advice(parts, 0.001, 400, available=1000, probes=8)
    assert far.extrapolated
    assert far.enough is False
    assert far.reachable is False
    assert str(far).endswith("far beyond what was measured, more than there are")
    assert tw.SubsetSize.from_dict(far.to_dict()) == far
    zero = operators(torch.diag(torch.tensor([1.0, -1.0]).double()) * torch.linspace(-1, 1, 20).double()[:, None, None])
    lost = tw.size_advice(zero, 0.1, 400, quantity="trace")
    assert (lost.size, lost.enough, lost.extrapolated) == (None, None, True)
    assert "cannot be told from 0" in str(lost)


def test_bad_input():
    parts = operators(torch.eye(3).double().expand(8, 3, 3))
    for rtol, samples, settings, message in [
        (0.0, 80, {}, r"rtol: expected a positive finite number, got 0\.0"),
        (math.inf, 80, {}, "rtol: expected a positive finite number, got inf"),
        (0.1, 80, {"quantity": "norm"}, "quantity: expected 'eigenvalue', 'trace' or 'both', got 'norm'"),
        (0.1, 80, {"available": 1.5}, r"available: expected a whole number, got 1\.5"),
        (0.1, 7, {}, "samples: expected at least one a part, 8, got 7"),
    ]:
        with unchecked(), pytest.raises(ArgumentError, match=message):
            tw.size_advice(parts, rtol, samples, **settings)
    with pytest.raises(ArgumentError, match="parts: expected at least 8 for fits on a quarter of them, got 7"):
        tw.size_advice(parts[:7], 0.1, 80)

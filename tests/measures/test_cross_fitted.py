"""Quotients on parts that had no say, against closed forms, dense algebra and known populations."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import thalweg as tw
from tests.measures.parts_of_data import operators, seeded, use_dense, wishart
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate

# Covariance spectra: nothing but noise; one clear outlier; a decay in which all is mixed; a continuum without any gap.
SPECTRA = {
    "isotropic": np.ones,
    "spiked": lambda p: np.r_[np.ones(p - 1), 5.0],
    "decaying": lambda p: 2.39 / np.sqrt(np.arange(1, p + 1)),
    "continuous": lambda p: np.linspace(0.5, 2.39, p),
}


def test_a_direction_that_is_never_in_doubt_has_no_bias():
    """Diagonal parts: every number by hand."""
    tops, weights = torch.tensor([3.0, 5.0, 4.0, 7.0, 2.0, 4.0]).double(), [1.0, 2.0, 1.0, 3.0, 2.0, 1.0]
    matrices = torch.stack([torch.diag(torch.tensor([float(t), 1.0, 0.0]).double()) for t in tops])
    found = tw.cross_fitted(operators(matrices), weights=weights, folds=3, generator=seeded(1))
    w = np.array(weights)
    mean = (w * tops.numpy()).sum() / w.sum()
    error = math.sqrt(6 / 5 * (w**2 * (tops.numpy() - mean) ** 2).sum()) / w.sum()
    assert found.values.tolist() == pytest.approx([mean])
    assert found.cross_fitted.tolist() == pytest.approx([mean])
    assert found.corrected.tolist() == pytest.approx([mean])
    assert found.bias.tolist() == pytest.approx([0.0], abs=1e-9)
    assert found.standard_errors.tolist() == pytest.approx([error])
    assert found.overlaps.tolist() == pytest.approx([1.0])
    assert (found.dof, found.parts, found.folds, found.samples) == (5, 6, 3, None)
    half = stats.t.ppf(0.975, 5) * error / mean
    assert found.interval()[0].tolist() == pytest.approx([mean * math.exp(-half), mean * math.exp(half)], rel=1e-6)
    # Signs are exact on diagonal matrices: only the data's error is left.
    assert found.trace.value == pytest.approx(mean + 1)
    assert found.trace.standard_error == pytest.approx(0, abs=1e-9)
    assert found.trace.data_error == pytest.approx(error)
    half = stats.t.ppf(0.975, 5) * error
    assert found.trace_interval() == pytest.approx((mean + 1 - half, mean + 1 + half), rel=1e-6)


@pytest.mark.parametrize("folds", [2, 5])
def test_against_dense_algebra(folds):
    """The naive twin: folds, vectors and quotients one at a time."""
    p, count, k = 12, 10, 3
    matrices = wishart(SPECTRA["decaying"](p), 60, count, seed=3)
    weights = np.linspace(1, 2, count)
    found = tw.cross_fitted(operators(matrices), k, weights=weights.tolist(), folds=folds, tol=1e-9)
    dense = matrices.numpy()
    held, fits, fitted = np.zeros((count, k)), [], []
    for fold in range(folds):
        inside = [g for g in range(count) if g % folds != fold]
        values, vectors = np.linalg.eigh(np.average(dense[inside], axis=0, weights=weights[inside]))
        fits.append(vectors[:, ::-1][:, :k])
        fitted.append(values[::-1][:k])
        for g in range(fold, count, folds):
            held[g] = [v @ dense[g] @ v for v in fits[-1].T]
    values = np.linalg.eigvalsh(np.average(dense, axis=0, weights=weights))[::-1][:k]
    quotients = np.average(held, axis=0, weights=weights)
    spread = (weights[:, None] * (held - quotients)) ** 2
    errors = np.sqrt(count / (count - 1) * spread.sum(axis=0)) / weights.sum()
    overlaps = [np.mean([(a[:, i] @ b[:, i]) ** 2 for n, a in enumerate(fits) for b in fits[:n]]) for i in range(k)]
    corrected = (folds * values + (folds - 1) * quotients) / (2 * folds - 1)
    np.testing.assert_allclose(found.values, values, rtol=1e-8)
    np.testing.assert_allclose(found.cross_fitted, quotients, rtol=1e-6)
    np.testing.assert_allclose(found.fitted, np.mean(fitted, axis=0), rtol=1e-8)
    np.testing.assert_allclose(found.bias, values - quotients, rtol=1e-5)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-5)
    np.testing.assert_allclose(found.overlaps, overlaps, rtol=1e-4)
    np.testing.assert_allclose(found.corrected, corrected, rtol=1e-6)
    assert found.residuals.max() < 1e-8 * found.values[0]


def test_the_interval_of_two_bounds():
    """Imbens & Manski: the usual interval where they coincide, one-sided where they are far apart, always its level."""

    def errors(held: float, corrected: float, spread: float, overlap: float = 1.0) -> tw.DataErrors:
        number = torch.tensor
        row = [number([x], dtype=torch.float64) for x in (0.0, 0.0, held, 0.0, 0.0, corrected, spread, overlap)]
        return tw.DataErrors(*row, 9, Estimate(0.0), None, 10, 5, Cost())

    law = stats.t(9)
    for level in (0.5, 0.9, 0.99):
        low, high = errors(-2.0, -2.0, 0.5).interval(level)[0].tolist()
        assert (low, high) == pytest.approx((-2 - 0.5 * law.ppf(0.5 + level / 2), -2 + 0.5 * law.ppf(0.5 + level / 2)))
        low, high = errors(-2.0, 98.0, 0.5).interval(level)[0].tolist()
        assert (low, high) == pytest.approx((-2 - 0.5 * law.ppf(level), 98 + 0.5 * law.ppf(level)), rel=1e-6)
    low, high = errors(2.0, 3.0, 0.5).interval()[0].tolist()
    c = math.log(high / 3) / 0.25
    assert math.log(2 / low) / 0.25 == pytest.approx(c)
    assert law.cdf(c + math.log(1.5) / 0.25) - law.cdf(-c) == pytest.approx(0.95, abs=1e-6)
    # Directions that are noise share it between folds: 1 + 5/4 of the variance.
    low, high = errors(-2.0, -2.0, 0.5, overlap=0.0).interval()[0].tolist()
    assert high - low == pytest.approx(2 * 0.5 * 1.5 * law.ppf(0.975))
    assert errors(1.0, 2.0, 0.0).interval().tolist() == [[1.0, 2.0]]
    with pytest.raises(ArgumentError, match=r"level: expected a number strictly between 0 and 1, got 1\."):
        errors(1.0, 2.0, 0.1).interval(1.0)


def many(monkeypatch, spectrum: np.ndarray, samples: int, runs: int, **settings) -> list[tw.DataErrors]:
    use_dense(monkeypatch)
    parts = [operators(wishart(spectrum, samples, 20, seed)) for seed in range(runs)]
    return [tw.cross_fitted(each, generator=seeded(seed), **settings) for seed, each in enumerate(parts)]


def covered(found: list[tw.DataErrors], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in (each.interval()[0].tolist() for each in found)]))


@pytest.mark.parametrize("name", ["isotropic", pytest.param("spiked", marks=pytest.mark.slow)])
def test_intervals_cover(monkeypatch, name):
    """P = 40, N = 80, 400 runs."""
    spectrum = SPECTRA[name](40)
    found = many(monkeypatch, spectrum, 80, 400, probes=2)
    share = covered(found, spectrum.max())
    assert 0.90 <= share <= 0.99, share
    in_sample = float(np.mean([float(each.values[0]) for each in found]))
    held = float(np.mean([float(each.cross_fitted[0]) for each in found]))
    assert held <= 1.01 * spectrum.max() < in_sample
    if name == "spiked":
        # To second order the biases cancel.
        corrected = float(np.mean([float(each.corrected[0]) for each in found]))
        assert abs(corrected - 5) < 0.15 * (in_sample - held)


def test_the_held_out_quotient_is_unbiased(monkeypatch):
    """Of the identity every quotient is 1, whatever the direction, while the in-sample maximum is near (1 + √½)²."""
    found = many(monkeypatch, np.ones(40), 80, 400, probes=2)
    held = np.array([float(each.cross_fitted[0]) for each in found])
    assert abs(held.mean() - 1) < 3 * held.std() / 20
    assert np.mean([float(each.values[0]) for each in found]) > 2.4


def test_the_trace_is_unbiased_and_covered(monkeypatch):
    """Both errors together: probes on a full matrix, and data that vary by more than they are worth."""
    spectrum = np.r_[np.full(4, 20.0), np.linspace(0, 0.1, 20)]
    found = many(monkeypatch, spectrum, 80, 400, probes=8)
    truth = spectrum.sum()
    values = np.array([each.trace.value for each in found])
    assert abs(values.mean() - truth) < 3 * values.std() / 20
    assert 0.90 <= np.mean([low <= truth <= high for low, high in (each.trace_interval() for each in found)]) <= 0.99
    # The variance of the trace of the data alone is 2 Σλ² / N.
    data = np.sqrt(np.mean([each.trace.data_error**2 for each in found]))
    assert data == pytest.approx(math.sqrt(2 * (spectrum**2).sum() / 80), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_intervals_cover_on_larger_matrices(monkeypatch, name):
    """P = 200, N = 400, 400 runs: 90 to 99 %, and more only where the truth lies well between its two bounds.

    In the continuum the full value is 2.39, that of the samples about 4.7.
    """
    spectrum = SPECTRA[name](200)
    share = covered(many(monkeypatch, spectrum, 400, 400, probes=2), spectrum.max())
    assert 0.90 <= share <= (1.0 if name == "continuous" else 0.99), share


def test_the_same_seed_gives_the_same_bits():
    parts = operators(wishart(np.ones(10), 40, 10, seed=0))
    one, other, third = (tw.cross_fitted(parts, 2, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.cross_fitted, other.cross_fitted)
    assert one.trace.value == other.trace.value != third.trace.value
    assert torch.equal(one.cross_fitted, tw.DataErrors.from_dict(one.to_dict()).cross_fitted)
    assert str(one).startswith("λ_1: ")
    assert one.cost.matvecs > 10


def test_bad_input():
    parts = operators(torch.eye(3).double().expand(6, 3, 3))
    whole = r"expected a whole number, got"
    for settings, message in [
        ({"k": 0}, "k: expected at least 1, got 0"),
        ({"k": 4}, "k: expected between 1 and the number of parameters 3, got 4"),
        ({"folds": 1}, "folds: expected at least 2, got 1"),
        ({"folds": 7}, "folds: expected at most the 6 parts, got 7"),
        ({"probes": 1}, "probes: expected at least 2, got 1"),
        ({"tol": 0.0}, "tol: expected a positive number, got 0"),
        ({"weights": [1.0]}, "weights: expected 6, one a part, got 1"),
        ({"weights": [1.0] * 5 + [0.0]}, "weights: expected positive finite numbers"),
        ({"weights": [1.0] * 5 + [math.nan]}, "weights: expected positive finite numbers"),
        ({"folds": 2.5}, f"folds: {whole} 2.5"),
    ]:
        with unchecked(), pytest.raises(ArgumentError, match=message):
            tw.cross_fitted(parts, **settings)
    with pytest.raises(ArgumentError, match="parts: expected a list of at least 2 operators, got 1"):
        tw.cross_fitted(parts[:1])
    with unchecked(), pytest.raises(ArgumentError, match="operator: expected an operator, got int"):
        tw.cross_fitted([1, 2])
    with pytest.raises(ArgumentError, match="operators: expected all to act on 3 entries"):
        tw.cross_fitted([*parts, tw.FunctionOperator(lambda v: v, 4, dtype=torch.float64)])

"""Random matrices and Gram matrices with known answers."""

import math

import numpy as np
import pytest
import torch

import thalweg as tw


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(matrix: torch.Tensor) -> tw.FunctionOperator:
    return tw.FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=torch.float64)


def wishart(size: int, samples: int, seed: int) -> torch.Tensor:
    """XXᵀ/N of N normal samples."""
    x = torch.randn(size, samples, dtype=torch.float64, generator=seeded(seed))
    return x @ x.mT / samples


def marchenko_pastur(order: int, ratio: float) -> float:
    """Narayana's numbers: Σ_j N(k, j) q^(j−1)."""
    narayana = (math.comb(order, j) * math.comb(order, j - 1) / order for j in range(1, order + 1))
    return sum(number * ratio**j for j, number in enumerate(narayana))


def first_correction(order: int, ratio: float) -> float:
    """What a finite real matrix adds to P times a moment: that of ¼δ_a + ¼δ_b less half of the edges' arcsine law."""
    edges = np.array([1 - math.sqrt(ratio), 1 + math.sqrt(ratio)]) ** 2
    angles = (np.arange(2000) + 0.5) * math.pi / 2000
    arcsine = np.mean((edges.mean() + np.cos(angles) * (edges[1] - edges[0]) / 2) ** order)
    return float((edges**order).sum() / 4 - arcsine / 2)


@pytest.mark.parametrize(
    ("ratio", "moments"), [(0.5, [1, 1.5, 2.75, 5.625, 12.3125]), (2.0, [1, 3, 11, 45, 197])], ids=["wide", "tall"]
)
def test_moments_of_marchenko_and_pastur(ratio, moments):
    """O20, as the mean over matrices to within four standard errors of it; the second moment is 1 + q + 1/N."""
    assert [marchenko_pastur(order, ratio) for order in range(1, 6)] == pytest.approx(moments, rel=1e-12)
    size = 120
    assert first_correction(2, ratio) == pytest.approx(ratio)
    options = {"probes": 4, "steps": 3, "grid": torch.arange(2.0, dtype=torch.float64)}
    matrices = ((seed, wishart(size, round(size / ratio), seed)) for seed in range(40))
    densities = [tw.density(dense(matrix), **options, generator=seeded(seed)) for seed, matrix in matrices]
    for order, moment in enumerate(moments, start=1):
        found = [tw.spectral_moment(each, order).value for each in densities]
        expected = moment + first_correction(order, ratio) / size
        assert abs(np.mean(found) - expected) <= 4 * np.std(found, ddof=1) / math.sqrt(len(found))


@pytest.mark.parametrize(("ratio", "mean"), [(0.5, -0.306852819440055), (0.25, -0.136953782644657)])
def test_mean_logarithm_of_marchenko_and_pastur(ratio, mean):
    """O20: E ln λ, by ln det; a finite real matrix adds ½ ln(1−q) to the sum, by the same correction as above."""
    size = 80
    matrices = ((seed, wishart(size, round(size / ratio), seed)) for seed in range(10))
    options = {"probes": 2, "steps": 40}
    found = [tw.logdet(dense(matrix), **options, generator=seeded(seed)).value / size for seed, matrix in matrices]
    expected = mean + 0.5 * math.log(1 - ratio) / size
    assert abs(np.mean(found) - expected) <= 4 * np.std(found, ddof=1) / math.sqrt(len(found))


def test_the_largest_eigenvalue_of_a_symmetric_matrix():
    """O35: GOE, n = 1000: 2 + n^(−2/3) times the mean of Tracy and Widom, as the mean over matrices."""
    n, found = 1000, []
    for seed in range(8):
        g = torch.randn(n, n, dtype=torch.float64, generator=seeded(seed))
        found.append(float(tw.eigenpairs(dense((g + g.mT) / math.sqrt(2 * n)), 1, tol=1e-3).values))
    assert abs(np.mean(found) - 1.98793466425) <= 4 * np.std(found, ddof=1) / math.sqrt(len(found))
    # The spread, too, is that of the law: 1.268/n^(2/3).
    assert 0.4 < np.std(found, ddof=1) * n ** (2 / 3) / math.sqrt(1.6077810345810) < 1.8


def test_the_largest_eigenvalue_of_a_wishart_matrix():
    """O35: p = 100 of n = 400 samples, by Johnstone's centring."""
    found = [float(tw.eigenpairs(dense(wishart(100, 400, seed)), 1).values) for seed in range(30)]
    assert abs(np.mean(found) - 2.19820262912) <= 4 * np.std(found, ddof=1) / math.sqrt(len(found))


def test_a_two_level_gram_matrix():
    """O17: (a − b)I + b11ᵀ with N = 4, a = 3, b = ½; three copies of the lower level."""
    matrix = 2.5 * torch.eye(4, dtype=torch.float64) + 0.5
    assert tw.eigenpairs(dense(matrix), 4).values.tolist() == pytest.approx([4.5, 2.5, 2.5, 2.5], abs=1e-12)
    found = tw.spectrum(dense(matrix), top=1, bottom=3)
    assert found.top.values.tolist() == pytest.approx([4.5], abs=1e-12)
    assert found.bottom.values.tolist() == pytest.approx([2.5] * 3, abs=1e-12)
    assert found.trace.value == pytest.approx(12, abs=1e-12)
    assert found.conditioning.raw == pytest.approx(1.8, rel=1e-12)

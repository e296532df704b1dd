"""The bulk's edge on random matrices with known bulks and spikes (Baik, Ben Arous & Péché, 2005)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._spectral_measure import SpectralMeasure
from thalweg.measures._edge import bulk_edge

SIZE = 240
Draw = Callable[[np.random.Generator], np.ndarray]


def wigner(*spikes: float) -> Draw:
    """Eigenvalues of a Gaussian matrix with edge 2, and spikes at θ + 1/θ for θ > 1."""

    def draw(source: np.random.Generator) -> np.ndarray:
        matrix = source.standard_normal((SIZE, SIZE))
        matrix = (matrix + matrix.T) / np.sqrt(2 * SIZE)
        matrix[range(len(spikes)), range(len(spikes))] += spikes
        return np.linalg.eigvalsh(matrix)

    return draw


def wishart(ratio: float, *spikes: float) -> Draw:
    """Eigenvalues of a sample covariance with edge (1 + √q)²; a spike is seen where it is above √q."""

    def draw(source: np.random.Generator) -> np.ndarray:
        data = source.standard_normal((SIZE, int(SIZE / ratio)))
        data[: len(spikes)] *= np.sqrt(1 + np.array(spikes))[:, None]
        return np.linalg.eigvalsh(data @ data.T / data.shape[1])

    return draw


def wigner_edge(spikes: int) -> float:
    """Of what is left when the spikes' directions are taken out."""
    return float(2 * np.sqrt(1 - spikes / SIZE))


def wishart_edge(ratio: float, spikes: int) -> float:
    """The same, with rows and columns taken out (Johnstone, 2001, without spikes)."""
    samples = int(SIZE / ratio)
    return float((np.sqrt(samples - spikes) + np.sqrt(SIZE - spikes)) ** 2 / samples)


def ends(values: np.ndarray, count: int = 20) -> Eigenpairs:
    top = torch.from_numpy(np.sort(values)[::-1][:count].copy())
    done, exact = torch.ones(len(top), dtype=torch.bool), torch.zeros(len(top), dtype=torch.float64)
    return Eigenpairs(top, None, exact, done, True, "LA", 1.0, 0, tw.Cost())


def found(values: np.ndarray, count: int = 20):
    return bulk_edge(ends(values, count), SpectralMeasure(len(values), values, ()), 0.0)


@pytest.mark.parametrize(
    ("draw", "edge", "count"),
    [
        (wigner(), wigner_edge(0), 0),
        (wigner(3.0, 2.5, 2.0), wigner_edge(3), 3),
        (wigner(0.5, 0.7), wigner_edge(0), 0),
        (wigner(4.0, 3.0, 0.6), wigner_edge(2), 2),
        (wishart(0.5), wishart_edge(0.5, 0), 0),
        (wishart(0.5, 4.0, 3.0), wishart_edge(0.5, 2), 2),
        (wishart(0.5, 4.0, 3.0, 0.4), wishart_edge(0.5, 2), 2),
        (wishart(2.0, 12.0, 10.0, 8.0, 7.0), wishart_edge(2.0, 4), 4),
    ],
)
def test_the_right_count_in_95_percent_of_200_draws(draw, edge, count):
    """No spikes: none. Spikes below the threshold of their transition: not counted."""
    edges = [found(draw(np.random.default_rng(seed))) for seed in range(200)]
    right = [one for one in edges if one is not None and one.outliers == count]
    assert len(right) >= 0.95 * 200
    misses = np.array([(one.value - edge) / one.standard_error for one in right])
    assert abs(misses.mean()) < 1
    assert misses.std() < 1.3


def test_a_spectrum_counts_them():
    values = wigner(3.0, 2.5, 0.5)(np.random.default_rng(1))
    op, _ = operator(values.tolist())
    one = tw.spectrum(op, top=15, bottom=1, probes=2, steps=20)
    assert one.edge.outliers == 2
    assert one.edge.value == pytest.approx(2, abs=0.15)
    assert one.top.values[1] > one.edge.threshold > one.top.values[2]
    assert tw.Spectrum.from_dict(one.without_vectors().to_dict()).edge == one.edge


@pytest.mark.parametrize("spikes", [8, 10])
def test_eigenvalues_that_end_before_the_bulk_say_nothing(spikes):
    """Ten are computed, and eight or all ten of them are outliers."""
    values = wigner(*np.linspace(3, 5, spikes))(np.random.default_rng(2))
    op, _ = operator(values.tolist())
    assert tw.spectrum(op, top=10, bottom=1, probes=2, steps=20).edge is None
    assert tw.spectrum(op, top=25, bottom=1, probes=2, steps=20).edge.outliers == spikes


def test_a_matrix_of_low_rank():
    values = np.concatenate([[5.0, 4.0, 3.0], np.zeros(60)])
    op, _ = operator(values.tolist())
    one = tw.spectrum(op, top=12, bottom=1, probes=2, steps=10)
    assert one.edge.outliers == 3
    assert one.edge.value == pytest.approx(0, abs=1e-12)


def test_too_few_eigenvalues_say_nothing():
    values = wigner(3.0)(np.random.default_rng(0))
    assert found(values, 8).outliers == 1
    assert found(values, 4) is None
    assert found(np.linspace(0, 1, 16)) is None
    pairs = ends(values)
    pairs.converged[4:] = False
    assert bulk_edge(pairs, SpectralMeasure(len(values), values, ()), 0.0) is None


def test_what_ends_in_no_square_root_says_nothing():
    """Eigenvalues in two clumps."""
    values = np.concatenate([np.linspace(10, 9.6, 3), np.linspace(2, 1.98, 3), np.full(300, 0.0)])
    assert found(values, 6) is None

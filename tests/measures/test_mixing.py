"""R̂ and effective draws against a literal twin, and against chains whose autocorrelation is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.landscape.models import randn
from thalweg.measures._mixing import effective_draws, split_rhat


def literal_rhat(chains: np.ndarray) -> float:
    """Vehtari et al. (2021), equations 1 to 4 and 14, word by word."""
    half = chains.shape[1] // 2
    halves = [part for chain in chains for part in (chain[:half], chain[-half:])]

    def rhat(values):
        flat = np.concatenate(values)
        ranks = stats.rankdata(flat, method="average")
        scores = stats.norm.ppf((ranks - 3 / 8) / (len(flat) + 1 / 4)).reshape(len(values), -1)
        n = scores.shape[1]
        b = n * np.var(scores.mean(axis=1), ddof=1)
        w = np.mean([np.var(row, ddof=1) for row in scores])
        return math.sqrt(((n - 1) / n * w + b / n) / w)

    middle = np.median(np.concatenate(halves))
    return max(rhat(halves), rhat([np.abs(part - middle) for part in halves]))


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(4, 31), st.integers(0, 2**31), st.floats(0, 3))
def test_rhat_is_the_definition(chains, draws, seed, shift):
    values = randn(chains, draws, seed=seed) + shift * torch.arange(chains).double().unsqueeze(1)
    assert split_rhat(values) == pytest.approx(literal_rhat(values.numpy()), rel=1e-10)


def test_rhat_tells_chains_apart():
    values = randn(4, 1000)
    assert split_rhat(values) < 1.01
    elsewhere = values + torch.tensor([0.0, 0.0, 0.0, 2.0]).unsqueeze(1)
    assert split_rhat(elsewhere) > 1.1
    wider = values * torch.tensor([1.0, 1.0, 1.0, 4.0]).unsqueeze(1)
    assert split_rhat(wider) > 1.1
    trend = values + torch.linspace(0, 3, 1000)
    assert split_rhat(trend) > 1.1
    assert split_rhat(torch.full((3, 8), 2.0).double()) is None
    # A law without moments is no obstacle to ranks.
    assert split_rhat(values.tan()) < 1.02


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_effective_draws_of_an_autoregression(phi):
    """x ← φx + noise: the mean of S draws is worth S (1 − φ)/(1 + φ), here on average over 16 chains."""
    noise, values = randn(10_000, 16, seed=7).numpy(), [np.zeros(16)]
    for each in noise:
        values.append(phi * values[-1] + each)
    found = [effective_draws(chain) for chain in torch.tensor(np.array(values[1:]).T)]
    assert np.mean(found) == pytest.approx(10_000 * (1 - phi) / (1 + phi), rel=0.12)


def test_effective_draws_at_the_edges():
    assert effective_draws(torch.ones(10).double()) == 0
    alternating = torch.tensor([1.0, -1.0] * 50).double()
    assert effective_draws(alternating) <= 100 * math.log10(100) * (1 + 1e-9)
    assert effective_draws(torch.arange(100).double()) < 10

"""95 % intervals of a whole spectrum's sums cover in 90 to 99 % of 400 runs, with outliers known or not."""

from functools import partial

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from thalweg.krylov._spectral_measure import Probed, SpectralMeasure
from thalweg.measures import _sums as sums

RUNS = 400
BULK = np.linspace(-0.2, 0.5, 54)
# The eigenvalues that are known come first.
SPECTRA = {
    "flat": (np.linspace(0.5, 1.5, 60), 0),
    "outliers": (np.r_[20 * 0.6 ** np.arange(6), BULK], 0),
    "known outliers": (np.r_[20 * 0.6 ** np.arange(6), BULK], 6),
    "decaying": (10 / np.arange(1.0, 61) ** 2, 0),
    "dominated": (np.r_[100, np.linspace(0.1, 1, 59)], 0),
    "either sign": (np.r_[-12, 10, np.linspace(-1, 1.5, 58)], 0),
}
PROBES = pytest.mark.parametrize("probes", [8, *(pytest.param(count, marks=pytest.mark.slow) for count in (16, 32))])


def measured(eigenvalues: np.ndarray, known: int, probes: int, seed: int) -> SpectralMeasure:
    """What probes see without an error of steps: their squared overlaps with the eigenvectors."""
    rest = eigenvalues[known:].copy()
    overlaps = np.random.default_rng(seed).standard_normal((probes, len(rest))) ** 2
    weights = overlaps / overlaps.sum(axis=1, keepdims=True)
    found = tuple(Probed((rest, row), (rest, row), float(len(rest)), len(rest)) for row in weights)
    return SpectralMeasure(len(eigenvalues), eigenvalues[:known].copy(), found)


def questions(eigenvalues: np.ndarray) -> dict:
    """All sums that a spectrum reports, and what is made of them."""
    scale = float(np.abs(eigenvalues).max())
    epsilon, zero = 1e-2 * scale, float(np.median(np.abs(eigenvalues))) / 5
    shift = epsilon + max(0.0, -float(eigenvalues.min()))
    single = {
        "trace": sums.itself,
        "frobenius": torch.square,
        "logdet": partial(sums.log, shift),
        "logdet_absolute": partial(sums.log_absolute, epsilon),
        "negative_mass": sums.negative_part,
        "index": partial(sums.below, -zero),
        "nullity": partial(sums.within, zero),
        "effective_dimension": partial(sums.shrunk, epsilon),
    }
    answers = {name: ([f], lambda found: found[0]) for name, f in single.items()}
    if eigenvalues.sum() > np.linalg.norm(eigenvalues):
        # A ratio to a trace that may be zero is not reported.
        answers["participation_ratio"] = ([sums.itself, torch.square], sums.participation)
    answers["entropy_rank"] = ([torch.abs, sums.entropy], sums.perplexity)
    return answers


# What is hardest to see from few probes; the others are the slow ones' business.
HARD = ("outliers", "known outliers", "dominated")


@pytest.mark.parametrize(
    "name", [name if name in HARD else pytest.param(name, marks=pytest.mark.slow) for name in SPECTRA]
)
@PROBES
def test_every_sum(name, probes):
    """All but what no probe can miss. The entropy's exponential errs on the safe side where one value dominates."""
    eigenvalues, known = SPECTRA[name]
    answers, values = questions(eigenvalues), torch.from_numpy(eigenvalues)
    truths = {key: float(g(torch.stack([f(values).sum() for f in fs]))) for key, (fs, g) in answers.items()}
    hits, exact = dict.fromkeys(answers, 0), dict.fromkeys(answers, 0)
    for seed in range(RUNS):
        measure = measured(eigenvalues, known, probes, seed)
        for key, (functions, g) in answers.items():
            estimate = measure.combined(functions, g)
            low, high = estimate.interval()
            hits[key] += low <= truths[key] <= high
            exact[key] += estimate.standard_error == 0 and estimate.value == pytest.approx(truths[key], rel=1e-10)
    for key, count in hits.items():
        if exact[key] == RUNS:
            continue
        most = 1.0 if (name, key) == ("dominated", "entropy_rank") else 0.99
        assert 0.90 <= count / RUNS <= most, key


@pytest.mark.slow
@pytest.mark.parametrize("probes", [8, 16, 32])
def test_a_run_with_outliers_beyond_the_computed_pairs(probes):
    """From the products on: six stand out, and two are computed; the trace by Stein's rule, too."""
    eigenvalues = np.r_[20 * 0.6 ** np.arange(6), np.linspace(-0.2, 0.5, 24)]
    op, _ = operator(eigenvalues.tolist())
    names = ("trace", "frobenius", "logdet_absolute", "participation_ratio", "stable_rank", "entropy_rank")
    hits = dict.fromkeys(names, 0)
    shares = np.abs(eigenvalues) / np.abs(eigenvalues).sum()
    total, square = eigenvalues.sum(), (eigenvalues**2).sum()
    truth = dict(
        zip(
            names,
            [
                total,
                square,
                np.log(np.abs(eigenvalues) + 0.2).sum(),
                total**2 / square,
                total / eigenvalues.max(),
                np.exp(-(shares * np.log(shares)).sum()),
            ],
            strict=True,
        )
    )
    options = {"top": 2, "bottom": 1, "probes": probes, "steps": 12, "rtol": 0.1, "damping": 0.2}
    for seed in range(RUNS):
        found = tw.spectrum(op, **options, generator=torch.Generator().manual_seed(seed))
        for name in names:
            low, high = getattr(found, name).interval()
            hits[name] += low <= truth[name] <= high
    for name, count in hits.items():
        assert 0.90 <= count / RUNS <= 0.99, name

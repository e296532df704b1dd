"""95 % intervals cover the truth in 90 to 99 % of 400 runs, whatever dominates the spectrum."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import thalweg as tw
from tests.krylov.spectra import operator

RUNS = 400
SPECTRA = {
    "flat": np.linspace(0.5, 1.5, 40).tolist(),
    "indefinite": np.linspace(-1, 1.5, 40).tolist(),
    "outliers": [20 * 0.6**i for i in range(6)] + np.linspace(-0.2, 0.5, 34).tolist(),
    "decaying": [10 / i**2 for i in range(1, 41)],
    "dominated": [100.0, *np.linspace(0.1, 1, 39).tolist()],
    "either sign": [10.0, -12.0, *np.linspace(-1, 1, 38).tolist()],
}
EVERY = pytest.mark.parametrize("eigenvalues", SPECTRA.values(), ids=SPECTRA.keys())
PROBES = pytest.mark.parametrize("probes", [8, *(pytest.param(count, marks=pytest.mark.slow) for count in (16, 32))])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def share(estimates, truth: float) -> float:
    """Of intervals that hold the truth."""
    hits = [low <= truth <= high for low, high in (estimate.interval() for estimate in estimates)]
    assert len(hits) == RUNS
    return sum(hits) / RUNS


@EVERY
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
@pytest.mark.parametrize(
    "probes", [8, pytest.param(16, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)]
)
def test_traces(eigenvalues, distribution, probes):
    """The sample variance of 8 probes would let 85 % cover where one eigenvalue dominates."""
    op, _ = operator(eigenvalues)
    found = (tw.trace(op, probes=probes, distribution=distribution, generator=seeded(seed)) for seed in range(RUNS))
    assert 0.90 <= share(found, sum(eigenvalues)) <= 0.99


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
@pytest.mark.parametrize("products", [16, 32])
def test_traces_by_sketches(eigenvalues, method, products):
    op, _ = operator(eigenvalues)
    found = (tw.trace(op, probes=products, method=method, generator=seeded(seed)) for seed in range(RUNS))
    assert 0.90 <= share(found, sum(eigenvalues)) <= 0.99


@pytest.mark.slow
@EVERY
def test_traces_to_an_accuracy(eigenvalues):
    op, _ = operator(eigenvalues)
    found = [tw.trace(op, rtol=0.2, generator=seeded(seed)) for seed in range(RUNS)]
    assert 0.90 <= share(found, sum(eigenvalues)) <= 0.99


def test_traces_beside_known_pairs():
    """Vectors known to a tolerance alone let a little of the outliers through, which is no part of the spread."""
    eigenvalues = [1e5, 1e4, *np.linspace(0.5, 1.5, 38).tolist()]
    op, _ = operator(eigenvalues)
    known = tw.eigenpairs(op, 2, tol=1e-5)
    for distribution in ("rademacher", "gaussian"):
        found = [
            tw.trace(op, probes=8, known=known, distribution=distribution, generator=seeded(seed))
            for seed in range(RUNS)
        ]
        assert 0.90 <= share(found, sum(eigenvalues)) <= 0.99


@pytest.mark.parametrize("distribution", [pytest.param("rademacher", marks=pytest.mark.slow), "gaussian"])
@pytest.mark.parametrize("name", ["dominated", pytest.param("flat", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "probes", [8, pytest.param(16, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)]
)
def test_traces_of_functions(name, distribution, probes):
    eigenvalues = SPECTRA[name]
    op, _ = operator(eigenvalues)
    found = (
        tw.function_trace(op, torch.square, probes=probes, steps=3, distribution=distribution, generator=seeded(seed))
        for seed in range(RUNS)
    )
    assert 0.90 <= share(found, float(np.square(eigenvalues).sum())) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
@pytest.mark.parametrize("probes", [8, 16, 32])
def test_log_determinants(distribution, probes):
    eigenvalues = (10.0 ** np.linspace(-2, 1, 24)).tolist()
    op, _ = operator(eigenvalues)
    found = (
        tw.logdet(op, probes=probes, steps=24, distribution=distribution, generator=seeded(seed))
        for seed in range(RUNS)
    )
    assert 0.90 <= share(found, float(np.log(eigenvalues).sum())) <= 0.99


@pytest.mark.parametrize("name", ["dominated", pytest.param("outliers", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "probes", [8, pytest.param(16, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)]
)
def test_moments_of_densities(name, probes):
    eigenvalues = SPECTRA[name]
    op, _ = operator(eigenvalues)
    grid = torch.arange(2.0, dtype=torch.float64)
    densities = [tw.density(op, probes=probes, steps=3, grid=grid, generator=seeded(seed)) for seed in range(RUNS)]
    for order in (1, 2, 4):
        truth = float(np.mean(np.power(eigenvalues, order)))
        assert 0.90 <= share((tw.spectral_moment(each, order) for each in densities), truth) <= 0.99
    if (name, probes) == ("dominated", 8):
        # To first order only: 89 to 91 % where one eigenvalue is 80 % of the trace and 8 probes have to find it.
        return
    truth = sum(eigenvalues) ** 2 / float(np.square(eigenvalues).sum())
    assert 0.90 <= share((tw.effective_rank(each, len(eigenvalues)) for each in densities), truth) <= 0.99


def test_the_variance_on_a_sphere_is_known():
    """2(m₂ − m₁²)/(d + 2) for the mean of the spectral measure: what the law says, and what 400 probes do."""
    values = np.linspace(-1, 2, 12) ** 3
    op, _ = operator(values.tolist())
    result = tw.density(op, probes=RUNS, steps=3)
    variance = 2 * float(np.mean(values**2) - np.mean(values) ** 2) / 14
    assert tw.spectral_moment(result, 1).standard_error ** 2 * RUNS == pytest.approx(variance, rel=0.05)
    sample = (result.weights * result.nodes).sum(dim=1)
    assert float(sample.var()) == pytest.approx(variance, rel=4 * math.sqrt(3 / RUNS))


def test_known_eigenvalues_have_no_spread():
    """A density beside known pairs has the moments' errors of the rest alone, as the sums of the spectrum."""
    op, _ = operator([50.0, 20.0, *np.linspace(-1, 2, 30).tolist()])
    found = tw.spectrum(op, top=2, bottom=1, steps=8, rtol=None)
    moment = tw.spectral_moment(found.density, 2)
    assert moment.value * 32 == pytest.approx(found.frobenius.value, rel=1e-9)
    assert moment.standard_error * 32 == pytest.approx(found.frobenius.standard_error, rel=1e-6)


def test_functions_too_large_for_single_precision_have_errors():
    """The forms are numbers in double precision, whatever the vectors are; e¹⁰⁰ is none of single."""
    op, _ = operator([100.0, *np.linspace(0, 1, 19).tolist()], dtype=torch.float32)
    found = tw.function_trace(op, torch.exp, probes=8, steps=10)
    assert math.isfinite(found.standard_error)
    assert abs(found.value - math.exp(100)) <= 4 * found.standard_error


@EVERY
@pytest.mark.parametrize("method", ["hutchinson", pytest.param("xdiag", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "probes", [8, pytest.param(16, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)]
)
def test_diagonals(eigenvalues, method, probes):
    """On the average over the entries."""
    op, matrix = operator(eigenvalues)
    truth, hits = matrix.diagonal(), []
    for seed in range(RUNS):
        found = tw.diagonal(op, probes=probes, method=method, generator=seeded(seed))
        half = float(stats.t.ppf(0.975, found.dof)) * found.standard_error
        hits.append(((found.values - truth).abs() <= half).double().mean())
    assert 0.90 <= float(torch.stack(hits).mean()) <= 0.99

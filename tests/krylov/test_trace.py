"""Unbiased, with intervals that cover, and a rule that stops when it may."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator, second_difference
from tests.unchecked import unchecked


def laplacian(n: int = 50) -> tw.FunctionOperator:
    matrix = second_difference(n)
    return tw.FunctionOperator(lambda v: matrix @ v, n, dtype=torch.float64)


def test_signs_are_exact_on_a_diagonal_matrix():
    diagonal = torch.arange(30, dtype=torch.float64)
    estimate = tw.trace(tw.FunctionOperator(lambda v: diagonal * v, 30, dtype=torch.float64))
    assert estimate.value == pytest.approx(435)
    assert estimate.standard_error == 0
    assert estimate.interval() == (estimate.value, estimate.value)
    assert estimate.cost.matvecs == 10


@pytest.mark.parametrize(("distribution", "variance"), [("rademacher", 4.0), ("gaussian", 30.0)])
def test_the_variance_of_a_probe_is_known(distribution, variance):
    """O14: A = [[2, 1], [1, 3]]. The sample variance of n probes has relative sd √((κ−1)/n), κ ≤ 15 here."""
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    op, n = tw.FunctionOperator(lambda v: matrix @ v, 2, dtype=torch.float64), 4000
    estimate = tw.trace(op, probes=n, distribution=distribution)
    assert estimate.standard_error**2 * n == pytest.approx(variance, rel=4 * (14 / n) ** 0.5)
    assert abs(estimate.value - 5) < 4 * (variance / n) ** 0.5


@pytest.mark.parametrize("arguments", [{"probes": 8}, {"probes": 16}, {"probes": 32}, {"rtol": 0.05}])
def test_intervals_cover(arguments):
    """95 % intervals cover tr A = 100 in 90 to 99 % of 400 runs (O13), the ones of the stopping rule too."""
    op = laplacian()
    hits = 0
    for seed in range(400):
        estimate = tw.trace(op, **arguments, generator=torch.Generator().manual_seed(seed))
        low, high = estimate.interval()
        hits += low <= 100 <= high
    assert 0.90 <= hits / 400 <= 0.99


def test_the_rule_reaches_what_it_promises():
    op = laplacian()
    for seed in range(10):
        estimate = tw.trace(op, rtol=0.04, max_probes=10**4, generator=torch.Generator().manual_seed(seed))
        low, high = estimate.interval()
        assert estimate.converged
        # The half-width is fixed by the pilot's mean, which the final mean replaces.
        assert (high - low) / 2 <= 0.04 * 1.15 * estimate.value
        # The pilot's spread fixed the number, so that its degrees of freedom are the interval's.
        assert estimate.dof == tw.trace(op, probes=10, generator=torch.Generator().manual_seed(seed)).dof


def test_degrees_of_freedom_are_those_of_the_spread_over_probes():
    """Satterthwaite's 2n m²/v of the terms ‖Fz‖² of normal probes: of mean tr F² and variance 2 tr F⁴."""
    op, count = laplacian(), 4000
    fourth = float((torch.linalg.eigvalsh(op.dense()) ** 4).sum())
    square = float((torch.linalg.eigvalsh(op.dense()) ** 2).sum())
    estimate = tw.trace(op, probes=count, distribution="gaussian")
    assert estimate.dof == pytest.approx(count * square**2 / fourth, rel=0.15)


def test_watching_the_running_mean_would_stop_by_luck():
    """The neighbour's rule, |m_i − m_{i−1}| < 1e-3·|m|, stops far from the truth that it claims to know."""
    op, matrix = operator(np.linspace(-1, 1.5, 200).tolist())
    truth, outside = float(matrix.trace()), 0
    for seed in range(50):
        generator, samples = torch.Generator().manual_seed(seed), []
        while len(samples) < 2 or abs(np.mean(samples) - np.mean(samples[:-1])) > 1e-3 * abs(np.mean(samples)):
            z = op.space.rademacher(generator)
            samples.append(float(z @ (op @ z)))
        outside += abs(np.mean(samples) - truth) > 0.05 * truth
    assert outside > 10
    ours = [tw.trace(op, rtol=0.05, max_probes=10**4, generator=torch.Generator().manual_seed(s)) for s in range(20)]
    assert sum(abs(e.value - truth) > 0.05 * truth for e in ours) <= 4


def test_a_trace_near_zero_is_not_claimed():
    op, _ = operator(np.linspace(-1, 1, 100).tolist())
    estimate = tw.trace(op, rtol=0.01, max_probes=50)
    assert estimate.converged is False
    assert estimate.cost.matvecs == 50
    low, high = estimate.interval(0.999)
    assert low <= 0 <= high


def test_seeds_and_distributions_change_the_draw():
    op = laplacian()
    values = {
        tw.trace(op, probes=8, distribution=d, generator=torch.Generator().manual_seed(s)).value
        for d in ("rademacher", "gaussian")
        for s in (0, 1)
    }
    assert len(values) == 4
    assert tw.trace(op, probes=8).value == tw.trace(op, probes=8).value


def test_blocks_do_not_change_the_draw():
    """20 probes are 8 + 8 + 4 products, the same as any prefix."""
    op = laplacian()
    assert op.matvecs == 0
    assert tw.trace(op, probes=20).cost.matvecs == op.matvecs == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": 1}, "probes: expected at least 2, since one probe has no spread, got 1"),
        ({"rtol": None}, "rtol: expected a positive number, or probes=, got None"),
        ({"rtol": -1.0}, "rtol: expected a positive number"),
        ({"pilot": 2}, "pilot: expected at least 3, got 2"),
        ({"max_probes": 5}, "max_probes: expected at least pilot = 10, got 5"),
        ({"level": 1.0}, "level: expected a number strictly between 0 and 1"),
        ({"distribution": "uniform"}, "distribution: expected 'rademacher' or 'gaussian', got 'uniform'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.trace(laplacian(), **arguments)


DECAYING = [100 * 0.8**i for i in range(100)]
FLAT = np.linspace(0.5, 1.5, 100).tolist()


@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
@pytest.mark.parametrize("probes", [16, 32, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("eigenvalues", [DECAYING, FLAT], ids=["decaying", "flat"])
def test_intervals_of_sketches_cover(eigenvalues, probes, method):
    """In 90 to 99 % of 400 runs, without bias."""
    op, _ = operator(eigenvalues)
    truth, hits, gaps = sum(eigenvalues), 0, []
    for seed in range(400):
        found = tw.trace(op, method=method, probes=probes, generator=torch.Generator().manual_seed(seed))
        low, high = found.interval()
        hits += low <= truth <= high
        gaps.append(found.value - truth)
    assert 0.90 <= hits / 400 <= 0.99
    assert abs(np.mean(gaps)) <= 4 * np.std(gaps) / 20


def test_sketches_are_better_where_eigenvalues_decay():
    op, _ = operator(DECAYING)
    errors = {}
    for method in ("hutchinson", "hutch++", "xtrace"):
        estimates = [
            tw.trace(op, method=method, probes=60, generator=torch.Generator().manual_seed(seed)) for seed in range(40)
        ]
        errors[method] = float(np.sqrt(np.mean([(estimate.value - 500) ** 2 for estimate in estimates])))
        assert all(estimate.cost.matvecs == 60 for estimate in estimates)
    assert errors["xtrace"] < errors["hutch++"] < errors["hutchinson"] / 20


@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
@pytest.mark.parametrize("eigenvalues", [[5.0, 3.0, 2.0] + [0.0] * 27, [2.0, 1.0], [2.0], [0.0] * 12, [1.0] * 10])
def test_few_directions_are_exact(eigenvalues, method):
    op, _ = operator(eigenvalues)
    found = tw.trace(op, method=method, probes=30)
    assert found.value == pytest.approx(sum(eigenvalues), abs=1e-10)
    assert found.standard_error < 1e-10


def test_known_eigenpairs_leave_the_rest_to_the_probes():
    op, _ = operator([1e4, 1e3, 100.0, *np.linspace(0.9, 1.1, 97).tolist()])
    top = tw.eigenpairs(op, 3, tol=1e-8)
    plain, deflated = tw.trace(op, probes=20), tw.trace(op, probes=20, known=top)
    assert abs(deflated.value - 11197) <= 4 * deflated.standard_error + 1e-4
    assert deflated.standard_error < plain.standard_error / 100
    assert tw.trace(op, rtol=0.001, known=top).converged


def test_known_eigenpairs_keep_the_intervals_right():
    op, _ = operator([50.0, 20.0, *np.linspace(-1, 2, 98).tolist()])
    top, truth, hits = tw.eigenpairs(op, 2, tol=1e-8), 70 + 49, 0
    for seed in range(400):
        low, high = tw.trace(op, probes=8, known=top, generator=torch.Generator().manual_seed(seed)).interval()
        hits += low <= truth <= high
    assert 0.90 <= hits / 400 <= 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "hutch"}, r"method: expected 'hutchinson', 'hutch\+\+' or 'xtrace', got 'hutch'"),
        ({"method": "xtrace"}, "probes: expected at least 6 products with method='xtrace', got None"),
        ({"method": "hutch++", "probes": 5}, r"probes: expected at least 6 products with method='hutch\+\+', got 5"),
        ({"method": "xtrace", "probes": 9, "distribution": "gaussian"}, "expected the default with method='xtrace'"),
    ],
)
def test_bad_methods_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.trace(laplacian(), **arguments)
    pairs = tw.eigenpairs(laplacian(), 2)
    with pytest.raises(tw.errors.ArgumentError, match="known: expected None with method='xtrace', which finds"):
        tw.trace(laplacian(), method="xtrace", probes=8, known=pairs)

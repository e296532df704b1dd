"""Traces of functions and log-determinants against closed forms, with intervals that cover."""

import math

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator, second_difference
from tests.unchecked import unchecked


def laplacian(n: int = 50) -> tw.FunctionOperator:
    matrix = second_difference(n)
    return tw.FunctionOperator(lambda v: matrix @ v, n, dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("damping", "exact"), [(0.0, math.log(51)), (0.01, 6.70602953026)])
def test_log_determinant_of_the_second_difference(damping, exact):
    """O13, n = 50, with all steps: what is left is the probes' error, 2 Σ_{i≠j} (ln A)_ij² a probe."""
    values, vectors = torch.linalg.eigh(second_difference(50) + damping * torch.eye(50, dtype=torch.float64))
    logarithm = (vectors * values.log()) @ vectors.mT
    variance = 2 * float(logarithm.square().sum() - logarithm.diagonal().square().sum()) / 60
    found = tw.logdet(laplacian(), damping=damping, probes=60, steps=50)
    assert found.converged
    assert abs(found.value - exact) <= 4 * found.standard_error
    assert found.standard_error**2 == pytest.approx(variance, rel=0.6)


def test_two_steps_integrate_a_logarithm_exactly():
    """O14: of the four sign vectors two pairs agree, and their mean is ln 5."""
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    op = tw.FunctionOperator(lambda v: matrix @ v, 2, dtype=torch.float64)
    known = {2.47025579436, 0.748620030506}
    seen = {round(tw.logdet(op, probes=1, steps=2, generator=seeded(seed)).value, 9) for seed in range(8)}
    assert seen == {round(value, 9) for value in known}
    assert sum(known) / 2 == pytest.approx(1.6094379124341, abs=1e-10)


@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (lambda x: x, sum(1.3**-i for i in range(60))),
        (torch.square, sum(1.69**-i for i in range(60))),
        (torch.exp, sum(math.exp(1.3**-i) for i in range(60))),
        (lambda x: (x + 0.1).rsqrt(), sum((1.3**-i + 0.1) ** -0.5 for i in range(60))),
    ],
)
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_functions_of_a_known_spectrum(f, exact, distribution):
    op, _ = operator([1.3**-i for i in range(60)])
    found = tw.function_trace(op, f, probes=40, steps=30, distribution=distribution)
    assert found.converged
    assert abs(found.value - exact) <= 4 * found.standard_error
    assert found.cost.matvecs == 1200


@pytest.mark.slow
def test_intervals_cover():
    """In 90 to 99 % of 400 runs."""
    op, truth, hits = laplacian(8), math.log(9), 0
    for seed in range(400):
        low, high = tw.logdet(op, probes=8, steps=6, generator=seeded(seed)).interval()
        hits += low <= truth <= high
    assert 0.90 <= hits / 400 <= 0.99


def test_what_is_known_counts_exactly():
    """Ten outliers above a bulk: the probes see the bulk alone, and the standard error is that of the bulk."""
    bulk = np.linspace(0.9, 1.1, 90).tolist()
    op, _ = operator([10.0**i for i in range(1, 6)] + bulk)
    top = tw.eigenpairs(op, 5, tol=1e-9)
    plain = tw.function_trace(op, torch.sqrt, probes=10, steps=60)
    found = tw.function_trace(op, torch.sqrt, probes=10, steps=60, known=top)
    exact = sum(10 ** (i / 2) for i in range(1, 6)) + sum(math.sqrt(value) for value in bulk)
    assert abs(found.value - exact) <= 4 * found.standard_error + 1e-6 * exact
    assert found.standard_error < plain.standard_error / 20
    everything = tw.eigenpairs(op, 95, tol=1e-9)
    complete = tw.function_trace(op, torch.sqrt, known=everything, probes=0)
    assert complete.standard_error == 0
    assert complete.cost.matvecs == 0
    assert complete.value == pytest.approx(exact, rel=1e-9)


def test_too_few_steps_are_said():
    op, _ = operator((10.0 ** np.linspace(-6, 0, 200)).tolist())
    with pytest.warns(tw.errors.ConvergenceWarning, match="The quadrature of 6 steps has not settled"):
        found = tw.logdet(op, probes=4, steps=6)
    assert found.converged is False


def test_an_invariant_subspace_ends_a_run_early():
    op, _ = operator([3.0] * 20 + [1.0] * 20)
    found = tw.logdet(op, probes=5, steps=30)
    assert found.converged
    assert found.cost.matvecs == 10
    assert abs(found.value - 20 * math.log(3)) <= 4 * found.standard_error


def test_magnitudes_of_an_indefinite_matrix():
    values = [4.0, 3.0, 2.0, -0.5, -2.0]
    op, _ = operator(values)
    with pytest.raises(
        tw.errors.ArgumentError, match=r"positive definite matrix for its log-determinant, but it has the"
    ):
        tw.logdet(op, steps=5)
    with pytest.raises(tw.errors.ArgumentError, match=r"Take damping above 2, or absolute=True for the magnitudes"):
        tw.logdet(op, steps=5, damping=1.0)
    shifted = tw.logdet(op, steps=5, damping=2.5, probes=100)
    assert abs(shifted.value - sum(math.log(v + 2.5) for v in values)) <= 4 * shifted.standard_error
    found = tw.logdet(op, steps=5, absolute=True, damping=0.1, probes=100)
    assert abs(found.value - sum(math.log(abs(v) + 0.1) for v in values)) <= 4 * found.standard_error
    singular, _ = operator([1.0, 0.0])
    zeros = tw.FunctionOperator(torch.zeros_like, 3, dtype=torch.float64)
    with pytest.raises(tw.errors.ArgumentError, match="Take damping > 0"):
        tw.logdet(zeros, absolute=True, steps=2)
    assert tw.logdet(singular, damping=1.0, steps=2, probes=50).value == pytest.approx(math.log(2), abs=0.3)


def test_one_dimension():
    op = tw.FunctionOperator(lambda v: 2 * v, 1, dtype=torch.float64)
    assert tw.logdet(op, probes=2).value == pytest.approx(math.log(2), abs=1e-14)
    assert tw.logdet(op, probes=1).standard_error is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": 0}, "probes: expected at least 1, got 0"),
        ({"probes": 2.0}, "probes: expected a whole number, got 2.0"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"damping": -1.0}, "damping: expected a finite number that is not negative"),
        ({"known": 3}, "known: expected eigenpairs or None, got int"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.logdet(laplacian(), **arguments)


def test_wrong_functions_and_pairs_are_named():
    op = laplacian()
    with (
        unchecked(),
        pytest.raises(tw.errors.ArgumentError, match=r"f: expected real numbers of shape \(20,\), one an"),
    ):
        tw.function_trace(op, lambda x: x.sum(), steps=20)
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=r"f: expected real numbers of shape .* got float"):
        tw.function_trace(op, lambda x: 1.0, steps=20)
    with pytest.raises(tw.errors.ArgumentError, match="f: expected finite numbers, got another at the Ritz value"):
        tw.function_trace(op, lambda x: x / 0, steps=20)
    pairs = tw.eigenpairs(op, 2)
    with pytest.raises(tw.errors.ArgumentError, match="known: expected eigenpairs with their vectors"):
        tw.logdet(op, known=pairs.without_vectors())
    with pytest.raises(tw.errors.ArgumentError, match="known: expected vectors of 40 entries, got 50"):
        tw.logdet(laplacian(40), known=pairs)

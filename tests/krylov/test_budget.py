"""What a spent budget returns is honest, and the way there is told."""

import time

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from tests.unchecked import unchecked

SPREAD = [30 * 0.8**i for i in range(20)] + np.linspace(-1, 1, 60).tolist()


def slow(seconds: float):
    """A diagonal matrix whose products take a while."""
    entries = torch.tensor(SPREAD, dtype=torch.float64)

    def product(v):
        time.sleep(seconds)
        return entries * v

    return tw.FunctionOperator(product, len(SPREAD), dtype=torch.float64)


@pytest.mark.parametrize("products", [6, 12, 18])
def test_products(products):
    op, matrix = operator(SPREAD)
    with pytest.warns(tw.errors.ConvergenceWarning, match=rf"within {products} products .* Raise max_matvecs, the bud"):
        found = tw.eigenpairs(op, 6, budget=tw.Budget(products=products), tol=1e-10)
    assert op.matvecs == found.matvecs == products
    misses = (matrix @ found.vectors - found.vectors * found.values).norm(dim=0)
    assert (misses <= found.residuals + 1e-12).all()
    assert len(found.values) == 6


def test_seconds():
    op = slow(0.01)
    with pytest.warns(tw.errors.ConvergenceWarning):
        found = tw.eigenpairs(op, 6, budget=tw.Budget(seconds=0.12), tol=1e-12)
    assert 6 <= found.matvecs <= 13
    assert not found.converged.all()


def test_what_converges_before_is_not_touched():
    plain = tw.eigenpairs(operator(SPREAD)[0], 6)
    found = tw.eigenpairs(operator(SPREAD)[0], 6, budget=tw.Budget(products=300, seconds=1000))
    assert torch.equal(found.vectors, plain.vectors)


@pytest.mark.filterwarnings("ignore:.*two ends have not converged:thalweg.errors.ConvergenceWarning")
@pytest.mark.parametrize("products", [32, 60, 120, 300])
def test_a_spectrum_within_products(products):
    op, matrix = operator(SPREAD)
    found = tw.spectrum(op, top=5, bottom=2, rtol=0.001, budget=tw.Budget(products=products))
    assert op.matvecs == found.cost.matvecs <= products
    for pairs in (found.top, found.bottom):
        misses = (matrix @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0)
        assert (misses <= pairs.residuals + 1e-12).all()
    assert not found.trace.converged
    assert abs(found.trace.value - sum(SPREAD)) <= 4 * found.trace.standard_error


# The clock decides whether an end or the search for copies is what is not finished.
@pytest.mark.filterwarnings("ignore::thalweg.errors.ConvergenceWarning")
def test_a_spectrum_within_seconds():
    op = slow(0.005)
    started = time.perf_counter()
    found = tw.spectrum(op, top=5, bottom=2, rtol=1e-4, budget=tw.Budget(seconds=0.5))
    whole = tw.spectrum(slow(0), top=5, bottom=2, rtol=1e-4)
    # What is there after all seconds is at least what two steps of each probe and a block of the trace take.
    assert found.cost.matvecs < whole.cost.matvecs
    assert not found.trace.converged
    assert time.perf_counter() - started < 60
    assert abs(found.trace.value - sum(SPREAD)) <= 4 * found.trace.standard_error


@pytest.mark.filterwarnings("ignore:.*two ends have not converged:thalweg.errors.ConvergenceWarning")
@pytest.mark.slow
def test_the_intervals_of_a_short_budget_cover():
    hits = 0
    entries = [value for value in SPREAD if value > 0]
    op, _ = operator(entries)
    for seed in range(200):
        source = torch.Generator().manual_seed(seed)
        found = tw.spectrum(op, top=10, bottom=1, budget=tw.Budget(products=90), generator=source)
        low, high = found.frobenius.interval()
        hits += low <= sum(value**2 for value in entries) <= high
    assert 0.90 <= hits / 200 <= 0.99


class Notes:
    """A reporter that remembers."""

    def __init__(self):
        self.notes = []

    def advance(self, n=1, note=""):
        del n
        self.notes.append(note)

    def stage(self, description, total=None):
        return tw.progress.Silent().stage(description, total) if description == "?" else _Within(self)


class _Within:
    def __init__(self, notes):
        self.notes = notes

    def __enter__(self):
        return self.notes

    def __exit__(self, *error):
        return None


def test_progress_tells_the_ritz_values():
    notes = Notes()
    found = tw.eigenpairs(operator(SPREAD)[0], 4, "BE", progress=notes)
    assert len(notes.notes) == found.matvecs
    top, bottom = float(found.values[0]), float(found.values[-1])
    assert notes.notes[-1].endswith(f" of 4 converged, at the ends {top:.4g} and {bottom:.4g}")
    assert notes.notes[0] == "1 products"


def test_the_history_is_that_of_the_ritz_values():
    op, matrix = operator(SPREAD)
    found = tw.eigenpairs(op, 5)
    history = found.history
    assert history.values.shape == history.residuals.shape == (len(history.products), 5)
    assert torch.equal(history.values[-1], found.values)
    assert torch.equal(history.residuals[-1], found.residuals)
    assert int(history.products[-1]) == found.matvecs
    assert history.threshold == pytest.approx(1e-4 * found.scale)
    # Ritz values of a growing space only grow (Courant and Fischer).
    assert (history.values.diff(dim=0) >= -1e-12 * found.scale).all()
    exact = torch.linalg.eigvalsh(matrix)
    for row, bounds in zip(history.values, history.residuals, strict=True):
        assert ((row[:, None] - exact).abs().min(dim=1).values <= bounds + 1e-12).all()
    assert str(history) == f"5 of 5 converged within {found.matvecs} products"
    assert tw.Eigenpairs.from_dict(found.without_vectors().to_dict()).history.threshold == history.threshold
    steps = history.products[1:-1].double() / history.products[:-2]
    assert (steps >= 1.1).all()


def test_both_ends_have_their_history():
    found = tw.spectrum(operator(SPREAD)[0], top=4, bottom=2)
    for pairs in (found.top, found.bottom):
        assert torch.equal(pairs.history.values[-1], pairs.values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "budget: expected products, seconds, or both, got neither"),
        ({"products": 0}, "products: expected at least 1, got 0"),
        ({"products": 2.5}, "products: expected a whole number, got 2.5"),
        ({"seconds": -1}, "seconds: expected a positive finite number, got -1"),
        ({"seconds": "1h"}, "seconds: expected a number, got '1h'"),
    ],
)
def test_bad_budgets_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.Budget(**arguments)


def test_budgets_that_suffice_for_nothing():
    op, _ = operator(SPREAD)
    with pytest.raises(tw.errors.ArgumentError, match="budget: expected at least k = 6 products, got 5"):
        tw.eigenpairs(op, 6, budget=tw.Budget(products=5))
    with pytest.raises(tw.errors.ArgumentError, match="expected at least 41 products for 25 pairs and two steps of 8"):
        tw.spectrum(op, budget=tw.Budget(products=40))
    for call in (lambda: tw.eigenpairs(op, 3, budget=60), lambda: tw.spectrum(op, budget=60)):
        with unchecked(), pytest.raises(tw.errors.ArgumentError, match="budget: expected a Budget or None, got 60"):
            call()

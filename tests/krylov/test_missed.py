"""The statement about random starts, held against random starts."""

import numpy as np
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._missed import excluded


def test_an_eigenvalue_that_is_there_is_hardly_ever_excluded():
    """At probability 0.9 the run may overlook λ = 2 above a bulk on [−1, 1] in at most a tenth of the runs."""
    rest, overlooked, runs = np.linspace(-1, 1, 150).tolist(), 0, 200
    op, _ = operator([2.0, *rest])
    for seed in range(runs):
        lanczos = Lanczos(op, 60)
        lanczos.start(op.space.randn(torch.Generator().manual_seed(seed)))
        while not lanczos.full:
            lanczos.step()
            values = np.linalg.eigvalsh(lanczos.matrix)
            if values[-1] > 1.5:
                break
            if excluded(lanczos.steps, 151, 2.0, float(values[-1]), -1.0, 0.9):
                overlooked += 1
                break
    assert overlooked <= 0.1 * runs + 3 * (0.1 * 0.9 * runs) ** 0.5


def test_nothing_is_excluded_below_what_was_seen():
    assert not excluded(10**6, 10**9, 1.0, 1.0, 0.0, 0.99)


def test_more_steps_a_wider_gap_and_a_smaller_space_exclude_sooner():
    def steps(size: int, seen: float, probability: float) -> int:
        return next(j for j in range(1, 10**5) if excluded(j, size, 1.0, seen, 0.0, probability))

    assert steps(10**6, 0.5, 0.99) < steps(10**6, 0.9, 0.99)
    assert steps(10**3, 0.5, 0.99) < steps(10**9, 0.5, 0.99)
    assert steps(10**6, 0.5, 0.9) < steps(10**6, 0.5, 0.999)


def test_the_whole_space_leaves_nothing():
    assert excluded(5, 5, 1.0, 0.5, 0.0, 0.99)


def test_the_search_takes_few_products():
    """On a spectrum with a gap the certificate costs a dozen products, not another run."""
    op, _ = operator([10.0, 9.0, 8.0, *np.linspace(-1, 1, 500).tolist()])
    lanczos = Lanczos(op, 503)
    lanczos.start(op.space.randn(torch.Generator().manual_seed(0)))
    while True:
        lanczos.step()
        values, vectors = np.linalg.eigh(lanczos.matrix)
        if lanczos.steps >= 3 and lanczos.residuals(vectors[:, -3:]).max() < 1e-4 * values[-1]:
            break
    alone = lanczos.steps
    assert tw.eigenpairs(op, 3).matvecs <= alone + 15

"""The statement about random starts, held against random starts."""

import numpy as np
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._missed import excluded


def run(op: tw.FunctionOperator, steps: int, seed: int = 0) -> Lanczos:
    lanczos = Lanczos(op, op.space.size)
    lanczos.start(op.space.randn(torch.Generator().manual_seed(seed)))
    for _ in range(steps):
        lanczos.step()
    return lanczos


def test_an_eigenvalue_that_is_there_is_hardly_ever_excluded():
    """At probability 0.9, λ = 2 above a bulk on [−1, 1] may be overlooked in at most a tenth of the runs."""
    op, _ = operator([2.0, *np.linspace(-1, 1, 150).tolist()])
    runs, overlooked = 200, 0
    for seed in range(runs):
        lanczos = run(op, 1, seed)
        while np.linalg.eigvalsh(lanczos.matrix)[-1] < 1.99:
            if excluded(*lanczos.run(), 151, 1.999, 0.9):
                overlooked += 1
                break
            lanczos.step()
    assert overlooked <= 0.1 * runs + 3 * (0.1 * 0.9 * runs) ** 0.5


def test_the_polynomial_bounds_every_overlap():
    """|uᵀv| ≤ 1/p_j(λ): at a probability that allows this very overlap nothing is ever excluded."""
    op, matrix = operator([2.0, 1.7, *np.linspace(-1, 1, 40).tolist()], seed=3)
    values, vectors = torch.linalg.eigh(matrix)
    for seed in range(20):
        start = op.space.randn(torch.Generator().manual_seed(seed))
        overlap = abs(float(vectors[:, -1] @ start) / float(torch.linalg.vector_norm(start)))
        probability = 1 - overlap * np.sqrt(2 * 42 / np.pi)
        for steps in range(1, 12):
            assert not excluded(*run(op, steps, seed).run(), 42, float(values[-1]) - 1e-12, probability)


def test_what_is_not_there_is_excluded_in_the_end_and_what_was_seen_never():
    op, _ = operator(np.linspace(-1, 1, 150).tolist())
    lanczos = run(op, 40)
    seen = float(np.linalg.eigvalsh(lanczos.matrix)[-1])
    assert not excluded(*lanczos.run(), 150, seen - 1e-9, 0.99)
    assert not excluded(*lanczos.run(), 150, seen + 1e-9, 0.99)
    assert excluded(*lanczos.run(), 150, 1.5, 0.99)


def test_more_steps_a_wider_gap_and_a_smaller_space_exclude_sooner():
    op, _ = operator(np.linspace(-1, 1, 150).tolist())

    def steps(size: int, wanted: float, probability: float) -> int:
        return next(j for j in range(1, 80) if excluded(*run(op, j).run(), size, wanted, probability))

    assert steps(150, 2.0, 0.99) < steps(150, 1.1, 0.99)
    assert steps(150, 1.5, 0.99) < steps(10**12, 1.5, 0.99)
    assert steps(150, 1.5, 0.9) < steps(150, 1.5, 0.99999)


def test_an_invariant_subspace_excludes_all_beyond_it():
    assert excluded(np.array([1.0]), np.array([0.0]), 10, 2.0, 0.99)
    assert not excluded(np.array([1.0]), np.array([0.0]), 10, 1.0, 0.99)


def test_the_search_takes_few_products():
    """On a spectrum with a gap the certificate costs a dozen products, not another run."""
    op, _ = operator([10.0, 9.0, 8.0, *np.linspace(-1, 1, 500).tolist()])
    lanczos = run(op, 3)
    while True:
        values, vectors = np.linalg.eigh(lanczos.matrix)
        if lanczos.residuals(vectors[:, -3:]).max() < 1e-4 * values[-1]:
            break
        lanczos.step()
    assert tw.eigenpairs(op, 3).matvecs <= lanczos.steps + 12

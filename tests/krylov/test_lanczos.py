"""The Krylov basis itself: orthogonal as far as promised, at fewer sweeps than steps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.krylov.spectra import operator
from thalweg.krylov import density, eigenpairs
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._orthogonality import Orthogonality
from thalweg.operators import FunctionOperator

OUTLIERS = [100.0, 60.0, 40.0, 25.0, 16.0, 10.0, 6.0, 4.0, *torch.linspace(-1, 1, 392).tolist()]
FLAT = torch.linspace(0, 1, 400).tolist()
DECAY = [2.0**-i for i in range(60)] + [0.0] * 340
CASES = {"outliers": OUTLIERS, "flat": FLAT, "decay": DECAY, "large": [1e6 * x for x in OUTLIERS]}


def grown(eigenvalues, dtype, loss, steps, seed=0):
    op, matrix = operator(eigenvalues, seed, dtype)
    lanczos = Lanczos(op, steps, loss=loss)
    lanczos.start(op.space.randn(torch.Generator().manual_seed(seed)))
    while not (lanczos.ended or lanczos.full):
        lanczos.step()
    basis = torch.stack([lanczos.basis[i] for i in range(lanczos.steps)]).double()
    return lanczos, basis, matrix.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_the_loss_of_orthogonality_stays_below_what_is_let_pass(name, dtype):
    eps = torch.finfo(dtype).eps
    for loss in (eps**0.75, 0.1 * eps**0.5, eps**0.5):
        lanczos, basis, matrix = grown(CASES[name], dtype, loss, 100)
        lost = (basis @ basis.mT - torch.eye(len(basis))).abs().max()
        assert lost < 3 * loss
        # Semi-orthogonal is enough: the recurrence is the projection to working precision.
        q, r = torch.linalg.qr(basis.mT)
        q = q * r.diagonal().sign()
        projected = (q.mT @ matrix @ q).numpy()
        np.testing.assert_allclose(lanczos.matrix, projected, rtol=0, atol=100 * eps * lanczos.scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_later_runs_save_sweeps_and_stay_orthogonal_too(name, dtype):
    loss = 0.1 * torch.finfo(dtype).eps ** 0.5
    op, matrix = operator(CASES[name], 0, dtype)
    lanczos = Lanczos(op, 120, loss=loss)
    generator = torch.Generator().manual_seed(0)
    for steps in (40, 25, 35):
        lanczos.start(op.space.randn(generator))
        for _ in range(steps):
            if not lanczos.ended:
                lanczos.step()
    basis = torch.stack([lanczos.basis[i] for i in range(lanczos.steps)]).double()
    assert (basis @ basis.mT - torch.eye(len(basis))).abs().max() < 3 * loss
    assert lanczos.sweeps < lanczos.steps
    projected = (basis @ matrix.double() @ basis.mT).numpy()
    np.testing.assert_allclose(lanczos.matrix, projected, rtol=0, atol=10 * loss * lanczos.scale)


@pytest.mark.parametrize(("name", "share"), [("outliers", 0.5), ("flat", 0.5), ("large", 0.5)])
def test_most_sweeps_are_saved_in_double_precision(name, share):
    lanczos, *_ = grown(CASES[name], torch.float64, 1e-8, 100)
    assert lanczos.sweeps < share * lanczos.steps
    full, *_ = grown(CASES[name], torch.float64, 0.0, 100)
    assert full.sweeps == full.steps
    np.testing.assert_allclose(
        np.linalg.eigvalsh(lanczos.matrix), np.linalg.eigvalsh(full.matrix), atol=1e-11 * full.scale
    )


def test_without_any_sweep_copies_appear():
    # The test of the tests: these spectra do lose orthogonality.
    lanczos, *_ = grown(OUTLIERS, torch.float64, 0.0, 100)
    op, _ = operator(OUTLIERS)
    previous, current, beta, alphas, betas = torch.zeros(400).double(), lanczos.basis[0], 0.0, [], []
    for _ in range(100):
        w = op @ current - beta * previous
        alphas.append(float(w @ current))
        w -= alphas[-1] * current
        beta = float(w.norm())
        betas.append(beta)
        previous, current = current, w / beta
    ghosts = np.linalg.eigvalsh(np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1))
    assert (ghosts > 99.9).sum() > 1
    assert (np.linalg.eigvalsh(lanczos.matrix) > 99.9).sum() == 1


@given(st.integers(0, 10**6), st.floats(0.1, 4.0))
def test_the_residuals_hold_whatever_is_let_pass(seed, decay):
    generator = torch.Generator().manual_seed(seed)
    eigenvalues = (torch.randn(150, generator=generator, dtype=torch.float64) * torch.arange(1, 151) ** -decay).tolist()
    lanczos, basis, matrix = grown(eigenvalues, torch.float32, 1e-3, 40, seed)
    values, vectors = np.linalg.eigh(lanczos.matrix)
    ritz = basis.mT @ torch.from_numpy(vectors)
    truth = (matrix @ ritz - ritz * torch.from_numpy(values)).norm(dim=0).numpy()
    assert (truth <= 1.001 * lanczos.residuals(vectors) + 1e-6 * lanczos.scale).all()


def test_the_recurrence_of_the_estimates_follows_a_planted_loss():
    # Exact arithmetic, but for q_1 and q_2 that are not quite orthogonal to q_0: the estimates must grow as the truth.
    a = torch.diag(torch.tensor([9.0, 4.0, 2.5, 1.0, 0.3, 0.1], dtype=torch.float64))
    estimates = Orthogonality(1e-30, 5)
    basis, alphas, betas = [torch.ones(6, dtype=torch.float64) / 6**0.5], [], []
    for j in range(5):
        w = a @ basis[j] - (betas[-1] * basis[j - 1] if j else 0)
        alphas.append(float(w @ basis[j]))
        w -= alphas[-1] * basis[j]
        if j == 1:
            w += 1e-6 * w.norm() * basis[0]
        betas.append(float(w.norm()))
        basis.append(w / w.norm())
        matrix = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
        found = estimates.advance(matrix, betas[-1], 9.0)
        if j == 1:
            estimates._inner[0, 2] = estimates._inner[2, 0] = 1e-6
        if j > 1:
            true = max(abs(float(basis[j + 1] @ basis[i])) for i in range(j))
            assert found == pytest.approx(true, rel=1e-3)


@pytest.mark.parametrize("question", ["density", "eigenpairs"])
@pytest.mark.parametrize("seed", [0, 1])
def test_products_rounded_far_more_than_their_type_are_not_taken_for_asymmetry(question, seed):
    # As of a deep network in single precision: 1e-4 of the norm, a thousand units of rounding.
    generator = torch.Generator().manual_seed(seed)
    eigenvalues = torch.cat([torch.tensor([1.0, 0.5, 0.3]), 0.01 * torch.rand(397, generator=generator)])
    rounding = torch.Generator().manual_seed(seed + 10)

    def product(v):
        return eigenvalues * v + 1e-4 * v.norm() * torch.randn(400, generator=rounding) / 20

    op = FunctionOperator(product, 400, dtype=torch.float32)
    if question == "density":
        assert density(op, probes=2, steps=40).nodes.max() == pytest.approx(1, abs=1e-3)
    else:
        assert eigenpairs(op, 3, tol=1e-3).values.tolist() == pytest.approx([1, 0.5, 0.3], abs=1e-3)

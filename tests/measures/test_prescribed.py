"""Whole spectra that are known: the golden networks, and shapes that algorithms stumble over."""

import math
import warnings

import numpy as np
import pytest
import torch

import thalweg as tw
from tests import golden
from tests.krylov.spectra import operator


def test_the_golden_network_with_squared_errors():
    """G1 (O1, O2, O5), all nine eigenvalues."""
    found = tw.spectrum(tw.hessian(golden.g1()), top=5, bottom=4, damping=1e-3)
    assert found.top.values[:2].tolist() == pytest.approx([2.69247713777789, 0.974092196238280], rel=1e-8)
    assert found.bottom.values[:2].tolist() == pytest.approx([-0.248545330009527, -0.0988372319266986], rel=1e-8)
    assert found.trace.value == pytest.approx(3.8718508986352, rel=1e-8)
    assert found.frobenius.value == pytest.approx(8.39983556039988, rel=1e-8)
    assert found.logdet_absolute.value == pytest.approx(-14.6082290370, rel=1e-8)
    assert found.logdet is None
    assert found.conditioning.raw == pytest.approx(-10.8329419735, rel=1e-8)
    assert found.width.value == pytest.approx(2.94102246779, rel=1e-8)
    assert found.negative.count == 3
    assert found.negative.exhaustive
    assert found.index.value == pytest.approx(3, abs=1e-9)
    assert found.nullity.value == pytest.approx(0, abs=1e-9)


def test_the_golden_network_with_cross_entropy():
    """G2 (O6): four null directions, eight negative ones, with half of the pairs left to the probes."""
    found = tw.spectrum(tw.hessian(golden.g2()), top=6, bottom=5, probes=4, steps=21, rtol=None)
    assert found.top.values[:3].tolist() == pytest.approx([1.11987874979102, 0.702363455617064, 0.509282555936224])
    assert found.bottom.values[:3].tolist() == pytest.approx(
        [-0.555822042665639, -0.460300589628544, -0.353857951098184]
    )
    for estimate, truth in (
        (found.trace, 1.57529958402072),
        (found.frobenius, 3.16370051190239),
        (found.nullity, 4.0),
        (found.index, 8.0),
    ):
        assert abs(estimate.value - truth) <= 4 * estimate.standard_error + 1e-9
    whole = tw.spectrum(tw.hessian(golden.g2()), top=21)
    assert whole.nullity.value == pytest.approx(4, abs=1e-9)
    assert whole.index.value == pytest.approx(8, abs=1e-9)
    assert whole.trace.standard_error == 0


SHAPES = {
    "clustered": [5 + 1e-5 * i for i in range(6)] + np.linspace(0, 1, 50).tolist() + [-2 - 1e-6 * i for i in range(3)],
    "degenerate": [4.0] * 5 + [1.0] * 30 + [-1.0] * 20 + [-3.0] * 2,
    "rank-deficient": [3.0, 2.0, 1.0, -1.0] + [0.0] * 56,
    "one outlier": [1000.0, *np.linspace(-1, 1, 59).tolist()],
    "an identity": [2.0] * 40,
}


@pytest.mark.parametrize("eigenvalues", SHAPES.values(), ids=SHAPES.keys())
def test_shapes_against_dense_answers(eigenvalues):
    op, matrix = operator(eigenvalues)
    exact = torch.linalg.eigvalsh(matrix)
    scale = float(exact.abs().max())
    found = tw.spectrum(op, top=6, bottom=3, steps=60, rtol=None, damping=0.5)
    assert bool(found.top.converged.all())
    assert bool(found.bottom.converged.all())
    # An isolated value is in error by residual²/gap, and a member of a cluster by the residual.
    assert bool(((found.top.values - exact.flip(0)[:6]).abs() <= found.top.residuals + 1e-12 * scale).all())
    assert bool(((found.bottom.values - exact[:3]).abs() <= found.bottom.residuals + 1e-12 * scale).all())
    truths = {
        "trace": exact.sum(),
        "frobenius": exact.square().sum(),
        "logdet_absolute": (exact.abs() + 0.5).log().sum(),
        "negative_mass": (-exact).clamp_min(0).sum(),
        "index": (exact < -found.zero).sum(),
        "nullity": (exact.abs() <= found.zero).sum(),
    }
    known = float(torch.cat([found.top.residuals, found.bottom.residuals]).sum())
    for name, truth in truths.items():
        estimate = getattr(found, name)
        # Sums take in the known pairs with their errors, at most twice their values for squares.
        slack = known * max(1, 2 * scale) + 1e-9 * scale**2
        assert abs(estimate.value - float(truth)) <= 4.5 * estimate.standard_error + slack, name


@pytest.mark.parametrize("eigenvalues", [[3.0], [-3.0], [0.0], [2.0, 2.0], [1.0, -4.0], [5.0, 0.0]])
def test_one_and_two_dimensions(eigenvalues):
    op, _ = operator(eigenvalues)
    found = tw.spectrum(op, damping=0.25)
    assert found.top.values.tolist() == pytest.approx(sorted(eigenvalues, reverse=True))
    assert found.bottom.values.tolist() == pytest.approx(sorted(eigenvalues))
    assert found.trace.value == pytest.approx(sum(eigenvalues))
    assert found.frobenius.value == pytest.approx(sum(value**2 for value in eigenvalues))
    assert found.logdet_absolute.value == pytest.approx(sum(math.log(abs(value) + 0.25) for value in eigenvalues))
    assert found.negative_mass.value == pytest.approx(-sum(value for value in eigenvalues if value < 0))
    assert found.index.value == sum(value < 0 for value in eigenvalues)
    assert found.nullity.value == sum(value == 0 for value in eigenvalues)
    assert found.cost.matvecs == op.matvecs <= 2


def test_one_outlier_in_a_million():
    """One direction of a million stands out of five levels; the rest is a bulk whose shares are known."""
    size = 10**6
    diagonal = torch.tensor([-0.5, 0.0, 0.25, 0.5, 1.0], dtype=torch.float64).repeat(size // 5)
    diagonal[123_456] = 40.0
    op = tw.FunctionOperator(lambda v: diagonal * v, size, dtype=torch.float64)
    found = tw.spectrum(op, top=1, bottom=1, probes=2, steps=8, rtol=None, max_matvecs=40)
    assert float(found.top.values) == pytest.approx(40, abs=1e-9)
    assert float(found.top.vectors[123_456].abs()) == pytest.approx(1, abs=1e-9)
    assert float(found.bottom.values) == pytest.approx(-0.5, abs=1e-9)
    for estimate, truth in (
        (found.trace, float(diagonal.sum())),
        (found.frobenius, float(diagonal.square().sum())),
        (found.nullity, float((diagonal == 0).sum())),
        (found.index, float((diagonal < 0).sum())),
        (found.negative_mass, 0.5 * float((diagonal < 0).sum())),
    ):
        assert abs(estimate.value - truth) <= 4.5 * estimate.standard_error
        assert estimate.standard_error <= 0.003 * size
    assert found.cost.matvecs <= 40


def test_one_outlier_in_a_million_above_a_continuum():
    """The lower end of a continuum does not converge in a few products, which is said; the outlier does."""
    size = 10**6
    diagonal = torch.linspace(0, 1, size)
    diagonal[7] = 30.0
    op = tw.FunctionOperator(lambda v: diagonal * v, size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = tw.spectrum(op, top=1, bottom=1, probes=2, steps=8, rtol=None, max_matvecs=16)
    assert [each.category for each in caught] == [tw.errors.ConvergenceWarning]
    assert abs(float(found.top.values) - 30) <= float(found.top.residuals) <= 1e-4 * 30
    assert found.top.converged.tolist() == [True]
    assert abs(found.trace.value - (size / 2 + 30)) <= 4.5 * found.trace.standard_error
    assert found.trace.standard_error <= 0.002 * size

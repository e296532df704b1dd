"""One run against prescribed spectra: bounds that hold, sums that agree, intervals that cover."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.krylov.spectra import operator, second_difference
from tests.landscape.models import classes, mlp, randn
from tests.unchecked import unchecked

CURVED = [50 * 0.7**i for i in range(12)] + np.linspace(-0.2, 0.5, 88).tolist()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truths(eigenvalues: list[float], epsilon: float, zero: float) -> dict[str, float]:
    """The sums, from all eigenvalues."""
    e = np.array(eigenvalues)
    shares = np.abs(e[e != 0]) / np.abs(e).sum()
    positive = np.maximum(e, 0)
    return {
        "trace": e.sum(),
        "frobenius": (e**2).sum(),
        "logdet_absolute": np.log(np.abs(e) + epsilon).sum(),
        "negative_mass": np.maximum(-e, 0).sum(),
        "index": float((e < -zero).sum()),
        "nullity": float((np.abs(e) <= zero).sum()),
        "effective_dimension": (positive / (positive + epsilon)).sum(),
        "participation_ratio": e.sum() ** 2 / (e**2).sum(),
        "stable_rank": e.sum() / e.max(),
        "entropy_rank": math.exp(-(shares * np.log(shares)).sum()),
    }


@pytest.mark.parametrize("eigenvalues", [[4.0, 2.0, 1.0, 1.0], [3.0], [3.0, -1.0], [2.0, 0.0, -1.0, -5.0]])
def test_a_whole_spectrum_is_exact(eigenvalues):
    """O52 among them: participation ratio 2.909…, stable rank 2, entropy rank 3.363…"""
    op, _ = operator(eigenvalues)
    found = tw.spectrum(op, damping=0.1)
    for name, truth in truths(eigenvalues, 0.1, found.zero).items():
        estimate = getattr(found, name)
        if estimate is None:
            assert sum(eigenvalues) <= 0
            continue
        assert estimate.value == pytest.approx(truth, rel=1e-9, abs=1e-9)
        assert estimate.standard_error == pytest.approx(0, abs=1e-9)
    assert found.cost.matvecs == op.matvecs == len(eigenvalues)
    assert found.width.value == pytest.approx(max(eigenvalues) - min(eigenvalues))
    if min(eigenvalues) > -0.1:
        assert found.logdet.value == pytest.approx(sum(math.log(value + 0.1) for value in eigenvalues))
    else:
        assert found.logdet is None


def test_the_effective_dimension_of_an_oracle():
    """O52: N_eff(1) and N_eff(0.1) of (4, 2, 1, 1)."""
    op, _ = operator([4.0, 2.0, 1.0, 1.0])
    for damping, truth in ((1.0, 2.46666666667), (0.1, 3.74617252666)):
        assert tw.spectrum(op, damping=damping).effective_dimension.value == pytest.approx(truth, abs=1e-10)


def test_the_second_difference():
    """O13: trace 100, squared norm 298, ln det(A + 0.01 I), both ends, the condition number."""
    matrix = second_difference(50)
    op = tw.FunctionOperator(lambda v: matrix @ v, 50, dtype=torch.float64)
    found = tw.spectrum(op, top=6, bottom=4, damping=0.01, probes=20, steps=30)
    for estimate, truth in ((found.trace, 100), (found.frobenius, 298), (found.logdet, 6.70602953026)):
        assert abs(estimate.value - truth) <= 4 * estimate.standard_error
    exact = [2 - 2 * math.cos(k * math.pi / 51) for k in range(1, 51)]
    assert found.bottom.values.tolist() == pytest.approx(exact[:4], abs=1e-6)
    assert found.top.values.tolist() == pytest.approx(exact[::-1][:6], abs=1e-6)
    assert found.conditioning.raw == pytest.approx(exact[-1] / exact[0], rel=1e-5)
    assert found.conditioning.absolute is None
    assert float(torch.trapezoid(found.density.density, found.density.grid)) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_intervals_cover():
    """In 90 to 99 % of 400 runs, for sums and for ratios of them, with the outliers known."""
    eigenvalues = [20 * 0.6**i for i in range(6)] + np.linspace(-0.2, 0.5, 30).tolist()
    op, _ = operator(eigenvalues)
    names = ("trace", "frobenius", "logdet_absolute", "effective_dimension", "participation_ratio")
    hits = dict.fromkeys(names, 0)
    for seed in range(400):
        found = tw.spectrum(op, top=6, bottom=1, steps=10, rtol=None, damping=0.2, generator=seeded(seed))
        truth = truths(eigenvalues, 0.2, found.zero)
        for name in names:
            low, high = getattr(found, name).interval()
            hits[name] += low <= truth[name] <= high
    for count in hits.values():
        assert 0.90 <= count / 400 <= 0.99


def test_known_pairs_take_the_spread_out_of_the_probes():
    op, _ = operator(CURVED)
    found = tw.spectrum(op, top=12, bottom=2, rtol=None)
    plain = tw.trace(op, probes=8)
    assert found.trace.standard_error < plain.standard_error / 10
    assert abs(found.trace.value - sum(CURVED)) <= 4 * found.trace.standard_error


def test_the_trace_is_drawn_to_the_accuracy_asked_for():
    op, _ = operator(CURVED)
    found = tw.spectrum(op, top=8, bottom=1, rtol=0.01, steps=10)
    low, high = found.trace.interval()
    assert found.trace.converged
    assert (high - low) / 2 <= 0.01 * 1.15 * abs(found.trace.value)
    assert found.cost.matvecs == op.matvecs
    with_less = tw.spectrum(op, top=1, bottom=1, rtol=1e-4, steps=10)
    assert with_less.trace.converged is False


def test_multiple_eigenvalues_are_whole_at_both_ends():
    op, _ = operator([10.0] * 3 + [1.0] * 80 + [-2.0] * 2)
    found = tw.spectrum(op, top=4, bottom=3)
    assert found.top.values.tolist() == pytest.approx([10, 10, 10, 1], abs=1e-6)
    assert found.bottom.values.tolist() == pytest.approx([-2, -2, 1], abs=1e-6)
    assert found.negative.count == 2
    assert found.negative.exhaustive
    assert found.index.value == pytest.approx(2)
    assert found.outliers == 3


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=25),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_residual_bounds_hold(eigenvalues, top, bottom):
    op, matrix = operator(eigenvalues)
    found = tw.spectrum(op, top=top, bottom=bottom, steps=8)
    rounding = 1e-11 * max(map(abs, eigenvalues)) + 1e-300
    for pairs in (found.top, found.bottom):
        misses = (matrix @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0)
        assert (misses <= pairs.residuals + rounding).all()
    assert float(found.top.values[0]) <= max(eigenvalues) + rounding
    assert float(found.bottom.values[0]) >= min(eigenvalues) - rounding
    assert found.cost.matvecs == op.matvecs


@pytest.mark.parametrize("options", [{"max_vectors": 20}, {"basis": "disk"}])
def test_a_basis_that_is_restarted_or_elsewhere(options):
    """Restarts take more products, and come to the same ends."""
    op, _ = operator([30 * 0.8**i for i in range(20)] + np.linspace(-1, 1, 120).tolist())
    plain = tw.spectrum(op, top=6, bottom=3, tol=1e-8, steps=12)
    found = tw.spectrum(op, top=6, bottom=3, tol=1e-8, steps=12, **options)
    assert bool(found.top.converged.all() and found.bottom.converged.all() and found.top.complete)
    for one, other in ((found.top, plain.top), (found.bottom, plain.bottom)):
        torch.testing.assert_close(one.values, other.values, rtol=0, atol=1e-10)
    assert (found.top.matvecs > plain.top.matvecs) == ("max_vectors" in options)
    low, high = found.trace.interval(0.999)
    assert low <= sum(30 * 0.8**i for i in range(20)) <= high


def test_a_zero_matrix():
    found = tw.spectrum(tw.FunctionOperator(torch.zeros_like, 30, dtype=torch.float64))
    assert found.trace.value == found.frobenius.value == 0
    assert found.nullity.value == pytest.approx(30)
    assert found.participation_ratio is None
    assert found.stable_rank is None
    assert found.entropy_rank is None


def test_a_network_in_single_precision():
    landscape = tw.Landscape(mlp().float(), tw.objectives.cross_entropy(), [(randn(30, 4).float(), classes(30))])
    hessian = tw.hessian(landscape)
    exact = torch.linalg.eigvalsh(hessian.dense().double())
    found = tw.spectrum(hessian, top=5, bottom=3, probes=12, steps=20)
    assert found.top.values.tolist() == pytest.approx(exact.flip(0)[:5].tolist(), abs=1e-4)
    assert abs(found.trace.value - float(exact.sum())) <= 4 * found.trace.standard_error + 1e-5
    assert abs(found.frobenius.value - float(exact.square().sum())) <= 4 * found.frobenius.standard_error + 1e-5
    assert str(found).startswith("43 eigenvalues from ")


def test_the_same_bits_for_the_same_seed_and_through_json():
    op, _ = operator(CURVED)
    first, second = (tw.spectrum(op, top=3, bottom=2, generator=seeded(5)) for _ in range(2))
    assert torch.equal(first.top.vectors, second.top.vectors)
    assert first.trace.value == second.trace.value
    stored = first.without_vectors()
    assert stored.top.vectors is None
    assert tw.Spectrum.from_dict(stored.to_dict()).logdet_absolute == stored.logdet_absolute


def test_an_end_that_has_not_converged_is_said():
    op, _ = operator(np.linspace(0, 1, 300).tolist())
    with pytest.warns(tw.errors.ConvergenceWarning, match="eigenpairs of the two ends have not converged within 30"):
        found = tw.spectrum(op, max_matvecs=30)
    assert not found.top.converged.all()
    assert abs(found.trace.value - 150) <= 4 * found.trace.standard_error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top: expected at least 1, got 0"),
        ({"max_vectors": 10}, "max_vectors: expected at least 33 for k = 25, got 10"),
        ({"bottom": 0}, "bottom: expected at least 1, got 0"),
        ({"probes": 1}, "probes: expected at least 2, got 1"),
        ({"steps": 1}, "steps: expected at least 2, got 1"),
        ({"steps": 3.5}, "steps: expected a whole number, got 3.5"),
        ({"max_matvecs": 10}, "max_matvecs: expected at least 25, got 10"),
        ({"rtol": 0.0}, "rtol: expected a positive finite number, got 0.0"),
        ({"damping": -1.0}, "damping: expected a positive finite number, got -1.0"),
        ({"tol": math.inf}, "tol: expected a positive finite number, got inf"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.spectrum(operator(CURVED)[0], **arguments)

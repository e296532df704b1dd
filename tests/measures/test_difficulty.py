"""The difficulty index against golden numbers, closed forms, dense twins and its own intervals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.measures import difficulty
from thalweg.measures._inner_products import inner_products
from thalweg.progress import Silent

DOUBLE = torch.float64


def matrix(*values: float) -> torch.Tensor:
    return torch.diag(torch.tensor(values, dtype=DOUBLE))


def operator(dense: torch.Tensor) -> tw.FunctionOperator:
    return tw.FunctionOperator(lambda v: dense @ v, len(dense), dtype=dense.dtype)


def with_hessian(dense: torch.Tensor) -> tw.Landscape:
    return quadratic(dense, torch.zeros(len(dense), dtype=DOUBLE), [1.0] * len(dense))


@pytest.mark.parametrize(
    ("network", "expected", "cosine"),
    [(g1, 1.77297246445953, 0.946927145834954), (g2, 0.376996458901440, 0.473541910178068)],
)
def test_golden_networks(network, expected, cosine):
    landscape = network()
    with unchecked(), unchanged(landscape.model):
        found = difficulty(landscape)
    assert found.index.value == pytest.approx(expected, rel=1e-10)
    assert found.alignment.value == pytest.approx(cosine, rel=1e-10)
    assert found.as_stated == found.index.value
    assert (found.index.standard_error, found.slack) == (0.0, 0.0)
    assert (found.denominator, found.variant, found.reason) == ("Tr H", "cosine", None)
    assert found.cost.matvecs == 2 * landscape.size


def test_the_ratio_of_zhu():
    found = difficulty(g1(), "zhu")
    assert found.alignment.value == pytest.approx(5.13018745842257, rel=1e-10)
    assert found.index.value == pytest.approx(2.69247713777789**2 / 3.8718508986352 * 5.13018745842257, rel=1e-9)


@pytest.mark.parametrize(("noise", "expected"), [((4, 2, 1, 1), 2.0), ((1, 1, 1, 1), 1.70560573088)])
def test_a_diagonal_hessian(noise, expected):
    """O52, λ = (4, 2, 1, 1): λ_max²/Tr = 2, times 1 for Σ = H and 8/(2√22) for Σ = I."""
    found = difficulty(with_hessian(matrix(4, 2, 1, 1)), covariance=operator(matrix(*noise)))
    assert found.index.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("products", [24, 48, 60])
def test_the_share_in_the_leading_directions(products):
    """Σ = diag(1, 2, 3, 4, 0, …): in the two leading directions 3 of 10, which sketches see in full."""
    zeros = [0.0] * 56
    noise = operator(matrix(1, 2, 3, 4, *zeros))
    landscape = with_hessian(matrix(4, 2, 1, 0.5, *zeros))
    found = difficulty(landscape, "topk", k=2, covariance=noise, products=products)
    assert found.alignment.value == pytest.approx(0.3)
    assert found.index.value == pytest.approx(16 / 7.5 * 0.3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), noise=st.floats(0.01, 100))
def test_it_has_the_units_of_the_hessian_and_none_of_the_noise(seed, scale, noise):
    root, other = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    h, s = root @ root.T, other @ other.T
    one = difficulty(with_hessian(h), covariance=operator(s)).index.value
    both = difficulty(with_hessian(scale * h), covariance=operator(noise * s)).index.value
    assert both == pytest.approx(scale * one, rel=1e-8)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(seed + 1), dtype=DOUBLE)).Q
    turned = difficulty(with_hessian(turn @ h @ turn.T), covariance=operator(turn @ s @ turn.T)).index.value
    assert turned == pytest.approx(one, rel=1e-8)


def test_a_negative_trace_has_another_in_its_place():
    """diag(2, −3): λ_max² / Tr|H| = 4/5, and the index as stated is none."""
    found = difficulty(with_hessian(matrix(2, -3)), operator=operator(matrix(2, -3)), covariance=operator(matrix(1, 0)))
    assert (found.denominator, found.trace.value, found.hessian_trace.value) == ("Tr |H|", 5.0, -1.0)
    assert found.index.value == pytest.approx(0.8 * 2 / 13**0.5)
    assert found.as_stated is None
    assert "Tr H = -1 is not positive" in found.reason
    assert "λ_max²/Tr |H|" in str(found)


def test_the_gauss_newton_trace_is_that_of_the_landscape():
    """A network far from its targets has a Hessian of negative trace; G's is positive."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    source = torch.Generator().manual_seed(2)
    inputs = torch.randn(6, 2, generator=source, dtype=DOUBLE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=DOUBLE))
        hidden = model[1](model[0](inputs))
        # The sign of tr ∇²f: tanh'' = −2t(1 − t²), times (|x|² + 1) for all items.
        bend = (-2 * hidden * (1 - hidden**2)) @ model[2].weight.T
        targets = model(inputs) + 40 * bend.sign()
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)])
    assert float(tw.hessian(landscape).dense().trace()) < 0
    found = difficulty(landscape)
    expected = float(tw.ggn(landscape).dense().trace())
    assert found.denominator == "Tr G"
    assert found.trace.value == pytest.approx(expected)
    assert found.index.value == pytest.approx(found.largest**2 / expected * found.alignment.value)
    assert found.as_stated is None
    zhu = difficulty(landscape, "zhu")
    assert zhu.index is None
    assert zhu.alignment is None
    assert "divides by Tr H" in zhu.reason


def test_another_denominator_on_request():
    landscape = g1()
    plain, ggn, absolute = (difficulty(landscape, denominator=name) for name in ("auto", "ggn", "absolute"))
    assert ggn.trace.value == pytest.approx(3.68461134541426)
    assert ggn.index.value == pytest.approx(plain.index.value * 3.8718508986352 / 3.68461134541426)
    values = torch.linalg.eigvalsh(tw.hessian(landscape).dense())
    assert absolute.trace.value == pytest.approx(float(values.abs().sum()))
    assert ggn.as_stated == absolute.as_stated == pytest.approx(plain.index.value)
    assert ggn.reason is None


def test_where_it_is_undefined():
    nothing = operator(matrix(0, 0))
    same = difficulty(with_hessian(matrix(2, 1)), covariance=nothing)
    assert same.index is None
    assert same.alignment is None
    assert "Σ = 0" in same.reason
    maximum = difficulty(
        with_hessian(matrix(-2, -1)), operator=operator(matrix(-2, -1)), covariance=operator(matrix(1, 1))
    )
    assert maximum.index is None
    assert maximum.alignment.value == pytest.approx(-3 / 10**0.5)
    assert str(maximum) == "D undefined: no curvature is positive, λ_max ≤ 0"
    flat = difficulty(with_hessian(matrix(0, 0)), operator=nothing, covariance=operator(matrix(1, 1)))
    assert flat.reason == "the Hessian is zero"


def test_estimated_sums_cover_the_exact_ones():
    """Five sums and two ratios of random matrices, over 150 runs: 95 % intervals cover in 90 to 99 %."""
    root, other = torch.randn(2, 100, 100, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    h, s = root @ root.T / 100 - 0.3 * torch.eye(100, dtype=DOUBLE), other @ other.T / 100
    source = torch.Generator().manual_seed(1)
    functions = [
        lambda _, traces: float(traces[0]),
        lambda _, traces: float(traces[1]),
        lambda cross, _: float(cross[0, 1]),
        lambda cross, _: float(cross[0, 0]),
        lambda cross, _: float(cross[1, 1]),
        lambda cross, _: float(cross[0, 1] / (cross[0, 0] * cross[1, 1]).sqrt()),
        lambda cross, traces: float(cross[0, 1] / (traces[0] * traces[1])),
    ]
    exact = inner_products([operator(h), operator(s)], None, 100, source, Silent())
    expected = [exact.estimate(f).value for f in functions]
    torch.testing.assert_close(exact.products[0, 1], (h @ s).trace())
    torch.testing.assert_close(exact.products[0, 0], h.square().sum())
    covered = torch.zeros(len(functions))
    for _ in range(150):
        found = inner_products([operator(h), operator(s)], None, 80, source, Silent())
        for place, (f, value) in enumerate(zip(functions, expected, strict=True)):
            low, high = found.estimate(f).interval()
            covered[place] += low <= value <= high
    assert bool((covered / 150 >= 0.9).all()), covered
    assert float(covered.mean()) / 150 <= 0.99


def test_estimates_are_near_the_exact_index():
    landscape = g2()
    found = difficulty(landscape, products=12)
    assert found.index.standard_error > 0
    assert abs(found.index.value - 0.376996458901440) < 4 * found.index.standard_error
    assert found.cost.matvecs > 24
    again = difficulty(landscape, products=12)
    assert again.index == found.index


@pytest.mark.slow
def test_random_products_cover_the_index():
    """40 runs of a network with 163 parameters for each alignment: 95 % intervals cover in most of them."""
    source = torch.Generator().manual_seed(3)
    inputs, targets = torch.randn(40, 6, generator=source, dtype=DOUBLE), torch.randint(3, (40,), generator=source)
    model = tw.models.mlp((6, 16, 3), generator=source).double()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(inputs, targets)])
    h, s = (operator(f(landscape).dense()) for f in (tw.hessian, tw.gradient_covariance))
    for variant in ("cosine", "zhu", "topk"):
        k = 3 if variant == "topk" else None
        exact = difficulty(landscape, variant, k=k, operator=h, covariance=s, products=landscape.size)
        assert exact.index.standard_error == 0
        runs = [
            difficulty(landscape, variant, k=k, operator=h, covariance=s, products=40, generator=source, tol=1e-6)
            for _ in range(40)
        ]
        inside = 0
        for run in runs:
            low, high = run.index.interval()
            inside += low <= exact.index.value <= high
        # Binomial(40, 0.95) is below 33 with probability 2e-3.
        assert inside >= 33, (variant, inside)


def test_half_precision():
    """Products in bfloat16, sums in more."""
    h = matrix(4, 2, 1, 1)
    rounded = tw.FunctionOperator(lambda v: h.bfloat16() @ v, 4, dtype=torch.bfloat16)
    found = difficulty(with_hessian(h), "topk", k=1, operator=rounded, covariance=rounded)
    assert found.alignment.value == pytest.approx(0.5)
    assert found.index.value == pytest.approx(1.0)


def test_bad_input():
    landscape = g1()
    with unchecked():
        with pytest.raises(ArgumentError, match="variant: expected 'cosine', 'zhu' or 'topk', got 'sine'"):
            difficulty(landscape, "sine")
        with pytest.raises(ArgumentError, match="denominator: expected 'auto', 'ggn' or 'absolute', got 'trace'"):
            difficulty(landscape, denominator="trace")
        with pytest.raises(ArgumentError, match="k: expected None with variant='cosine'"):
            difficulty(landscape, k=2)
        with pytest.raises(ArgumentError, match="k: expected at least 1, got 0"):
            difficulty(landscape, "topk", k=0)
        with pytest.raises(ArgumentError, match="k: expected at most the 9 parameters, got 10"):
            difficulty(landscape, "topk", k=10)
        with pytest.raises(ArgumentError, match="products: expected at least 4, got 3"):
            difficulty(landscape, products=3)
        with pytest.raises(ArgumentError, match=r"products: expected a whole number, got 4\.5"):
            difficulty(landscape, products=4.5)
        with pytest.raises(ArgumentError, match="products: expected at least 7, two more than the eigenvectors of H"):
            difficulty(landscape, "topk", k=5, products=6)
        with pytest.raises(ArgumentError, match="covariance: expected an operator, got int"):
            difficulty(landscape, covariance=3)
        with pytest.raises(ArgumentError, match=r"covariance: expected shape \(9, 9\), got \(2, 2\)"):
            difficulty(landscape, covariance=operator(matrix(1, 1)))
        with pytest.raises(ArgumentError, match="landscape: expected a Landscape"):
            difficulty(3)
    with pytest.raises(ObjectiveError, match="black box"):
        difficulty(formula(lambda t: t @ t, [1.0]))

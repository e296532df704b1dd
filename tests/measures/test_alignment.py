"""How matrices lie to each other, exactly and from random products; models of the noise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.exact_pairs import exact_pairs
from tests.golden import g1, g2
from tests.landscape import models
from tests.landscape.models import classes, randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError

DOUBLE = torch.float64


def operator(matrix: torch.Tensor) -> tw.FunctionOperator:
    return tw.FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=matrix.dtype)


def positive(size: int, seed: int, decay: float = 1.0) -> torch.Tensor:
    """A positive definite matrix with eigenvalues i^−decay in random directions."""
    turn = torch.linalg.qr(randn(size, size, seed=seed)).Q
    return (turn * torch.arange(1, size + 1, dtype=DOUBLE) ** -decay) @ turn.mT


def exactly(one: torch.Tensor, other: torch.Tensor) -> dict[str, float]:
    inner = float((one * other).sum())
    first, second = float(one.norm()), float(other.norm())
    return {
        "cosine": inner / first / second,
        "zhu": len(one) * inner / float(one.trace() * other.trace()),
        "inner": inner,
        "first_trace": float(one.trace()),
        "second_trace": float(other.trace()),
        "first_norm": first,
        "second_norm": second,
        "multiple": inner / second**2,
        "residual": float((one - inner / second**2 * other).norm()) / first,
    }


# ------------------------------------------------------------------ known numbers


def test_golden_regression():
    landscape = g1()
    noise, curvature = tw.gradient_covariance(landscape), tw.hessian(landscape)
    found = tw.alignment(noise, curvature)
    assert found.cosine.value == pytest.approx(0.946927145834954, rel=1e-10)
    assert found.zhu.value == pytest.approx(5.13018745842257, rel=1e-10)
    assert found.inner.value == pytest.approx(2.84849554297161, rel=1e-10)
    assert found.first_trace.value == pytest.approx(1.29064319046283, rel=1e-10)
    assert found.second_trace.value == pytest.approx(3.8718508986352, rel=1e-10)
    assert found.second_norm.value**2 == pytest.approx(8.39983556039988, rel=1e-10)
    assert found.cosine.standard_error == 0
    assert found.cost.matvecs == 18
    assert tw.alignment(noise, tw.ggn(landscape)).cosine.value == pytest.approx(0.978051798922172, rel=1e-10)
    assert str(found) == "cosine 0.9469"


def test_golden_classification():
    landscape = g2()
    noise = tw.gradient_covariance(landscape)
    assert tw.alignment(noise, tw.hessian(landscape)).cosine.value == pytest.approx(0.473541910178068, rel=1e-10)
    assert tw.alignment(noise, tw.ggn(landscape)).cosine.value == pytest.approx(0.784565351960791, rel=1e-10)


def test_by_hand():
    """A = diag(1, 2), B = diag(3, 0): inner 3, cosine 1/√5, ratio 2·3/9, multiple 1/3, residual 2/√5."""
    found = tw.alignment(operator(torch.diag(torch.tensor([1.0, 2.0]))), operator(torch.diag(torch.tensor([3.0, 0.0]))))
    assert found.inner.value == pytest.approx(3)
    assert found.cosine.value == pytest.approx(1 / math.sqrt(5))
    assert found.zhu.value == pytest.approx(2 / 3)
    assert found.multiple.value == pytest.approx(1 / 3)
    assert found.residual.value == pytest.approx(2 / math.sqrt(5))
    assert (found.quotients, found.values, found.top_share, found.top_null, found.ratios()) == (None,) * 5


def test_the_top_directions():
    one, other = positive(30, 1), positive(30, 2)
    pairs = exact_pairs(other, 4)
    for products in (30, 20):
        found = tw.alignment(operator(one), operator(other), top=pairs, products=products)
        expected = (pairs.vectors.mT @ one @ pairs.vectors).diagonal()
        torch.testing.assert_close(found.quotients, expected)
        torch.testing.assert_close(found.ratios(), expected / pairs.values)
        share = float(expected.sum() / one.trace())
        assert found.top_share.value == pytest.approx(share, rel=1e-10 if products == 30 else 0.5)
        assert found.top_null == pytest.approx(4 / 30)
    plain = tw.alignment(operator(one), operator(other), top=pairs.vectors[:, 0])
    assert plain.values is None
    assert plain.ratios() is None
    assert plain.quotients.tolist() == pytest.approx([float(expected[0])])
    assert str(found).startswith("cosine 0.")
    assert ", 4 directions hold " in str(found)


# ------------------------------------------------------------------ from random products


def test_low_rank_is_exact():
    """What the sketches see counts exactly: matrices of rank 3 leave nothing to the probes."""
    left, right = randn(200, 3, seed=1), randn(200, 3, seed=2)
    one, other = left @ left.mT, right @ right.mT + left @ left.mT
    found = tw.alignment(operator(one), operator(other))
    for name, value in exactly(one, other).items():
        estimate = getattr(found, name)
        assert estimate.value == pytest.approx(value, rel=1e-8), name
        assert estimate.standard_error <= 1e-8 * abs(value), name
    assert found.cost.matvecs == 96


@pytest.mark.parametrize(("decay", "products"), [(0.3, 24), (1.0, 24), (0.0, 16)])
def test_errors_are_what_they_are_said_to_be(decay, products):
    """40 runs: the truth lies within Student's 95 % interval in most of them, for every number."""
    one = positive(150, 1, decay)
    other = one + 0.5 * positive(150, 2, decay)
    truth = exactly(one, other)
    generator = torch.Generator().manual_seed(5)
    runs = [tw.alignment(operator(one), operator(other), products=products, generator=generator) for _ in range(40)]
    for name, value in truth.items():
        inside = 0
        for run in runs:
            estimate = getattr(run, name)
            low, high = estimate.interval()
            slack = 1e-9 * abs(value)
            inside += low - slack <= value <= high + slack
        # Binomial(40, 0.95) is below 33 with probability 2e-3; that of ratios with few degrees of freedom covers less.
        assert inside >= 33, (name, inside)


def test_ratios_are_better_known_than_their_parts():
    one = positive(150, 1, 0.5)
    found = tw.alignment(operator(one), operator(one + 0.1 * positive(150, 2, 0.5)), products=24)
    assert found.cosine.standard_error / found.cosine.value < found.inner.standard_error / found.inner.value / 3


def test_proportional_matrices():
    one = positive(150, 1)
    found = tw.alignment(operator(3 * one), operator(one), products=24)
    assert found.cosine.value == pytest.approx(1)
    assert found.multiple.value == pytest.approx(3)
    assert found.residual.value == pytest.approx(0, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(4, 40), st.integers(0, 2**31), st.integers(8, 48))
def test_contracts(size, seed, products):
    """Symmetric in its matrices, blind to their scale, and in [−1, 1]."""
    draw = randn(2, size, size, seed=seed)
    one, other = draw[0] + draw[0].mT, draw[1] + draw[1].mT
    found = tw.alignment(operator(one), operator(other), products=products)
    assert -1 <= found.cosine.value <= 1
    assert 0 <= found.residual.value <= 1 + 1e-9
    assert found.residual.value == pytest.approx(math.sqrt(max(0.0, 1 - found.cosine.value**2)), abs=1e-6)
    if size <= products:
        for name, value in exactly(one, other).items():
            if name != "zhu":
                assert getattr(found, name).value == pytest.approx(value, rel=1e-6, abs=1e-8)
        turned = tw.alignment(operator(2 * other), operator(0.5 * one), products=products)
        assert turned.cosine.value == pytest.approx(found.cosine.value, abs=1e-10)


def test_the_same_generator_gives_the_same_bits():
    one, other = operator(positive(100, 1)), operator(positive(100, 2))
    assert tw.alignment(one, other).cosine == tw.alignment(one, other).cosine
    source = torch.Generator().manual_seed(1)
    assert tw.alignment(one, other, generator=source).cosine != tw.alignment(one, other, generator=source).cosine


def test_what_has_no_value_is_none():
    zero, one = torch.zeros(5, 5, dtype=DOUBLE), positive(5, 1)
    found = tw.alignment(operator(zero), operator(one), top=torch.eye(5, dtype=DOUBLE)[:, :1])
    assert (found.cosine, found.zhu, found.residual, found.top_share) == (None,) * 4
    assert found.multiple.value == 0
    assert str(found) == "cosine undefined: a matrix is zero"
    assert tw.alignment(operator(one), operator(zero)).multiple is None


def test_the_ratio_needs_positive_traces():
    """A Hessian of trace zero, and one whose trace random products cannot tell from zero."""
    saddle = torch.diag(torch.tensor([1.0, -1.0], dtype=DOUBLE))
    assert tw.alignment(operator(torch.eye(2, dtype=DOUBLE)), operator(saddle)).zhu is None
    draw = randn(150, 150, seed=3)
    found = tw.alignment(operator(positive(150, 1)), operator(draw + draw.mT), products=24)
    assert found.zhu is None
    assert found.cosine is not None


EYE = torch.eye(8, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        (EYE, operator(EYE), {}, "first: expected an operator, got Tensor"),
        (operator(EYE), None, {}, "second: expected an operator, got NoneType"),
        (operator(EYE), operator(EYE[:4, :4]), {}, "second: expected an operator on the space of first, 8 entries"),
        (operator(EYE), operator(EYE), {"products": 3}, "products: expected at least 4, got 3"),
        (operator(EYE), operator(EYE), {"products": 4.5}, "products: expected a whole number, got 4.5"),
        (
            operator(EYE),
            operator(EYE),
            {"products": 6, "top": EYE[:, :5]},
            "products: expected at least 7, two more than the directions given, got 6",
        ),
        (operator(EYE), operator(EYE), {"top": 2 * EYE}, "top: expected orthonormal columns"),
        (operator(EYE), operator(EYE), {"top": EYE[:4]}, r"top: expected shape \(8,\) or \(8, k\), got \(4, 8\)"),
        (
            operator(EYE),
            operator(EYE),
            {"top": exact_pairs(EYE, 2).without_vectors()},
            "top: expected eigenpairs with vectors, got some without",
        ),
    ],
)
def test_bad_input_is_named(first, second, options, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.alignment(first, second, **options)


# ------------------------------------------------------------------ models of the noise


def by_name(found: tw.NoiseModels) -> dict[str, tw.NoiseModel]:
    return {model.name: model for model in found.models}


def test_golden_models():
    landscape = g1()
    noise, curvature = tw.gradient_covariance(landscape).dense(), tw.hessian(landscape).dense()
    found = tw.noise_models(landscape)
    models_ = by_name(found)
    assert list(models_) == ["H", "H C H", "G"]
    assert models_["H"].cosine.value == pytest.approx(0.946927145834954, rel=1e-10)
    assert models_["G"].cosine.value == pytest.approx(0.978051798922172, rel=1e-10)
    assert models_["H C H"].cosine.value == pytest.approx(exactly(noise, curvature @ curvature)["cosine"], rel=1e-10)
    assert found.norm.value == pytest.approx(float(noise.norm()), rel=1e-10)
    assert models_["H"].predicted == models_["G"].predicted
    assert models_["H C H"].predicted is None
    assert models_["H C H"].predicted_residual is None
    # 2L/C for one output.
    assert models_["G"].predicted == pytest.approx(2 * 0.195783175766876, rel=1e-10)
    gauss_newton = tw.ggn(landscape).dense()
    for name, matrix in {"H": curvature, "G": gauss_newton}.items():
        expected = float((noise - models_[name].predicted * matrix).norm() / noise.norm())
        assert models_[name].predicted_residual.value == pytest.approx(expected, rel=1e-9)
    assert found.best().name == "G"
    assert len(str(found).splitlines()) == 3


def test_scattered_minima_give_hch():
    """ℓ_i = ½ (θ − θ_i)ᵀ H (θ − θ_i): Σ = H C H with the covariance C of the minima, and nothing else fits."""
    root = randn(3, 3, seed=1)
    minima = randn(40, 3, seed=2) * torch.tensor([3.0, 1.0, 0.2], dtype=DOUBLE)
    displacements = (minima - minima.mean(dim=0)).mT @ (minima - minima.mean(dim=0)) / 40

    class Point(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE))

        def forward(self, minimum: torch.Tensor) -> torch.Tensor:
            return (self.theta - minimum) @ root

    data = [(minima, torch.zeros(40, 3, dtype=DOUBLE))]
    landscape = tw.Landscape(Point(), tw.objectives.squared_error(), data)
    found = by_name(tw.noise_models(landscape, displacements=operator(displacements)))
    assert found["H C H"].predicted == 1
    assert found["H C H"].predicted_residual.value == pytest.approx(0, abs=1e-6)
    assert found["H C H"].cosine.value == pytest.approx(1)
    assert found["H"].cosine.value < 0.999
    without = by_name(tw.noise_models(landscape))["H C H"]
    assert without.predicted is None
    assert without.cosine.value < 0.999


@pytest.mark.parametrize("objective", [tw.objectives.squared_error(), tw.objectives.mse()])
def test_independent_residuals_give_a_multiple_of_g(objective):
    """A linear model of 2 outputs at its true weights: Σ tends to (2L/C) G, whatever the factor ½."""
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(4000, 3, dtype=DOUBLE, generator=source) * torch.tensor([2.0, 1.0, 0.3], dtype=DOUBLE)
    model = nn.Linear(3, 2, bias=False).double()
    noise = 0.7 * torch.randn(4000, 2, dtype=DOUBLE, generator=source)
    targets = model(inputs).detach() + noise
    found = by_name(tw.noise_models(tw.Landscape(model, objective, [(inputs, targets)])))["G"]
    assert found.multiple.value == pytest.approx(found.predicted, rel=0.1)
    assert found.predicted_residual.value < 0.15
    assert found.cosine.value > 0.99


def test_a_well_specified_classifier_gives_h():
    """Targets drawn from the model: Σ = F = H up to the draw (here with c = 1, for G as well)."""
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(6000, 2, dtype=DOUBLE, generator=source)
    model = nn.Linear(2, 3, bias=False).double()
    targets = torch.multinomial(model(inputs).softmax(dim=1).detach(), 1, generator=source)[:, 0]
    found = by_name(tw.noise_models(tw.Landscape(model, tw.objectives.cross_entropy(), [(inputs, targets)])))
    assert found["H"].predicted_residual.value < 0.1
    assert (found["H"].predicted, found["G"].predicted) == (1, 1)
    assert found["G"].multiple.value == pytest.approx(1, rel=0.05)


def test_several_terms_an_item_share_its_noise():
    """Four binary targets an item, each a term: the covariance is a quarter of G."""
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(6000, 2, dtype=DOUBLE, generator=source)
    model = nn.Linear(2, 4, bias=False).double()
    targets = torch.bernoulli(model(inputs).sigmoid().detach(), generator=source)
    landscape = tw.Landscape(model, tw.objectives.binary_cross_entropy(), [(inputs, targets)])
    found = by_name(tw.noise_models(landscape))["G"]
    assert found.predicted == 0.25
    assert found.predicted_residual.value < 0.1


@pytest.mark.parametrize(
    "objective",
    [
        tw.objectives.cross_entropy(label_smoothing=0.1),
        tw.objectives.cross_entropy(weight=torch.tensor([1.0, 2.0, 3.0])),
    ],
)
def test_no_likelihood_predicts_nothing(objective):
    found = by_name(tw.noise_models(tw.Landscape(models.mlp(), objective, [(randn(12, 4), classes(12))])))
    assert (found["H"].predicted, found["G"].predicted, found["G"].predicted_residual) == (None,) * 3
    assert found["G"].cosine is not None


def test_models_from_random_products():
    model = models.scrambled(nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 3)).double())
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(60, 4), classes(60))])
    noise, curvature = tw.gradient_covariance(landscape).dense(), tw.hessian(landscape).dense()
    matrices = {"H": curvature, "H C H": curvature @ curvature, "G": tw.ggn(landscape).dense()}
    found = by_name(tw.noise_models(landscape, products=40))
    for name, matrix in matrices.items():
        estimate, truth = found[name].cosine, exactly(noise, matrix)["cosine"]
        assert abs(estimate.value - truth) <= 5 * estimate.standard_error + 1e-9, name
        assert estimate.standard_error < 0.1


def test_no_noise_has_no_model():
    """All items are the same: Σ = 0."""
    model = nn.Linear(1, 1, bias=False).double()
    data = [(torch.ones(3, 1, dtype=DOUBLE), torch.ones(3, 1, dtype=DOUBLE))]
    nn.init.zeros_(model.weight)
    found = tw.noise_models(tw.Landscape(model, tw.objectives.squared_error(), data))
    assert found.best() is None
    assert str(found.models[0]) == "Σ ≈ c H: undefined, a matrix is zero"


def test_bad_displacements_are_named():
    with unchecked(), pytest.raises(ArgumentError, match="displacements: expected an operator, got int"):
        tw.noise_models(g1(), displacements=3)
    with pytest.raises(ArgumentError, match="displacements: expected an operator on the space of landscape, 9 entries"):
        tw.noise_models(g1(), displacements=operator(EYE))
    box = tw.objectives.from_function(lambda m, batch: m(batch[0]).square().mean(), lambda batch: len(batch[0]))
    with pytest.raises(ObjectiveError):
        tw.noise_models(tw.Landscape(models.mlp(), box, [(randn(6, 4), classes(6))]))


# ------------------------------------------------------------------ the literature's law, in small


def test_training_aligns_noise_and_curvature():
    """Zhu et al. (2019), Thomas et al. (2020): the cosine of Σ and H grows in training, and v'Σv/λ is of order 1."""
    source = torch.Generator().manual_seed(0)
    centres = 0.7 * torch.randn(3, 10, dtype=DOUBLE, generator=source)
    targets = torch.randint(3, (300,), generator=source)
    inputs = centres[targets] + torch.randn(300, 10, dtype=DOUBLE, generator=source)
    model = tw.models.mlp((10, 16, 3), generator=source).double()
    before, after = [], []
    for where in (before, after):
        landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(inputs, targets)])
        curvature = tw.hessian(landscape)
        pairs = tw.eigenpairs(curvature, 2)
        found = tw.alignment(tw.gradient_covariance(landscape), curvature, top=pairs, products=32)
        where += [found.cosine.value, float(found.ratios().median())]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for start in range(0, 20 * 300, 50):
            index = torch.arange(start, start + 50) % 300
            loss = nn.functional.cross_entropy(model(inputs[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert after[0] > before[0] + 0.1
    assert 0.3 < after[1] < 1.5
    assert np.isfinite(after).all()

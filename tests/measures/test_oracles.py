"""The oracles O1 to O20, O51, O52, O56, O63 and O64 of the theory, as the public measures see them.

What is tested elsewhere is found by its number there; here are those of which only a part was.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.golden import g1, g2
from tests.measures.relu import landscape_of, relu, rescaled
from thalweg.descent import follow, momentum
from thalweg.vectors import VectorSpace

DOUBLE = torch.float64
H1 = [-0.248545330009527, -0.0988372319266986, -0.0439324470984702, 0.0351383325198522, 0.0693245138751935]
H1 += [0.224447620009740, 0.267686107248948, 0.974092196238280, 2.69247713777789]
G1 = [0.02234239261, 0.1683465568, 0.9400149082, 2.553907488]
NOISE1 = [0.01999881847237, 0.2681655782890, 1.002478793701]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(matrix: torch.Tensor) -> tw.FunctionOperator:
    return tw.FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=DOUBLE)


# ---------------------------------------------------------------------- O1 to O7: golden networks


def test_o1_loss_slope_and_traces():
    landscape = g1()
    found = tw.measure(landscape, ["loss", "gradient_norm", "trace", "sums", "noise"])
    expected = {
        "loss": 0.195783175766876,
        "gradient norm": 0.2740314130480007,
        "trace": 3.8718508986352,
        "squared Frobenius norm": 8.39983556039988,
        "trace of Σ": 1.29064319046283,
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-8)
    assert tw.spectrum(tw.ggn(landscape), top=9).trace.value == pytest.approx(3.68461134541426, rel=1e-8)
    uncentred = tw.spectrum(tw.fisher(landscape, "empirical"), top=9).trace.value
    assert uncentred == pytest.approx(1.36573640579991, rel=1e-8)
    noise = tw.gradient_noise(landscape)
    assert noise.trace.value + noise.signal.value == pytest.approx(1.36573640579991, rel=1e-8)


@pytest.mark.parametrize("top", range(1, 9))
def test_o2_every_eigenvalue_of_the_hessian_from_either_end(top):
    found = tw.spectrum(tw.hessian(g1()), top=top, bottom=9 - top)
    both = [*found.bottom.values.tolist(), *found.top.values.flip(0).tolist()]
    assert both == pytest.approx(H1, rel=1e-8)
    numbers = tw.condition_numbers(spectrum=torch.tensor(H1, dtype=DOUBLE))
    assert found.conditioning.raw == pytest.approx(numbers.raw, rel=1e-8)


def test_o3_the_four_eigenvalues_of_the_gauss_newton_matrix():
    landscape = g1()
    found = tw.eigenpairs(tw.ggn(landscape), 9)
    assert found.values[:4].tolist() == pytest.approx(G1[::-1], rel=1e-8)
    # Its rank is the number of items times that of outputs.
    assert found.values[4:].abs().max() < 1e-12
    assert tw.spectrum(tw.ggn(landscape), top=9).nullity.value == pytest.approx(5, abs=1e-9)


def test_o3_the_three_eigenvalues_of_the_gradient_covariance():
    landscape = g1()
    found = tw.gradient_noise(landscape, top=9)
    assert found.top.values[:3].tolist() == pytest.approx(NOISE1[::-1], rel=1e-8)
    assert found.top.values[3:].abs().max() < 1e-12
    assert sum(NOISE1) == pytest.approx(found.trace.value, rel=1e-8)
    gram = torch.linalg.eigvalsh(tw.gradient_gram(landscape))
    assert gram[-3:].tolist() == pytest.approx(NOISE1, rel=1e-8)


def test_o4_alignment():
    landscape = g1()
    pairs = tw.eigenpairs(tw.hessian(landscape), 5)
    shares = [0.053219722662857, 0.328863119051945, 0.335259318827456, 0.753207637226831, 0.757632573018494]
    assert tw.anisotropy(landscape.gradient(), pairs).shares.tolist() == pytest.approx(shares, rel=1e-8)
    found = tw.alignment(tw.gradient_covariance(landscape), tw.hessian(landscape))
    assert found.cosine.value == pytest.approx(0.946927145834954, rel=1e-10)
    assert found.zhu.value == pytest.approx(5.13018745842257, rel=1e-10)
    with_g = tw.alignment(tw.gradient_covariance(landscape), tw.ggn(landscape))
    assert with_g.cosine.value == pytest.approx(0.978051798922172, rel=1e-10)
    weighted = tw.gradient_noise(landscape, curvature=tw.hessian(landscape)).curvature_trace
    assert weighted.value == pytest.approx(2.84849554297161, rel=1e-10)
    assert tw.difficulty(landscape).index.value == pytest.approx(1.77297246445953, rel=1e-9)


def test_o5_steps_and_what_is_made_of_both_ends():
    landscape = g1()
    assert tw.sharpness(landscape, 0.05).value == pytest.approx(0.0143180843083978, rel=1e-9)
    assert tw.sharpness(landscape, 0.05, "ascent").value == pytest.approx(0.0144463011140, rel=1e-7)
    step = tw.predicted_decrease(landscape, 0.1)
    assert step.actual == pytest.approx(-0.00732243978786, rel=1e-8)
    assert step.quadratic == pytest.approx(-0.00732302222490, rel=1e-8)
    found = tw.spectrum(tw.hessian(landscape), top=5, bottom=4, damping=1e-3)
    assert found.logdet_absolute.value == pytest.approx(-14.6082290370, rel=1e-9)
    assert found.conditioning.raw == pytest.approx(-10.8329419735, rel=1e-9)
    numbers = tw.condition_numbers(spectrum=tw.eigenpairs(tw.hessian(landscape), 9))
    assert numbers.absolute == pytest.approx(76.6250685418, rel=1e-8)
    assert found.width.value == pytest.approx(2.94102246779, rel=1e-10)
    assert found.index.value == pytest.approx(3, abs=1e-9)


def test_o6_traces_and_ranks():
    landscape = g2()
    found = tw.measure(landscape, ["loss", "gradient_norm", "trace", "sums", "noise", "eigenvalues"])
    expected = {
        "loss": 1.26938309677413,
        "gradient norm": 0.788144698902798,
        "trace": 1.57529958402072,
        "squared Frobenius norm": 3.16370051190239,
        "trace of Σ": 1.94398813599978,
        "largest eigenvalue of Σ": 1.184846144273,
        "largest eigenvalue": 1.11987874979102,
        "smallest eigenvalue": -0.555822042665639,
        "index": 8.0,
        "nullity": 4.0,
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-8)
    pairs = tw.eigenpairs(tw.ggn(landscape), 9)
    assert float(pairs.values[0]) == pytest.approx(1.011429957, rel=1e-8)
    # Rank N(C − 1).
    assert float(pairs.values[7]) > 1e-6
    assert abs(float(pairs.values[8])) < 1e-12
    assert tw.spectrum(tw.ggn(landscape), top=21).trace.value == pytest.approx(2.13939588864828, rel=1e-8)


def test_o7_alignment():
    landscape = g2()
    pairs = tw.eigenpairs(tw.hessian(landscape), 3)
    shares = [0.0248246549794571, 0.104754847698440, 0.761590595207952]
    assert tw.anisotropy(landscape.gradient(), pairs).shares.tolist() == pytest.approx(shares, rel=1e-7)
    noise = tw.gradient_covariance(landscape)
    assert tw.alignment(noise, tw.hessian(landscape)).cosine.value == pytest.approx(0.473541910178068, rel=1e-9)
    assert tw.alignment(noise, tw.ggn(landscape)).cosine.value == pytest.approx(0.784565351960791, rel=1e-9)
    assert tw.sharpness(landscape, 0.05).value == pytest.approx(0.0398962255209423, rel=1e-9)
    assert tw.sharpness(landscape, 0.05, "ascent").value == pytest.approx(0.0399041215865, rel=1e-7)
    assert tw.difficulty(landscape).index.value == pytest.approx(0.376996458901440, rel=1e-8)


# ---------------------------------------------------------------------- O8, O12: descent


def test_o8_the_best_fixed_step_of_a_regression():
    """The rate of the slower end at η = 2/(λ_max + λ_min) is (κ − 1)/(κ + 1)."""
    inputs = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=DOUBLE)
    model = nn.Linear(2, 1, bias=False).double()
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(3, 1, dtype=DOUBLE))])
    found = tw.spectrum(tw.hessian(landscape), top=1, bottom=1)
    high, low = float(found.top.values[0]), float(found.bottom.values[0])
    assert (high, low) == pytest.approx((30.2451649709114, 0.0881683624219391), rel=1e-9)
    assert found.conditioning.raw == pytest.approx(343.038751544, rel=1e-8)
    rate = 2 / (high + low)
    assert rate == pytest.approx(0.0659340659340659, rel=1e-9)
    start = found.bottom.vectors[:, 0]
    end = follow(landscape.loss_and_gradient, start, momentum(rate, 0.0), 100)
    assert float(end.norm()) ** (1 / 100) == pytest.approx(0.994186701378773, rel=1e-7)


class Product(nn.Module):
    """½(ab − 1)²."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(3.0, dtype=DOUBLE))
        self.b = nn.Parameter(torch.tensor(0.1, dtype=DOUBLE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.a * self.b


@pytest.mark.parametrize("rate", [0.25, 0.3])
def test_o12_large_steps_end_where_they_are_stable(rate):
    """λ_max = a² + b² at the end is below 2/η, where the flow, which keeps a² − b², would end at 9.21."""
    one = torch.ones(1, 1, dtype=DOUBLE)
    landscape = tw.Landscape(Product(), tw.objectives.squared_error(), [(one, one)])
    end = follow(landscape.loss_and_gradient, landscape.theta, momentum(rate, 0.0), 400)
    assert float(end.prod()) == pytest.approx(1, abs=1e-9)
    largest = float(tw.eigenpairs(tw.hessian(landscape.at(end)), 1).values[0])
    assert largest == pytest.approx(float(end.square().sum()), rel=1e-8)
    assert largest < 2 / rate


# ---------------------------------------------------------------------- O18, O19: Marchenko and Pastur


def density_of(q: float, s2: float, x: np.ndarray) -> np.ndarray:
    """√((λ₊ − x)(x − λ₋)) / (2π σ² q x)."""
    low, high = s2 * (1 - math.sqrt(q)) ** 2, s2 * (1 + math.sqrt(q)) ** 2
    return np.sqrt(np.clip((high - x) * (x - low), 0, None)) / (2 * math.pi * s2 * q * x)


def wishart(q: float, s2: float, seed: int, size: int) -> torch.Tensor:
    x = torch.randn(size, round(size / q), dtype=DOUBLE, generator=seeded(seed))
    return s2 * x @ x.mT / x.shape[1]


@pytest.mark.parametrize(
    ("q", "s2", "x", "value"), [(0.5, 1.0, 1.0, 0.421084399347792), (0.25, 2.0, 2.0, 0.308202222030750)]
)
def test_o18_the_density_of_wishart_matrices(q, s2, x, value):
    """The mean over matrices is the law, smoothed as the estimate is, to within four standard errors and 1/P."""
    assert float(density_of(q, s2, np.array([x]))[0]) == pytest.approx(value, rel=1e-12)
    width, size = 0.1, 60
    points = x + width * np.linspace(-8, 8, 4001)
    inside = np.where(points > 0, points, 1.0)
    kernel = np.exp(-(((points - x) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    expected = np.trapezoid(density_of(q, s2, inside) * kernel, points)
    grid = torch.tensor([x, x + 1], dtype=DOUBLE)
    found = [
        float(
            tw.density(
                dense(wishart(q, s2, seed, size)), probes=4, steps=24, grid=grid, width=width, generator=seeded(seed)
            ).density[0]
        )
        for seed in range(12)
    ]
    assert abs(np.mean(found) - expected) <= 4 * np.std(found, ddof=1) / math.sqrt(len(found)) + 1 / size
    assert np.std(found, ddof=1) / math.sqrt(len(found)) < 0.1 * expected


@pytest.mark.parametrize(
    ("q", "below_one", "median"),
    [(0.5, 0.576004215103869, 0.830465881581364), (0.25, 0.553390081275336, 0.916004070686612)],
)
def test_o19_how_many_eigenvalues_lie_below(q, below_one, median):
    """F(1), and F(median) = ½, by the index of W − x."""
    size = 40
    for x, expected in ((1.0, below_one), (median, 0.5)):
        found = [
            tw.spectrum(tw.shifted(dense(wishart(q, 1.0, seed, size)), -x), top=20, bottom=20).index.value / size
            for seed in range(8)
        ]
        # Eigenvalues repel: the number in an interval has a variance of order ln P, not P.
        assert abs(np.mean(found) - expected) <= 4 * max(np.std(found, ddof=1), 1 / size) / math.sqrt(len(found))


# ---------------------------------------------------------------------- O63, O64


@pytest.mark.parametrize(("size", "mean"), [(10, 4.36189814871), (1000, 44.7101806094)])
def test_o63_distances_of_normal_vectors_concentrate(size, mean):
    """2 Γ((d + 1)/2)/Γ(d/2), which the library's draws keep; for d = 1000 they vary by 2.236 %."""
    exact = 2 * math.exp(math.lgamma((size + 1) / 2) - math.lgamma(size / 2))
    assert exact == pytest.approx(mean, rel=1e-11)
    space = VectorSpace(size, DOUBLE, torch.device("cpu"))
    first, second = (space.randn(seeded(seed), 2000) for seed in (0, 1))
    lengths = torch.linalg.vector_norm(first - second, dim=0)
    assert abs(float(lengths.mean()) - mean) <= 4 * float(lengths.std()) / math.sqrt(2000)
    variation = math.sqrt(2 * size - exact**2) / exact
    if size == 1000:
        assert variation == pytest.approx(0.0223634733, rel=1e-7)
    # The sample's spread has a relative error of 1/√(2n).
    assert float(lengths.std() / lengths.mean()) == pytest.approx(variation, rel=4 / math.sqrt(4000))


def test_o64_rescaling_moves_the_largest_eigenvalue_and_nothing_that_is_computed():
    model = relu()
    factors = torch.tensor([8.0, 2.0, 0.5, 4.0, 1.0], dtype=DOUBLE), torch.tensor([3.0, 1.0, 0.25, 2.0], dtype=DOUBLE)
    one, other = landscape_of(model), landscape_of(rescaled(model, *factors))
    assert one.loss() == pytest.approx(other.loss(), rel=1e-12)
    assert one.evaluate().metrics["accuracy"].value == other.evaluate().metrics["accuracy"].value
    before, after = (float(tw.eigenpairs(tw.hessian(at), 1).values[0]) for at in (one, other))
    assert after > 2 * before


def test_o64_the_order_of_hidden_units_leaves_the_spectrum():
    model, order = relu(), torch.tensor([3, 0, 4, 1, 2])
    moved = relu()
    moved.load_state_dict(model.state_dict())
    with torch.no_grad():
        moved[0].weight.copy_(model[0].weight[order])
        moved[0].bias.copy_(model[0].bias[order])
        moved[2].weight.copy_(model[2].weight[:, order])
    for which in ("LA", "SA"):
        one, other = (tw.eigenpairs(tw.hessian(landscape_of(at)), 4, which=which) for at in (model, moved))
        gap = (one.values - other.values).abs()
        assert bool((gap <= one.residuals + other.residuals + 1e-12 * one.scale).all())


def test_o64_eulers_identity():
    """Σ θ ∂f/∂θ = 3 f for three layers without biases."""
    layers = [nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(4, 1, bias=False)).double()
    generator = seeded(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=DOUBLE))
    inputs = torch.randn(1, 4, generator=generator, dtype=DOUBLE)
    # The loss is ½(f − y)²: its slope along θ is (f − y) · 3f.
    output = float(model(inputs).detach())
    target = torch.full((1, 1), output - 1.0, dtype=DOUBLE)
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, target)])
    assert output != 0
    assert float(landscape.gradient() @ landscape.theta) == pytest.approx(3 * output, rel=1e-12)

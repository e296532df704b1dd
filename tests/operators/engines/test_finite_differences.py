"""Differences of the gradient: right to what they say, whatever the model, the precision and the vector."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import (
    Attention,
    Counting,
    MultiHead,
    Recurrent,
    Residual,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.landscape.snapshot import unchanged
from tests.operators.twin import dense_hessian
from tests.unchecked import unchecked
from thalweg.operators.engines._finite_differences import FiniteDifferences

CROSS = tw.objectives.cross_entropy()
DOUBLE, SINGLE = torch.float64, torch.float32


class Point(nn.Module):
    """Parameters that are the point itself: a landscape is any function of them."""

    def __init__(self, *values: float, dtype: torch.dtype = DOUBLE) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.tensor(values, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.point.expand(len(x), -1)


def function(f, *values: float, dtype: torch.dtype = DOUBLE) -> tw.Landscape:
    objective = tw.objectives.from_function(lambda model, batch: f(model(batch)[0]), len)
    return tw.Landscape(Point(*values, dtype=dtype), objective, [torch.zeros(1, 1, dtype=dtype)])


def columns(*vectors: Tensor) -> Tensor:
    return torch.stack(vectors).mT


def ones(size: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.ones(1, size, dtype=dtype).mT


def _summed(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


def classified(make, *shape: int, dtype=DOUBLE, seed: int = 0, mode: str = "eval", count: int = 7):
    """A landscape in ``dtype``, and the Hessian in double precision at exactly the same point and data."""
    model = scrambled(make().double(), seed).to(dtype).train(mode == "train")
    x, y = randn(count, *shape, seed=seed, dtype=dtype), classes(count, seed=seed + 1)
    landscape = tw.Landscape(model, CROSS, [(x, y)], mode=mode)
    return landscape, dense_hessian(model.double(), _summed, [(x.double(), y)], count)


def true_error(found: Tensor, exact: Tensor) -> float:
    """‖found − exact‖/‖exact‖ of one column."""
    gap, whole = float((found.double() - exact).norm()), float(exact.norm())
    return gap / whole if whole > 0 else (0.0 if gap == 0 else math.inf)


# ---------------------------------------------------------------------- closed forms


def test_the_cube_at_one():
    """O16: the gradient is 3θ², a forward difference over 1e-3 gives 6.003, a central one 6.000."""
    landscape = function(lambda p: (p**3).sum(), 1.0)
    one, h = torch.ones(1, dtype=DOUBLE), 1e-3
    forward = (landscape.gradient(one + h) - landscape.gradient(one)) / h
    assert float(forward) == pytest.approx(6.003, abs=1e-9)
    found = FiniteDifferences(landscape)._difference(one, h)
    assert float(found.value) == pytest.approx(6, abs=1e-11)
    # A gradient of second degree leaves a central difference nothing to truncate.
    assert found.truncation < 1e-12
    engine = FiniteDifferences(landscape)
    assert float(engine.product(ones(1))) == pytest.approx(6, rel=1e-9)


@pytest.mark.parametrize("h", [1e-1, 1e-2])
def test_the_exponential_at_one(h):
    """Of e^θ the central difference is e·sinh(h)/h; the extrapolated one is off by e·h⁴/480."""
    found = FiniteDifferences(function(lambda p: p.exp().sum(), 1.0))._difference(torch.ones(1, dtype=DOUBLE), h)
    wide, narrow = math.e * math.sinh(h) / h, math.e * math.sinh(h / 2) / (h / 2)
    assert float(found.value) == pytest.approx((4 * narrow - wide) / 3, rel=1e-13)
    assert found.truncation == pytest.approx((wide - narrow) / 3, rel=1e-9)
    assert (math.e - float(found.value)) / (math.e * h**4 / 480) == pytest.approx(1, abs=2e-3)
    assert math.e - float(found.value) < found.truncation


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_a_quadratic_form(dtype):
    matrix = randn(30, 30)
    matrix = matrix + matrix.mT
    coefficients = matrix.to(dtype)
    landscape = function(lambda p: p @ (coefficients @ p) / 2, *randn(30, seed=1).tolist(), dtype=dtype)
    engine = FiniteDifferences(landscape)
    vectors = landscape.space.randn(count=3)
    product = engine.product(vectors)
    worst = max(true_error(p, coefficients.double() @ v.double()) for p, v in zip(product.mT, vectors.mT, strict=True))
    assert worst <= engine.error < (1e-8 if dtype == DOUBLE else 1e-2)


# ---------------------------------------------------------------------- dense twins

SMOOTH = {
    "tanh": (mlp, 4),
    "softplus": (lambda: mlp(nn.Softplus), 4),
    "layer norm": (Residual, 4),
    "attention": (Attention, 3, 4),
    "multi-head attention": (MultiHead, 3, 4),
    "lstm": (Recurrent, 3, 4),
    "convolutions": (cnn, 1, 6, 6),
}


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_models_in_double_precision(name, mode):
    landscape, matrix = classified(*SMOOTH[name], mode=mode)
    engine = FiniteDifferences(landscape)
    vectors = landscape.space.randn(count=3)
    product, expected = engine.product(vectors), matrix @ vectors
    assert product.shape == vectors.shape
    assert product.mT.is_contiguous()
    assert not product.requires_grad
    errors = [true_error(*pair) for pair in zip(product.mT, expected.mT, strict=True)]
    assert max(errors) <= engine.error < 1e-7
    assert max(errors) < 1e-8


def test_the_whole_matrix():
    """Columns of single weights, where a step relative to ‖θ‖ would be too large."""
    landscape, matrix = classified(mlp, 4)
    operator = tw.hessian(landscape, engine="finite-differences")
    torch.testing.assert_close(operator.dense(), matrix, rtol=0, atol=1e-8 * float(matrix.abs().max()))
    assert operator.engine == "finite-differences"
    assert operator.error is not None


@given(
    name=st.sampled_from(list(SMOOTH)),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([DOUBLE, SINGLE]),
    mode=st.sampled_from(["eval", "train"]),
    kind=st.sampled_from(["random", "a weight", "top", "bottom", "middle"]),
)
@settings(max_examples=40)
def test_the_estimate_covers_the_error(name, seed, dtype, mode, kind):
    landscape, matrix = classified(*SMOOTH[name], dtype=dtype, seed=seed, mode=mode)
    size = landscape.size
    if kind == "random":
        vector = landscape.space.randn(torch.Generator().manual_seed(seed))
    elif kind == "a weight":
        vector = torch.eye(size)[seed % size]
    else:
        vector = torch.linalg.eigh(matrix)[1][:, {"top": -1, "bottom": 0, "middle": size // 2}[kind]]
    vector = vector.to(dtype)
    engine = FiniteDifferences(landscape)
    found, exact = engine.product(columns(vector))[:, 0], matrix @ vector.double()
    assert true_error(found, exact) <= engine.error
    if dtype == DOUBLE and kind in ("random", "top"):
        assert engine.error < 1e-6


@given(
    width=st.integers(1, 3),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([DOUBLE, SINGLE]),
    scale=st.floats(0.1, 2),
)
@settings(max_examples=30)
def test_the_estimate_covers_the_error_where_few_parameters_average_nothing(width, seed, dtype, scale):
    model = nn.Sequential(nn.Linear(1, width), nn.Softplus(), nn.Linear(width, 1)).double()
    model, x = scrambled(model, seed, scale).to(dtype), randn(6, 1, seed=seed, dtype=dtype)

    def wavy(model, batch):
        return model(batch).exp().mean() + (3 * model(batch)).sin().mean()

    landscape = tw.Landscape(model, tw.objectives.from_function(wavy, len), [x])
    matrix = dense_hessian(model.double(), wavy, [x.double()], 1)
    engine = FiniteDifferences(landscape)
    for vector in torch.eye(landscape.size, dtype=dtype):
        found = engine.product(columns(vector))[:, 0]
        assert true_error(found, matrix @ vector.double()) <= engine.error


# ---------------------------------------------------------------------- homogeneity


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_products_are_homogeneous_over_twenty_orders_of_magnitude(dtype):
    landscape, _ = classified(mlp, 4, dtype=dtype)
    engine = FiniteDifferences(landscape)
    vector = landscape.space.randn()
    product = engine.product(columns(vector))[:, 0]
    for power in range(-36, 37, 12):
        assert torch.equal(engine.product(columns(2.0**power * vector))[:, 0], 2.0**power * product), power
        assert torch.equal(engine.product(columns(-(2.0**power) * vector))[:, 0], -(2.0**power) * product), power
    for power in range(-10, 11, 4):
        scaled = engine.product(columns(10.0**power * vector))[:, 0]
        assert float((scaled / 10.0**power - product).norm() / product.norm()) <= 2 * engine.error, power


@pytest.mark.parametrize("length", [1e-30, 1e30])
def test_lengths_whose_squares_leave_single_precision(length):
    landscape, _ = classified(mlp, 4, dtype=SINGLE)
    engine = FiniteDifferences(landscape)
    vector = landscape.space.randn()
    product, scaled = (engine.product(columns(factor * vector))[:, 0] for factor in (1.0, length))
    assert float((scaled.double() / length - product).norm() / product.norm()) <= 2 * engine.error


def test_zero_of_zero():
    landscape, _ = classified(mlp, 4)
    engine = FiniteDifferences(landscape)
    vector = landscape.space.randn()
    product = engine.product(columns(torch.zeros_like(vector), vector))
    assert not product[:, 0].any()
    assert torch.equal(product[:, 1], engine.product(columns(vector))[:, 0])
    assert not engine.product(torch.zeros(1, landscape.size, dtype=DOUBLE).mT).any()
    assert (engine.error, engine.steps) == (0.0, (0.0,))


# ---------------------------------------------------------------------- steps, noise, cost


def test_the_step_fits_the_vector():
    """Every entry that a vector is made of moves by u^⅓ of a parameter's size, be it one entry or all."""
    landscape, _ = classified(Residual, 4)
    theta, size = landscape.theta, landscape.size
    single, signs = torch.zeros_like(theta), landscape.space.rademacher()
    single[3] = 2.0
    engine = FiniteDifferences(landscape)
    engine.product(columns(single, signs))
    unit = torch.finfo(DOUBLE).eps ** (1 / 3) * float(theta.norm()) / math.sqrt(size)
    assert engine.steps == pytest.approx([unit, unit * math.sqrt(size)])


def test_the_step_shrinks_where_truncation_rules_and_grows_where_rounding_does():
    unit = torch.finfo(DOUBLE).eps ** (1 / 3)
    smooth, rough = function(lambda p: p.sin().sum(), 1.0), function(lambda p: (1e4 * p).sin().sum(), 1.0)
    for landscape, frequency in ((smooth, 1.0), (rough, 1e4)):
        engine = FiniteDifferences(landscape)
        exact = -(frequency**2) * math.sin(frequency)
        assert abs(float(engine.product(ones(1))) / exact - 1) <= engine.error < 1e-6
        assert (engine.steps[0] < 0.2 * unit) == (frequency > 1)
    # A large constant gradient hides a small curvature: rounding rules.
    engine = FiniteDifferences(function(lambda p: (1e6 * p + p.sin()).sum(), 1.0))
    product = float(engine.product(ones(1)))
    assert abs(product / -math.sin(1) - 1) <= engine.error
    assert engine.steps[0] == pytest.approx(64 * unit)


def test_a_point_of_zeros_has_the_size_one():
    engine = FiniteDifferences(function(lambda p: p.cos().sum(), 0.0, 0.0))
    product = engine.product(ones(2))
    torch.testing.assert_close(product, -ones(2), rtol=1e-9, atol=0)
    assert engine.steps == pytest.approx([math.sqrt(2) * torch.finfo(DOUBLE).eps ** (1 / 3)])


def test_the_noise_is_measured():
    """Against the difference of gradients in single and in double precision, at the same point."""
    single, _ = classified(Residual, 4, dtype=SINGLE, count=40)
    model = single.model.double()
    with torch.no_grad():
        nn.utils.vector_to_parameters(single.theta.double(), model.parameters())
    exact = tw.Landscape(model, CROSS, [(x.double(), y) for x, y in single.data])
    noise = float((single.gradient().double() - exact.gradient()).norm())
    engine = FiniteDifferences(single)
    assert (engine.noise, engine.error, engine.steps) == (None, None, ())
    engine.product(single.space.randn(count=1))
    assert 0.2 < engine.noise / noise < 5
    # It is that of the point, whatever was multiplied first.
    other = FiniteDifferences(single)
    other.product(torch.eye(single.size)[:1].mT)
    assert other.noise == engine.noise


def test_cost():
    counting = Counting(scrambled(Residual().double()))
    landscape = tw.Landscape(counting, CROSS, [(randn(7, 4), classes(7))])
    engine = FiniteDifferences(landscape)
    for columns_, gradients in ((1, 7 + 4), (3, 12), (1, 4)):
        counting.seen[0] = 0
        engine.product(landscape.space.randn(count=columns_))
        assert counting.seen[0] == gradients
    counting.seen[0] = 0
    engine.product(landscape.space.zeros(2))
    assert counting.seen[0] == 0


def test_the_error_is_that_of_the_worst_column():
    landscape, matrix = classified(mlp, 4)
    values, vectors = torch.linalg.eigh(matrix)
    flat = vectors[:, values.abs().argmin()]
    engine = FiniteDifferences(landscape)
    pair = columns(vectors[:, -1], vectors[:, 0])
    engine.product(pair)
    together = engine.error
    alone = []
    for vector in pair.mT:
        engine.product(columns(vector))
        alone.append(engine.error)
    assert together == max(alone) > min(alone)
    # A product that is zero within its error has no relative error.
    assert values.abs().min() < 1e-12
    engine.product(columns(vectors[:, -1], flat))
    assert engine.error == math.inf


# ---------------------------------------------------------------------- kinks


def kinked(*places: float, dtype: torch.dtype = DOUBLE) -> tw.Landscape:
    """The mean of relu(θ − place) + θ²/2 at 1: the gradient jumps by 1/n at each place; H is 1 almost everywhere."""
    where = torch.tensor(places, dtype=dtype)
    return function(lambda p: (p - where).relu().mean() + (p**2).sum() / 2, 1.0, dtype=dtype)


STEP = torch.finfo(DOUBLE).eps ** (1 / 3)


@pytest.mark.parametrize("distance", [0.05, 0.3, 0.49, 0.6, 0.95])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_within_the_step_makes_it_shorter(distance, side):
    landscape = kinked(1 + side * distance * STEP)
    one = torch.ones(1, dtype=DOUBLE)
    assert float(tw.hessian(landscape) @ one) == pytest.approx(1, abs=1e-12)
    engine = FiniteDifferences(landscape)
    # At the step that is right for the smooth part, the kink is seen, and covered.
    first = engine._difference(one, STEP)
    assert 1e3 < abs(float(first.value) - 1) <= first.error
    assert abs(float(engine.product(ones(1))) - 1) <= engine.error < 1e-3
    assert engine.steps[0] < distance * STEP


@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_that_no_step_avoids_is_covered_by_the_estimate(side):
    engine = FiniteDifferences(kinked(1 + side * 1e-15))
    product = float(engine.product(ones(1)))
    assert abs(product - 1) > 1e3
    assert engine.error == math.inf


def test_many_kinks_are_curvature_of_their_own():
    """10⁵ jumps of 10⁻⁵ spread over (0.5, 1.5) are a density of one: differences see 1 + 1, autograd sees 1."""
    landscape = kinked(*torch.linspace(0.5, 1.5, 10**5 + 1).tolist())
    h = 0.2
    found = FiniteDifferences(landscape)._difference(torch.ones(1, dtype=DOUBLE), h)
    assert float(found.value) == pytest.approx(2, abs=1e-3)
    assert found.relative < 0.01, "the estimate is that of the averaged curvature, and not of the gap"
    assert float(tw.hessian(landscape) @ torch.ones(1, dtype=DOUBLE)) == pytest.approx(1, abs=1e-12)


def test_a_relu_network():
    """Away from its kinks it is as good as any other."""
    for seed in range(12):
        landscape, matrix = classified(lambda: mlp(nn.ReLU), 4, seed=seed)
        engine = FiniteDifferences(landscape)
        vector = landscape.space.randn(torch.Generator().manual_seed(seed))
        error = true_error(engine.product(columns(vector))[:, 0], matrix @ vector)
        assert error <= engine.error < 1e-6


# ---------------------------------------------------------------------- models of every kind


def test_tied_weights():
    model = tied()
    landscape = tw.Landscape(model, tw.objectives.causal_lm(), [tokens(5)])

    def loss(model, batch):
        return functional.cross_entropy(model(batch)[:, :-1].flatten(end_dim=1), batch[:, 1:].flatten())

    matrix = dense_hessian(model, loss, [tokens(5)], 1)
    engine = FiniteDifferences(landscape)
    vector = landscape.space.randn()
    assert true_error(engine.product(columns(vector))[:, 0], matrix @ vector) <= engine.error < 1e-7


class Casting(nn.Module):
    """A second layer in single precision, in a network of double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5).double()
        self.second = nn.Linear(5, 3).float()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.double()).tanh().to(self.second.weight.dtype))


def test_parameters_of_several_types():
    """The step is that of the coarsest: one of double precision would be lost in the rounding of the others."""
    model = scrambled(Casting())
    batch = (randn(7, 4), classes(7))
    landscape = tw.Landscape(model, CROSS, [batch])
    assert landscape.space.dtype == DOUBLE
    model.double()
    matrix = dense_hessian(model, _summed, [batch], 7)
    engine = FiniteDifferences(landscape)
    vectors = columns(landscape.space.randn(), torch.eye(landscape.size, dtype=DOUBLE)[0])
    for vector in vectors.mT:
        found = engine.product(columns(vector))[:, 0]
        assert found.dtype == DOUBLE
        assert true_error(found, matrix @ vector) <= engine.error < 1e-2
    assert engine.steps[0] >= torch.finfo(SINGLE).eps ** (1 / 3) * float(landscape.theta.square().mean().sqrt())


def test_half_precision():
    landscape, matrix = classified(mlp, 4, dtype=torch.bfloat16, count=40)
    engine = FiniteDifferences(landscape)
    vector = landscape.space.randn()
    found = engine.product(columns(vector))[:, 0]
    assert found.dtype == torch.bfloat16
    assert true_error(found, matrix @ vector.double()) <= engine.error
    assert engine.noise > 1e-4


def test_parameters_that_are_not_reached():
    model = mlp()
    model.extra = nn.Parameter(torch.ones(2, dtype=DOUBLE))
    model.forward = lambda x: nn.Sequential.forward(nn.Sequential(*list(model)[:3]), x)
    with pytest.warns(tw.errors.UnreachedParameterWarning, match="extra"):
        landscape = tw.Landscape(model, CROSS, [(randn(7, 4), classes(7))])
    extra = torch.cat(
        [torch.full_like(part, name == "extra").flatten() for name, part in landscape.split(landscape.theta).items()]
    )
    engine = FiniteDifferences(landscape)
    assert not engine.product(columns(extra)).any()
    assert engine.error == 0
    vector = landscape.space.randn()
    product = engine.product(columns(vector))[:, 0]
    assert not product[extra == 1].any()
    assert product[extra == 0].all()
    assert engine.error < 1e-7


def test_a_linear_loss_has_no_curvature():
    objective = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    landscape = tw.Landscape(scrambled(nn.Linear(4, 1).double()), objective, [randn(5, 4), randn(2, 4)])
    engine = FiniteDifferences(landscape)
    assert not engine.product(landscape.space.randn(count=2)).any()
    assert engine.error == 0


def test_batches_and_micro_batches_change_nothing_but_rounding():
    model = mlp()
    data = [(randn(7, 4), classes(7)), (randn(2, 4, seed=5), classes(2))]
    whole, pieces = (FiniteDifferences(tw.Landscape(model, CROSS, data, microbatch=size)) for size in (None, 2))
    vectors = tw.Landscape(model, CROSS, data).space.randn(count=2)
    one, other = whole.product(vectors), pieces.product(vectors)
    assert float((one - other).norm() / one.norm()) <= whole.error + pieces.error


@pytest.fixture
def convolutions():
    return cnn()


def test_model_and_vectors_are_left_alone(convolutions, untouched_rng):
    model = convolutions
    for mode in ("eval", "train"):
        landscape = tw.Landscape(model, CROSS, [(randn(7, 1, 6, 6), classes(7))], mode=mode)
        vectors = landscape.space.randn(count=2)
        copy = vectors.clone()
        with unchanged(model):
            FiniteDifferences(landscape).product(vectors)
        assert torch.equal(vectors, copy)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_vectors_that_are_not_finite_are_noticed(value):
    landscape, _ = classified(mlp, 4)
    operator = tw.hessian(landscape, engine="finite-differences")
    vector = landscape.space.randn()
    vector[2] = value
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match="vectors: expected finite entries"):
        operator @ vector


def test_a_step_out_of_the_domain_of_the_loss_says_so():
    landscape = function(lambda p: (p - 1 + 1e-9).log().sum(), 1.0)
    with pytest.raises(tw.errors.NonFiniteError, match=r"loss: expected a finite number, got nan in batch 0"):
        FiniteDifferences(landscape).product(ones(1))

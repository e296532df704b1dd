"""Adaptive sharpness against closed forms, and its invariance under what leaves a ReLU network's function alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.formula import formula, quadratic
from tests.landscape.models import generator, mlp, randn
from tests.landscape.snapshot import unchanged
from tests.measures.relu import landscape_of, relu, rescaled
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError

DOUBLE = torch.float64


def test_one_step_is_the_formula_of_kwon():
    """δ = ρ T² g / ‖T g‖ with T = |θ|."""
    landscape = landscape_of(mlp())
    theta, g = landscape.theta, landscape.gradient()
    t = theta.abs()
    delta = 0.1 * t**2 * g / (t * g).norm()
    with unchanged(landscape.model):
        found = tw.adaptive_sharpness(landscape, 0.1)
    assert found.raw == pytest.approx(landscape.loss(theta + delta) - landscape.loss(), rel=1e-12)
    assert float((delta / t).norm()) == pytest.approx(0.1)
    assert (found.cost.gradients, found.cost.losses, found.restarts) == (1, 1, None)
    assert found.lower_bound


def test_by_filter():
    """Rows of a matrix share their norm, biases stand for themselves, windows of a convolution are one filter."""
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 3)).double()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(4, 1, 3, 3), torch.arange(4) % 3)])
    parts = []
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parts.append(parameter.abs())
        else:
            parts.append(torch.cat([row.norm().expand(row.numel()) for row in parameter]))
    t = torch.cat(parts).detach()
    g = landscape.gradient()
    found = tw.adaptive_sharpness(landscape, 0.1, normalization="filter")
    rise = landscape.loss(landscape.theta + 0.1 * t**2 * g / (t * g).norm()) - landscape.loss()
    assert found.raw == pytest.approx(rise, rel=1e-12)
    assert found.raw != pytest.approx(tw.adaptive_sharpness(landscape, 0.1).raw, rel=1e-3)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["one-step", "ascent"]))
def test_element_wise_is_invariant_under_rescaling_of_every_neuron(seed, method):
    model, source = relu(), generator(seed)
    first, second = (4 * torch.rand(n, dtype=DOUBLE, generator=source) + 0.2 for n in (5, 4))
    one, other = landscape_of(model), landscape_of(rescaled(model, first, second))
    assert other.loss() == pytest.approx(one.loss(), rel=1e-12)
    options = {} if method == "one-step" else {"steps": 4, "restarts": 1}
    found = [tw.adaptive_sharpness(each, 0.2, method, **options).raw for each in (one, other)]
    assert found[1] == pytest.approx(found[0], rel=1e-8)


def test_plain_sharpness_moves_under_the_same_rescaling():
    """Dinh et al. (2017); by filter it moves, too, unless the neurons of a layer share one factor."""
    model = relu()
    shared = landscape_of(rescaled(model, torch.full((5,), 3.0).double(), torch.full((4,), 0.5).double()))
    own = landscape_of(rescaled(model, torch.tensor([3.0, 1, 0.2, 2, 5]).double(), torch.ones(4).double()))
    one = landscape_of(model)
    plain = [tw.sharpness(each, 0.1).value for each in (one, shared, own)]
    assert abs(plain[1] / plain[0] - 1) > 0.1
    assert abs(plain[2] / plain[0] - 1) > 0.1
    without = [each.restricted([n for n in each.layout.names if "weight" in n]) for each in (one, shared, own)]
    filters = [tw.adaptive_sharpness(each, 0.1, normalization="filter").value for each in without]
    assert filters[1] == pytest.approx(filters[0], rel=1e-10)
    assert abs(filters[2] / filters[0] - 1) > 0.01


def test_ascent_finds_the_maximum_of_a_quadratic():
    """In u = T⁻¹δ the matrix is TAT: at a minimum the maximum is ½ρ² λ_max(TAT)."""
    source = generator(5)
    root, theta = (torch.randn(*shape, dtype=DOUBLE, generator=source) for shape in ((5, 5), (5,)))
    matrix = root @ root.mT
    landscape = quadratic(matrix, -matrix @ theta, theta.tolist())
    scaled = theta.abs()[:, None] * matrix * theta.abs()
    maximum = 0.5 * 0.3**2 * float(torch.linalg.eigvalsh(scaled)[-1])
    found = tw.adaptive_sharpness(landscape, 0.3, "ascent", steps=60, restarts=4)
    assert found.value == pytest.approx(maximum, rel=1e-6)
    assert found.value <= maximum * (1 + 1e-10)


def test_ascent_is_at_least_one_step():
    landscape = landscape_of(mlp())
    found = tw.adaptive_sharpness(landscape, 0.2, "ascent", steps=5, restarts=3)
    assert found.value >= tw.adaptive_sharpness(landscape, 0.2).value
    assert len(found.restarts) == 4
    assert found.cost.gradients == 1 + 4 * 5
    assert str(found) == f"adaptive S_0.2 ≥ {found.value:.4g} (element-wise, ascent)"


def test_the_generator_decides_the_random_starts():
    landscape = landscape_of(mlp())

    def rises(seed):
        options = {} if seed is None else {"generator": generator(seed)}
        return tw.adaptive_sharpness(landscape, 0.2, "ascent", steps=1, **options).restarts.tolist()

    assert rises(None) == rises(0)
    assert rises(1) != rises(0)


def test_eta_lets_zeros_move():
    landscape = formula(lambda t: t[0] + t[1], [0.0, 2.0])
    assert tw.adaptive_sharpness(landscape, 0.1).value == pytest.approx(0.2)
    assert tw.adaptive_sharpness(landscape, 0.1, eta=1.0).value == pytest.approx(0.1 * math.hypot(1, 3))


def test_where_the_scaled_gradient_vanishes():
    landscape = formula(lambda t: t[0] + 0 * t[1], [0.0, 2.0])
    found = tw.adaptive_sharpness(landscape, 0.1)
    assert (found.value, found.raw, found.cost.losses) == (0.0, None, 0)
    with pytest.raises(ArgumentError, match=r"restarts: expected at least 1 where T times the gradient vanishes"):
        tw.adaptive_sharpness(landscape, 0.1, "ascent", restarts=0)


def test_an_overshoot_keeps_its_sign_in_raw():
    found = tw.adaptive_sharpness(formula(lambda t: t[0] - 2 * (t[0] - 1) ** 2, [1.0]), 1.0)
    assert (found.value, found.raw) == (0.0, -1.0)


def test_a_loss_that_is_unbounded():
    with pytest.raises(
        NonFiniteError, match=r"rho: expected a ball in which the loss is finite, but at distance 1 of 1"
    ):
        tw.adaptive_sharpness(formula(lambda t: -(2 - t[0]).log(), [1.0]), 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -1.0}, r"rho: expected a positive finite number, got -1\.0"),
        ({"rho": 1.0, "eta": -0.1}, r"eta: expected a finite number of at least 0, got -0\.1"),
        ({"rho": 1.0, "steps": 2}, r"steps: expected None with method='one-step', which has no use for it"),
        ({"rho": 1.0, "method": "ascent", "steps": 0}, r"steps: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.adaptive_sharpness(formula(lambda t: t[0], [1.0]), **arguments)


def test_what_is_unknown_is_named():
    landscape = formula(lambda t: t[0], [1.0])
    with unchecked(), pytest.raises(ArgumentError, match=r"normalization: expected 'element' or 'filter', got 'layer'"):
        tw.adaptive_sharpness(landscape, 0.1, normalization="layer")
    with unchecked(), pytest.raises(ArgumentError, match=r"method: expected 'one-step' or 'ascent', got 'two'"):
        tw.adaptive_sharpness(landscape, 0.1, "two")
    with pytest.raises(ArgumentError, match=r"landscape: expected weights to take the scale from"):
        tw.adaptive_sharpness(formula(lambda t: t[0], [0.0]), 0.1)

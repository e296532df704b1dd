"""Local learning coefficients against what the same discrete chain has in closed form, or by quadrature."""

import json
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.models import randn
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import local_learning_coefficient
from thalweg.errors import ArgumentError, ConvergenceWarning, DataError

CURVATURES = torch.linspace(1, 4, 40, dtype=torch.float64)


def bowl(curvatures=CURVATURES):
    size = len(curvatures)
    return quadratic(torch.diag(curvatures), torch.zeros(size, dtype=torch.float64), [0.0] * size)


def of_the_chain(curvatures, heat, gamma, step):
    """Σ ½ nβh / (nβh + γ) / (1 − a/2): the stationary variance of x ← (1 − a)x + √ε ξ, a = ε(nβh + γ)/2."""
    stiff = heat * curvatures + gamma
    return float((heat * curvatures / (2 * stiff) / (1 - step * stiff / 4)).sum())


def test_a_regular_minimum_counts_half_of_its_parameters():
    landscape = bowl()
    with unchecked(), unchanged(landscape.model):
        found = local_learning_coefficient(
            landscape, inverse_temperature=100.0, localisation=5.0, burn_in=80, draws=300
        )
    exact = of_the_chain(CURVATURES, 100, 5, found.step_size)
    low, high = found.estimate.interval(0.999)
    assert low < exact < high
    assert abs(found.value - exact) < 0.05 * exact
    assert abs(exact - 20) < 0.05 * 20  # P/2, but for the spring and the step
    assert found.estimate.dof == 3
    assert found.estimate.converged
    assert found.step_size == pytest.approx(0.2 / (100 * 4 + 5), rel=1e-3)
    assert (found.below, found.left, found.hot, found.base) == (0, (), (), 0)
    assert found.losses.shape == (4, 300)
    torch.testing.assert_close(found.chains, 100 * found.losses.mean(dim=1))
    assert found.rhat < 1.1
    assert bool((found.effective_draws > 10).all())
    assert found.estimate.cost.gradients == 4 * 380
    assert "of at most 20 (4 chains of 300 draws, R̂ 1.0" in str(found)


def test_a_spring_hides_flat_directions_and_those_below_it():
    curvatures = torch.cat([torch.full((20,), 4.0), torch.full((20,), 0.05), torch.zeros(20)]).double()
    found = local_learning_coefficient(
        bowl(curvatures), inverse_temperature=100.0, localisation=100.0, burn_in=60, draws=250
    )
    exact = of_the_chain(curvatures, 100, 100, found.step_size)
    low, high = found.estimate.interval(0.999)
    assert low < exact < high
    assert exact < 9.7  # of 30


def test_a_large_step_heats_as_the_closed_form_says():
    """a = 1 in every direction doubles what each one counts: above P/2, and said so."""
    landscape = bowl(torch.ones(40, dtype=torch.float64))
    with pytest.warns(ConvergenceWarning, match=r"Chains 0, 1 \(from 0\) of 2 are too hot: .* P/2 = 20 is the most"):
        found = local_learning_coefficient(
            landscape, inverse_temperature=100.0, localisation=0.0, step_size=0.02, chains=2, burn_in=10, draws=200
        )
    assert found.value == pytest.approx(40, rel=0.08)
    assert found.hot == (0, 1)
    assert not found.estimate.converged
    assert "not converged" in str(found)


def quartic_of_the_chain(step):
    """E x⁴ under the stationary law of x ← x − 2ε x³ + √ε ξ, by powers of its kernel on a grid."""
    grid = np.linspace(-2.5, 2.5, 501)
    kernel = np.exp(-((grid[:, None] - (grid - 2 * step * grid**3)) ** 2) / (2 * step))
    kernel /= kernel.sum(axis=0)
    law = np.full(len(grid), 1 / len(grid))
    for _ in range(400):
        law = kernel @ law
    return float(law @ grid**4)


@pytest.mark.slow
def test_a_quartic_counts_a_quarter():
    """exp(−x⁴) has E x⁴ = ¼ at any temperature; here 60 of them at once, and the law of the discrete chain."""
    step = 0.05
    exact = quartic_of_the_chain(step)
    assert exact == pytest.approx(0.25, rel=0.1)
    landscape = formula(lambda t: (t**4).sum(), [0.0] * 60)
    found = local_learning_coefficient(
        landscape, inverse_temperature=1.0, localisation=0.0, step_size=step, burn_in=150, draws=400
    )
    low, high = found.estimate.interval(0.999)
    assert low < 60 * exact < high
    assert found.value < 0.6 * 30  # far from the P/2 of a regular minimum


def crossing_by_quadrature(heat, gamma):
    """NβE x²y² under exp(−nβx²y² − γ(x² + y²)/2): the integral over y is Gaussian, that over x is done on a grid."""
    x = np.linspace(0, 12 / math.sqrt(gamma), 400_001)
    stiff = 2 * heat * x**2 + gamma
    weight = np.exp(-gamma * x**2 / 2) / np.sqrt(stiff)
    return float((weight * heat * x**2 / stiff).sum() / weight.sum())


def test_the_quadrature_of_a_normal_crossing():
    """λ = ½ of multiplicity 2 is reached as slowly as ½ − 1/ln(nβ) (Watanabe, 2009)."""
    near = [crossing_by_quadrature(10.0**k, 1.0) for k in (2, 4, 6)]
    assert near == sorted(near)
    assert all(value < 0.5 for value in near)
    gaps = [(0.5 - value) * math.log(10.0**k) for k, value in zip((2, 4, 6), near, strict=True)]
    assert abs(gaps[2] - 1) < abs(gaps[1] - 1) < 0.35


@pytest.mark.slow
def test_a_normal_crossing():
    exact = crossing_by_quadrature(20.0, 1.0)
    landscape = formula(lambda t: (t[:40].square() * t[40:].square()).sum(), [0.0] * 80)
    found = local_learning_coefficient(
        landscape, inverse_temperature=20.0, localisation=1.0, step_size=0.004, burn_in=1000, draws=2500
    )
    low, high = found.estimate.interval(0.999)
    assert low < 40 * exact * 1.03
    assert high > 40 * exact
    assert found.value == pytest.approx(40 * exact, rel=0.1)
    assert found.value < 0.7 * 40  # each crossing has two parameters, and half of what a regular one counts


class Free(nn.Module):
    """A parameter vector, whatever the inputs."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, inputs):
        return self.theta.expand(len(inputs), -1)


def noisy(count=200, size=30):
    """½‖θ − y_i‖² at the mean of the y: H = I, and the minibatches' gradients are noisy at the minimum."""
    targets = randn(count, size, seed=2)
    return tw.Landscape(Free(targets.mean(dim=0)), tw.objectives.squared_error(), [(torch.zeros(count, 1), targets)])


def test_minibatches_see_the_same_coefficient_if_steps_are_small():
    landscape = noisy()
    heat = 200 / math.log(200)
    found = local_learning_coefficient(landscape, batch_size=100, localisation=10.0, burn_in=60, draws=250)
    assert found.inverse_temperature == pytest.approx(heat)
    exact = of_the_chain(torch.ones(30, dtype=torch.float64), heat, 10, found.step_size)
    # Two minibatches make a pass, and their noise adds ε²(nβ)²/4 · Σ_B to ε at most: here Σ_B ≈ I/200.
    heated = exact * (1 + found.step_size * heat**2 / 4 / 200)
    low, high = found.estimate.interval(0.999)
    assert low < heated * 1.001
    assert high > exact * 0.999
    assert found.value == pytest.approx(exact, rel=0.1)
    assert found.batch_size == 100
    assert found.estimate.cost.gradients == 4 * 310 // 2
    # The loss of a minibatch is off by ten times what its rise over the same minibatch's is.
    assert float(found.losses.std()) * heat < found.value


def test_the_noise_of_small_minibatches_heats():
    landscape = noisy(400, 10)
    cold = dict(localisation=0.0, inverse_temperature=400.0, step_size=0.0005, burn_in=40, draws=150, chains=2)  # noqa: C408
    whole = local_learning_coefficient(landscape, **cold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = local_learning_coefficient(landscape, batch_size=2, **cold)
    assert one.value > 2 * whole.value


def test_a_point_that_is_no_minimum_is_said():
    slope = formula(lambda t: t.sum() + 0.5 * t.square().sum(), [0.0] * 4)
    with pytest.warns(ConvergenceWarning) as caught:
        found = local_learning_coefficient(
            slope, inverse_temperature=1000.0, localisation=20.0, chains=2, burn_in=100, draws=100
        )
    said = str(caught[0].message)
    assert "λ̂ is negative: 100 % of the draws lie below" in said
    assert "Chains 0, 1 (from 0) of 2 left the neighbourhood of the point" in said
    assert found.value < 0
    assert found.left == (0, 1)
    assert found.below == 1
    assert not found.estimate.converged


def test_chains_that_do_not_agree_are_said():
    """Without burn-in, and too short for the slow directions, both halves of each chain differ."""
    curvatures = torch.cat([torch.full((2,), 4.0), torch.full((40,), 0.02)]).double()
    with pytest.warns(ConvergenceWarning, match=r"The chains do not agree: R̂ is .* Raise burn_in and draws"):
        found = local_learning_coefficient(
            bowl(curvatures), inverse_temperature=1000.0, localisation=1.0, chains=2, burn_in=0, draws=60
        )
    assert found.rhat > 1.1


@pytest.mark.parametrize("step", [0.012, 0.1, 1e3])
def test_chains_that_diverge_are_named(step):
    message = (
        r"step_size: expected one at which chains stay near the point, got .*: Chains 0, 1, 2 \(from 0\) of 3 diverged "
        r"\(chain 0: .*P/2 = 20\)\. Take a smaller step_size"
    )
    landscape = bowl()
    with unchecked(), unchanged(landscape.model), pytest.raises(ArgumentError, match=message):
        local_learning_coefficient(landscape, inverse_temperature=100.0, step_size=step, chains=3, draws=120)


def test_chains_that_diverge_downwards_are_named():
    """−½‖w‖²: beyond the spring, at nβ = 400 and γ = 100, chains fall for ever."""
    hill = formula(lambda t: -0.5 * t @ t, [0.0, 0.0])
    with pytest.raises(ArgumentError, match=r"Chains 0, 1 \(from 0\) of 2 diverged \(chain 0: nβ\(L − L\*\) is -"):
        local_learning_coefficient(hill, inverse_temperature=400.0, step_size=1e-3, chains=2, burn_in=50, draws=50)


def test_the_generator_decides_and_chains_are_independent():
    def chains(count, seed):
        source = None if seed is None else torch.Generator().manual_seed(seed)
        options = {"inverse_temperature": 50.0, "step_size": 1e-3, "burn_in": 5, "draws": 20, "generator": source}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return local_learning_coefficient(bowl(), chains=count, **options).losses

    assert torch.equal(chains(2, None), chains(2, 0))
    assert torch.equal(chains(3, 0)[:2], chains(2, 0))
    assert not torch.equal(chains(2, 1), chains(2, 0))
    assert not torch.equal(chains(2, 0)[0], chains(2, 0)[1])


def test_a_network_and_its_record():
    landscape = g2()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = local_learning_coefficient(landscape, chains=2, burn_in=10, draws=30, batch_size=2)
    assert found.inverse_temperature == pytest.approx(4 / math.log(4))
    assert found.base == pytest.approx(landscape.loss())
    back = type(found).from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert torch.equal(back.losses, found.losses)
    assert back.estimate == found.estimate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step_size": 0.0}, r"step_size: expected a positive finite number or None, got 0\.0"),
        ({"step_size": math.inf}, "step_size: expected a positive finite number or None, got inf"),
        ({"inverse_temperature": -1.0}, r"inverse_temperature: expected a positive finite number or None, got -1\.0"),
        ({"inverse_temperature": "hot"}, "inverse_temperature: expected a positive finite number or None, got 'hot'"),
        ({"localisation": -1.0}, r"localisation: expected a finite number that is not negative, got -1\.0"),
        ({"chains": 1}, "chains: expected at least 2, got 1"),
        ({"draws": 3}, "draws: expected at least 4, got 3"),
        ({"burn_in": -1}, "burn_in: expected at least 0, got -1"),
        ({"draws": 10.0}, r"draws: expected a whole number, got 10\.0"),
        ({"batch_size": 5}, "batch_size: expected a whole number from 1 to the 4 data items, got 5"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        local_learning_coefficient(g1(), **arguments)


def test_what_has_no_default_is_said():
    with pytest.raises(DataError, match=r"at least 2 data items for the temperature 1/ln n, got 1"):
        local_learning_coefficient(bowl())
    flat = formula(lambda t: (t**4).sum(), [0.0] * 3)
    with pytest.raises(ArgumentError, match="step_size: expected a positive number where the Hessian vanishes"):
        local_learning_coefficient(flat, inverse_temperature=1.0, localisation=0.0)
    with unchecked(), pytest.raises(ArgumentError, match="landscape: expected a Landscape"):
        local_learning_coefficient(nn.Linear(1, 1))

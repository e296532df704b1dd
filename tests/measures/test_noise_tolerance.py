"""The noise that a network bears, against quadratics, whose answer is known for every set of draws."""

import math

import pytest
import torch

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg import noise_tolerance
from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.vectors import draw_seeds

CURVATURES = torch.linspace(0.5, 5, 30, dtype=torch.float64)


def bowl(theta=0.0):
    """Quadratic with its minimum at the point."""
    point = torch.full((30,), theta, dtype=torch.float64)
    return quadratic(torch.diag(CURVATURES), -CURVATURES * point, point.tolist())


def noises(landscape, draws, seed=0):
    seeds = draw_seeds(torch.Generator().manual_seed(seed), draws)
    return torch.stack([landscape.space.randn(torch.Generator().manual_seed(each)) for each in seeds])


def test_a_minimum_of_a_quadratic_is_solved_exactly_for_its_draws():
    """½σ² mean(zᵀHz) = target."""
    landscape = bowl()
    with unchecked(), unchanged(landscape.model):
        found = noise_tolerance(landscape, 0.1, draws=10, rtol=1e-9)
    forms = (noises(landscape, 10).square() * CURVATURES).sum(dim=1)
    assert found.sigma.value == pytest.approx(math.sqrt(0.2 / float(forms.mean())), rel=1e-8)
    assert found.flatness.value == pytest.approx(float(forms.mean()) / 0.2, rel=1e-7)
    assert found.cost_of_noise == pytest.approx(0.1, rel=1e-7)
    assert found.sigma.value < found.upper <= found.sigma.value * (1 + 1e-9)
    # Of 1/σ² = mean / 0.2 the standard error is that of the mean; the slope is a secant's, right to 1 %.
    error = float(forms.std()) / math.sqrt(10) / 0.2
    assert found.flatness.standard_error == pytest.approx(error, rel=0.03)
    assert found.sigma.dof == 9
    assert found.cost.losses == pytest.approx(10 * round(found.cost.losses / 10), abs=1)


def test_intervals_cover_the_law_of_the_minimum():
    """σ² = 2 target / tr H, in 25 runs."""
    landscape, exact = bowl(), math.sqrt(0.2 / float(CURVATURES.sum()))
    covered = 0
    for seed in range(25):
        found = noise_tolerance(landscape, 0.1, draws=5, rtol=0.03, generator=torch.Generator().manual_seed(seed))
        low, high = found.sigma.interval()
        covered += low < exact < high
    assert covered >= 20  # of 25 at 95 %: fewer come with probability 0.001


def test_noise_in_proportion_to_the_parameters():
    """The variance of each draw is σ²θ² + floor²: ½ mean Σ h z² (σ²θ² + floor²) = target."""
    landscape = bowl(theta=2.0)
    found = noise_tolerance(landscape, 0.1, magnitude_aware=True, floor=1e-2, draws=8, rtol=1e-9)
    form = float((noises(landscape, 8).square() * CURVATURES).sum(dim=1).mean())
    expected = math.sqrt((0.2 / form - 1e-4) / 4)
    assert found.sigma.value == pytest.approx(expected, rel=1e-7)
    assert found.magnitude_aware
    assert "relative noise" in str(found)


def test_rescaled_parameters_have_the_same_relative_tolerance():
    """L(θ) and L(θ/c) at cθ: σ grows by c, relative σ does not."""

    def scaled(c):
        return formula(lambda t: (CURVATURES * (t / c - 1).square()).sum() / 2, [c] * 30)

    plain = [noise_tolerance(scaled(c), 0.1, draws=4, rtol=1e-6).sigma.value for c in (1.0, 8.0)]
    aware = [noise_tolerance(scaled(c), 0.1, draws=4, rtol=1e-6, magnitude_aware=True, floor=0.0) for c in (1.0, 8.0)]
    assert plain[1] == pytest.approx(8 * plain[0], rel=1e-5)
    assert aware[1].sigma.value == pytest.approx(aware[0].sigma.value, rel=1e-5)


def test_the_fall_of_the_accuracy():
    """A linear classifier of points at distance 1: the mean fall at σ is below the target, and beyond it above."""
    inputs = torch.tensor([[1.0], [-1.0]] * 20, dtype=torch.float64)
    labels = torch.tensor([1, 0] * 20)
    model = torch.nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(inputs, labels)])
    found = noise_tolerance(landscape, 0.1, metric="accuracy", draws=60)
    # The margin 2 + z√2 σ turns for all points at once: P(flip) = Φ(−√2/σ) = 0.1 at σ = √2/1.2816.
    low, high = found.sigma.interval(0.999)
    assert low < math.sqrt(2) / 1.2816 < high
    assert found.sigma.standard_error < 0.5
    assert found.cost_of_noise < 0.1
    assert found.metric == "accuracy"
    assert "the accuracy falls" in str(found)


def test_a_loss_that_ends_counts_as_beyond_the_target():
    landscape = formula(lambda t: -(1 - t.square().sum()).log(), [0.0] * 5)
    found = noise_tolerance(landscape, 1e6, draws=3)
    assert 0.1 < found.sigma.value < 1
    assert found.sigma.standard_error is None or found.sigma.standard_error >= 0


def test_the_generator_decides():
    values = [
        noise_tolerance(g1(), 0.05, draws=3, rtol=1e-4, generator=source).sigma.value
        for source in (None, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1))
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0.0}, r"target: expected a positive finite number, got 0\.0"),
        ({"target": math.nan}, "target: expected a positive finite number, got nan"),
        ({"rtol": -1}, "rtol: expected a positive finite number"),
        ({"floor": -1e-3}, "floor: expected a finite number that is not negative"),
        ({"draws": 1}, "draws: expected at least 2, got 1"),
        ({"draws": 2.0}, r"draws: expected a whole number, got 2\.0"),
        ({"metric": "error"}, "metric: expected 'loss' or 'accuracy', got 'error'"),
        ({"magnitude_aware": 1}, "magnitude_aware: expected True or False, got 1"),
        (
            {"target": 0.1, "magnitude_aware": True, "floor": 10.0},
            "stays above it. Take a larger one, or a smaller floor",
        ),
        ({"target": 2.0, "metric": "accuracy", "draws": 2}, "stays below it. Take a smaller one"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        noise_tolerance(g2(), **arguments)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ObjectiveError, match="squared_error has no accuracy"):
        noise_tolerance(g1(), metric="accuracy")
    landscape = g1()
    with pytest.raises(NonFiniteError, match="loss: expected a finite number"):
        noise_tolerance(landscape.at(torch.full_like(landscape.theta, math.nan)))

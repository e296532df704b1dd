"""The mean rise under noise against moments of the normal law and of the sphere."""

import math

import pytest
import torch

import thalweg as tw
from tests.formula import formula, quadratic
from tests.golden import g2
from tests.landscape.models import generator, randn
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError

DOUBLE = torch.float64


def bowl(size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    root = randn(size, size, seed=2)
    return root @ root.mT, randn(size, seed=3)


@pytest.mark.parametrize(("distribution", "share"), [("gaussian", 1.0), ("sphere", 1 / 12)])
def test_the_quadratic_law(distribution, share):
    """ρ²/2 · tr H, divided by P on the sphere; the gradient cancels, however large it is."""
    matrix, slope = bowl()
    landscape = quadratic(matrix, 1e3 * slope, [0.0] * 12)
    found = tw.average_sharpness(landscape, 0.1, samples=100, distribution=distribution)
    exact = 0.1**2 / 2 * float(matrix.trace()) * share
    assert abs(found.value - exact) < 4 * found.standard_error
    assert found.standard_error < 0.1 * exact
    assert found.dof == 99


def test_each_draw_is_the_quadratic_form():
    """With the same draws, the pairs are ρ²/2 · zᵀAz, and the error is that of their mean."""
    matrix, slope = bowl()
    found = tw.average_sharpness(quadratic(matrix, slope, [0.0] * 12), 0.1, samples=5, generator=generator(4))
    space, source = tw.VectorSpace(12, DOUBLE, torch.device("cpu")), generator(4)
    forms = torch.stack([0.005 * z @ matrix @ z for z in (space.randn(source) for _ in range(5))])
    assert found.value == pytest.approx(float(forms.mean()), rel=1e-9)
    assert found.standard_error == pytest.approx(float(forms.std()) / math.sqrt(5), rel=1e-9)
    assert found.cost.losses == 11
    assert (found.cost.gradients, found.cost.matvecs) == (0, 0)


def test_intervals_cover():
    """95 % intervals cover the law in at least 34 of 40 runs: 3 standard deviations of Binomial(40, 0.95) below 38."""
    matrix, slope = bowl()
    landscape = quadratic(matrix, slope, [0.0] * 12)
    exact, source, covered = 0.1**2 / 2 * float(matrix.trace()), generator(11), 0
    for _ in range(40):
        low, high = tw.average_sharpness(landscape, 0.1, samples=8, generator=source).interval()
        covered += low <= exact <= high
    assert covered >= 34


def test_odd_terms_cancel_and_quartic_ones_do_not():
    assert tw.average_sharpness(formula(lambda t: t[0] + t[0] ** 3, [0.0]), 0.5).value == 0
    found = tw.average_sharpness(formula(lambda t: (t**4).sum(), [0.0] * 50), 0.5, samples=60)
    assert abs(found.value - 50 * 3 * 0.5**4) < 4 * found.standard_error


def test_on_a_sphere_of_one_curvature_there_is_no_spread():
    landscape = quadratic(3 * torch.eye(4, dtype=DOUBLE), torch.ones(4, dtype=DOUBLE), [0.0] * 4)
    found = tw.average_sharpness(landscape, 0.2, distribution="sphere")
    assert found.value == pytest.approx(0.5 * 3 * 0.04, rel=1e-12)
    assert found.standard_error < 1e-15


def test_the_law_holds_for_a_network():
    landscape = g2()
    with unchanged(landscape.model):
        found = tw.average_sharpness(landscape, 1e-3, samples=60)
    exact = 0.5e-6 * 1.57529958402072
    assert abs(found.value - exact) < 4 * found.standard_error
    assert tw.average_sharpness(landscape, 0.05, distribution="sphere").value < 0.0399


def test_the_generator_decides():
    landscape = g2()
    assert (
        tw.average_sharpness(landscape, 0.1).value == tw.average_sharpness(landscape, 0.1, generator=generator(0)).value
    )
    assert (
        tw.average_sharpness(landscape, 0.1).value != tw.average_sharpness(landscape, 0.1, generator=generator(1)).value
    )


def test_a_loss_that_is_not_finite():
    with pytest.raises(
        NonFiniteError, match=r"rho: expected noise under which the loss is finite, but at one point of"
    ):
        tw.average_sharpness(formula(lambda t: -(2 - t[0]).log(), [0.0]), 100.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0}, r"rho: expected a positive finite number, got 0\.0"),
        ({"rho": 1.0, "samples": 1}, r"samples: expected at least 2, since one has no spread, got 1"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.average_sharpness(g2(), **arguments)


def test_what_is_unknown_is_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"distribution: expected 'gaussian' or 'sphere', got 'cube'"):
        tw.average_sharpness(g2(), 0.1, distribution="cube")
    with unchecked(), pytest.raises(ArgumentError, match=r"samples: expected a whole number, got 2\.5"):
        tw.average_sharpness(g2(), 0.1, samples=2.5)

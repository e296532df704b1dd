"""The gradient's length against numbers known to ten digits and a closed form."""

import pytest
import torch

import thalweg as tw
from tests.formula import formula
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.measures import gradient_norm


@pytest.mark.parametrize(("network", "norm"), [(g1, 0.2740314130480007), (g2, 0.788144698902798)])
def test_golden_networks(network, norm):
    found = gradient_norm(network())
    assert found.value == pytest.approx(norm, rel=1e-10)
    assert (found.standard_error, found.data_error) == (0.0, None)


def test_closed_form_and_cost():
    """∇(x³ + 2y) = (3x², 2)."""
    landscape = formula(lambda t: t[0] ** 3 + 2 * t[1], [2.0, 5.0])
    found = gradient_norm(landscape)
    assert found.value == pytest.approx(148**0.5, rel=1e-14)
    assert (found.cost.gradients, found.cost.losses, found.cost.matvecs) == (1, 0, 0)
    assert found.cost.seconds > 0
    assert found.provenance == landscape.provenance()


@pytest.mark.parametrize("measure", [tw.gradient_norm, lambda model: tw.sharpness(model, 0.1)])
def test_a_model_is_no_landscape(measure):
    message = r"landscape: expected a Landscape, got Linear\. Build one: Landscape\(model, objective, data\)\."
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        measure(torch.nn.Linear(2, 1))


def test_zero_at_a_saddle():
    assert gradient_norm(formula(lambda t: t[0] * t[1], [0.0, 0.0])).value == 0


def test_the_model_stays_as_it_was_also_when_it_fails():
    landscape = formula(lambda t: t.sqrt().sum(), [1.0, 1.0])
    with unchecked(), unchanged(landscape.model):
        gradient_norm(landscape)
        with pytest.raises(tw.errors.NonFiniteError, match="gradient: expected finite entries, got a non-finite one"):
            gradient_norm(landscape.at(torch.zeros(2, dtype=torch.float64)))

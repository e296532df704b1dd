"""Zeros of the Hessian at interpolation: counted densely, and held against the number of constraints."""

import pytest
import torch

import thalweg as tw
from tests.golden import g2
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.measures import null_space

ITEMS, CLASSES = 5, 3


def fitted(objective: str, gap: float = 0.0) -> tw.Landscape:
    """A network that fits its data by construction, up to a gap."""
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp((4, 6, CLASSES), activation="tanh", generator=source).double()
    inputs = torch.randn(ITEMS, 4, generator=source, dtype=torch.float64)
    with torch.no_grad():
        outputs = model(inputs)
    noise = gap * torch.randn(outputs.shape, generator=source, dtype=torch.float64)
    if objective == "mse":
        return tw.Landscape(model, tw.objectives.squared_error(), [(inputs, outputs + noise)])
    # Soft targets that the model predicts.
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(inputs, (outputs + noise).softmax(dim=1))])


def values(landscape: tw.Landscape) -> torch.Tensor:
    return torch.linalg.eigvalsh(tw.hessian(landscape).dense())


@pytest.mark.parametrize(("objective", "rank"), [("mse", ITEMS * CLASSES), ("softmax", ITEMS * (CLASSES - 1))])
def test_interpolation(objective, rank):
    """51 parameters: the rank is full for so few items, so that the bound is an equation."""
    landscape = fitted(objective)
    found = null_space(values(landscape), landscape, threshold=1e-9)
    assert (found.size, found.items, found.outputs) == (51, ITEMS, CLASSES)
    assert (found.regression, found.classification) == (51 - 15, 51 - 10)
    assert found.count.value == 51 - rank
    assert found.valid
    assert found.implied
    assert found.residual == pytest.approx(0, abs=1e-12)
    assert found.cost.matvecs > 0


def test_off_interpolation_the_comparison_is_not_valid():
    landscape = fitted("mse", 1.0)
    found = null_space(values(landscape), landscape, threshold=1e-9)
    assert found.count.value < found.regression
    assert (found.valid, found.implied) == (False, False)
    residual = torch.linalg.matrix_norm(tw.residual(landscape).dense(), 2)
    assert found.residual == pytest.approx(float(residual), rel=1e-2)
    assert found.share == pytest.approx(float(residual / values(landscape).abs().max()), rel=1e-2)
    assert "far from interpolation" in str(found)
    # Nearly there, zeros are as large as what the residual is, and Weyl's theorem counts on them.
    near = fitted("mse", 1e-5)
    assert null_space(values(near), near).count.value < 36
    limit = float(torch.linalg.matrix_norm(tw.residual(near).dense(), 2)) * 1.01
    implied = null_space(values(near), near, threshold=limit)
    assert implied.valid
    assert implied.implied
    assert implied.count.value >= implied.regression


def test_the_shift_of_all_logits_is_an_exact_zero():
    """One direction for each input of the last layer, and one for its bias, interpolation or not."""
    landscape = g2()
    found = null_space(values(landscape), landscape)
    assert found.count.value == 3 + 1
    assert not found.valid


def test_a_spectrum():
    landscape = fitted("mse")
    hessian = tw.hessian(landscape)
    spectrum = tw.spectrum(hessian, top=20, bottom=2)
    found = null_space(spectrum, landscape)
    assert found.threshold == spectrum.zero
    assert found.count is spectrum.nullity
    # All that is not zero has converged, so that the count is exact.
    assert found.count.value == pytest.approx(36, abs=1e-6)
    between = float(values(landscape)[-10:-8].mean())
    wide = null_space(spectrum, landscape, threshold=between)
    assert wide.count.value == pytest.approx(51 - 9, abs=1e-6)
    assert wide.norm == pytest.approx(float(values(landscape)[-1]))


def test_without_a_landscape_nothing_is_said_of_validity():
    found = null_space(torch.tensor([0.0, 0.0, 1.0]), items=2, outputs=1)
    assert (found.regression, found.classification, found.count.value) == (1, 3, 2)
    assert (found.residual, found.share, found.valid, found.implied) == (None, None, None, None)
    assert str(found) == (
        "2 of 3 eigenvalues within 2.06e-07 of zero; at interpolation at least 1, or 3 for a softmax "
        "(interpolation not looked at)"
    )
    assert null_space(torch.ones(3), items=20, outputs=1).regression == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": None}, r"items: expected a number, or a landscape that says it, got neither"),
        ({"outputs": None}, r"outputs: expected a number, or a landscape that says it, got neither"),
        ({"items": 0}, r"items: expected at least 1, got 0"),
        ({"outputs": 1.5}, r"outputs: expected a whole number, got 1\.5"),
        ({"threshold": -1.0}, r"threshold: expected a finite number of at least 0, got -1\.0"),
        ({"threshold": float("nan")}, r"threshold: expected a finite number of at least 0, got nan"),
        ({"tolerance": 0.0}, r"tolerance: expected a number strictly between 0 and 1, got 0\.0"),
        ({"eigenvalues": torch.zeros(0)}, r"eigenvalues: expected a Spectrum, or all eigenvalues .* got \(0,\)"),
        ({"eigenvalues": [1.0]}, r"eigenvalues: expected a Spectrum, or all eigenvalues .* got list"),
        ({"eigenvalues": torch.tensor([float("nan")])}, r"eigenvalues: expected finite real numbers"),
        ({"landscape": 3}, r"landscape: expected a Landscape, got int"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        null_space(**{"eigenvalues": torch.ones(3), "items": 2, "outputs": 1, **arguments})


def test_landscapes_that_do_not_fit():
    with pytest.raises(ArgumentError, match=r"landscape: expected one of the 3 eigenvalues' parameters, got 21"):
        null_space(torch.ones(3), g2())
    model = torch.nn.Linear(2, 1)
    scalar = tw.objectives.from_function(lambda m, x: m(x).square().mean(), len)
    with pytest.raises(ObjectiveError, match=r"convex"):
        null_space(torch.ones(3), tw.Landscape(model, scalar, [torch.ones(2, 2)]), outputs=1)


def test_zeros_that_no_probe_resolves_are_not_counted_as_none():
    """17 zeros of the softmax shift among eigenvalues of all sizes: 40 steps from a random vector see none of them."""
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp((20, 16, 5), activation="tanh", generator=source).double()
    inputs = torch.randn(40, 20, generator=source, dtype=torch.float64)
    data = [(inputs, torch.randint(5, (40,), generator=source))]
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), data)
    assert int((values(landscape).abs() < 1e-10).sum()) == 17
    spectrum = tw.spectrum(tw.hessian(landscape), top=5, bottom=2, probes=4, steps=20)
    for found in (null_space(spectrum, landscape), null_space(spectrum, landscape, threshold=1e-9)):
        assert found.count.converged is False
        assert found.count.standard_error is None
        assert found.count.interval() is None
        assert "(not resolved)" in str(found)
    assert spectrum.nullity.converged is False
    whole = tw.spectrum(tw.hessian(landscape), top=5, bottom=2, probes=4, steps=landscape.size)
    seen = null_space(whole, landscape, threshold=1e-9).count
    assert abs(seen.value - 17) < 4 * seen.standard_error


def test_a_lower_end_above_zero_leaves_no_doubt():
    diagonal = torch.linspace(1, 3, 60, dtype=torch.float64)
    found = tw.spectrum(tw.FunctionOperator(lambda v: diagonal * v, 60, dtype=torch.float64), top=2, bottom=2, steps=6)
    for count in (found.nullity, found.index):
        assert (count.value, count.standard_error, count.converged) == (0, 0, True)

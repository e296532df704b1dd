"""Where all items have the same gradient, what is made of rounding is not told as a number."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.golden import g2
from thalweg.errors import ArgumentError


def repeated(dtype=torch.float64, cut=7):
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 3)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    inputs = torch.randn(1, 4, generator=generator, dtype=torch.float64).repeat(7, 1).to(dtype)
    targets = torch.ones(7, dtype=torch.long)
    data = [(inputs[:cut], targets[:cut]), (inputs[cut:], targets[cut:])] if cut < 7 else [(inputs, targets)]
    return tw.Landscape(model, tw.objectives.cross_entropy(), data)


CASES = [(torch.float64, 7), (torch.float64, 3), (torch.float32, 7), (torch.float32, 3)]


@pytest.mark.parametrize(("dtype", "cut"), CASES)
def test_the_noise_scale_is_zero(dtype, cut):
    landscape = repeated(dtype, cut)
    found = tw.gradient_noise(landscape, curvature=tw.hessian(landscape), top=2)
    assert (found.trace.value, found.scale.value, found.population_scale.value) == (0.0, 0.0, 0.0)
    assert found.trace.data_error == 0.0
    assert (found.top, found.curvature_trace, found.curvature_scale) == (None, None, None)


@pytest.mark.parametrize(("dtype", "cut"), CASES)
@pytest.mark.parametrize("swapped", [False, True])
def test_no_alignment(dtype, cut, swapped):
    landscape = repeated(dtype, cut)
    pair = tw.gradient_covariance(landscape), tw.hessian(landscape)
    top = torch.eye(landscape.size, dtype=dtype)[:, :2]
    found = tw.alignment(*(reversed(pair) if swapped else pair), top=top)
    ratios = found.cosine, found.zhu, found.multiple, found.residual, found.top_share
    assert ratios == (None,) * 5
    assert "the same to rounding" in found.reason
    assert found.reason in str(found)
    assert found.cost.gradients == 1


@pytest.mark.parametrize(("dtype", "cut"), CASES)
def test_no_model_of_the_noise(dtype, cut):
    found = tw.noise_models(repeated(dtype, cut))
    assert found.norm.value == 0.0
    assert found.best() is None
    assert all((m.multiple, m.residual, m.predicted_residual) == (None, None, None) for m in found.models)


@pytest.mark.parametrize(("dtype", "cut"), CASES)
@pytest.mark.parametrize("variant", ["cosine", "zhu", "topk"])
def test_no_difficulty(dtype, cut, variant):
    found = tw.difficulty(repeated(dtype, cut), variant)
    assert (found.index, found.alignment) == (None, None)
    assert "the same to rounding" in found.reason


@pytest.mark.parametrize(("dtype", "cut"), CASES)
def test_the_table_says_why_there_is_no_value(dtype, cut):
    found = tw.measure(repeated(dtype, cut), ["noise", "alignment", "difficulty"])
    assert (found["trace of Σ"].value, found["gradient noise scale"].value) == (0.0, 0.0)
    for row in found.rows[2:]:
        assert row.value is None
        assert "the same to rounding" in row.note


def test_what_noise_there_is_stays():
    """Items that differ in the sixth digit, in double precision: far above rounding."""
    landscape = repeated()
    (inputs, targets), *_ = landscape.data
    moved = inputs + 1e-6 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1), dtype=inputs.dtype)
    landscape = landscape.on([(moved, targets)])
    gram = tw.gradient_noise(landscape)
    assert 0 < gram.scale.value < 1e-9
    assert tw.alignment(tw.gradient_covariance(landscape), tw.hessian(landscape)).reason is None


def test_one_item_has_no_difficulty():
    model = nn.Linear(2, 1).double()
    one = torch.ones(1, 2).double(), torch.zeros(1, 1).double()
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [one])
    with pytest.raises(ArgumentError, match="at least 2 data items"):
        tw.difficulty(landscape)
    given = tw.FunctionOperator(lambda v: v, 3, dtype=torch.float64)
    assert tw.difficulty(landscape, covariance=given).index is not None


def test_train_mode_has_no_difficulty():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).double()
    data = [(torch.eye(2).double(), torch.ones(2, 1).double())]
    with pytest.raises(ArgumentError, match="has no gradient of its own"):
        tw.difficulty(tw.Landscape(model, tw.objectives.squared_error(), data, mode="train"))


def test_too_many_eigenpairs_are_told_of_by_their_name():
    model = nn.Linear(1, 1, bias=False)
    data = [(torch.ones(2, 1), torch.tensor([[1.0], [3.0]]))]
    with pytest.raises(ArgumentError, match=r"^top: expected at most the 1 parameters, got 2"):
        tw.gradient_noise(tw.Landscape(model, tw.objectives.squared_error(), data), top=2)


def test_a_share_that_is_exact_but_for_rounding_has_no_error():
    """Both matrices lie in the sketch, and probes see rounding alone."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(200, 4, generator=generator, dtype=torch.float64)).Q
    values = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    matrix = tw.FunctionOperator(lambda v: basis @ (values * (basis.mT @ v)), 200, dtype=torch.float64)
    found = tw.alignment(matrix, matrix, top=basis[:, :1])
    assert found.top_share.value == pytest.approx(0.4, rel=1e-12)
    assert found.top_share.standard_error == 0.0
    assert str(found.top_share) == "0.4"


def test_noise_models_still_have_numbers():
    assert tw.noise_models(g2()).best() is not None


@pytest.mark.parametrize("of", ["a minibatch", "a layer", "a subspace", "a minibatch of a layer"])
def test_no_alignment_of_what_is_made_of_it(of):
    """A multiple and a compression of a covariance that is zero are zero, too."""
    landscape = repeated()
    made = {
        "a minibatch": lambda matrix: tw.scaled(matrix, 0.25),
        "a layer": lambda matrix: tw.block(matrix, "0.*"),
        "a subspace": lambda matrix: tw.projected(matrix, torch.eye(landscape.size, dtype=torch.float64)[:, :9]),
        "a minibatch of a layer": lambda matrix: tw.scaled(tw.block(matrix, "0.*"), 0.25),
    }[of]
    found = tw.alignment(made(tw.gradient_covariance(landscape)), made(tw.hessian(landscape)))
    assert (found.cosine, found.zhu) == (None, None)
    assert "the same to rounding" in found.reason


def test_a_covariance_with_its_sign_changed_is_not_taken_for_rounding():
    found = tw.alignment(tw.scaled(tw.gradient_covariance(g2()), -1.0), tw.hessian(g2()))
    assert found.cosine.value == pytest.approx(-0.473541910178068, rel=1e-9)

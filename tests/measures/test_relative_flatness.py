"""Relative flatness against the double sum over blocks of a dense Hessian, and its invariance."""

import math
from functools import partial

import pytest
import torch

import thalweg as tw
from tests.formula import quadratic
from tests.golden import g1, g2
from tests.landscape.models import classes, cnn, generator, randn
from tests.landscape.snapshot import unchanged
from tests.measures.relu import landscape_of, relu, rescaled
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError

DOUBLE = torch.float64


def naive(landscape: tw.Landscape, layer: str) -> float:
    """Σ ⟨w_s, w_s'⟩ tr H_ss' by differentiating twice, block by block."""
    model = landscape.model
    weight = dict(model.named_parameters())[layer].detach()
    (inputs, targets), *_ = landscape.data

    def loss(flat):
        out = torch.func.functional_call(model, {layer: flat.view_as(weight)}, (inputs,))
        return torch.nn.functional.cross_entropy(out, targets)

    matrix = torch.autograd.functional.hessian(loss, weight.reshape(-1))
    rows = weight.reshape(len(weight), -1)
    blocks = matrix.reshape(*rows.shape, *rows.shape)
    return sum(
        float(rows[s] @ rows[t] * blocks[s, :, t, :].trace()) for s in range(len(rows)) for t in range(len(rows))
    )


@pytest.mark.parametrize("layer", ["0.weight", "2.weight", "4.weight"])
def test_against_the_double_sum(layer):
    landscape = landscape_of(relu())
    with unchanged(landscape.model):
        found = tw.relative_flatness(landscape, layer)
    assert found.value == pytest.approx(naive(landscape, layer), rel=1e-10)
    weight = landscape.split(landscape.theta)[layer]
    assert found.cost.matvecs == min(weight.shape) * weight.shape[1]
    assert (found.standard_error, found.dof) == (0.0, None)


def test_a_convolution_is_read_as_outputs_by_the_rest():
    landscape = tw.Landscape(cnn(), tw.objectives.cross_entropy(), [(randn(5, 1, 6, 6), classes(5))])
    landscape.model.eval()
    assert tw.relative_flatness(landscape, "0.weight").value == pytest.approx(naive(landscape, "0.weight"), rel=1e-9)


def test_by_probes():
    """Unbiased, with an interval that covers, whether the number of probes is given or the accuracy."""
    landscape = landscape_of(relu())
    exact = tw.relative_flatness(landscape, "2.weight").value
    found = tw.relative_flatness(landscape, "2.weight", exact=0, probes=40)
    assert found.cost.matvecs == 40
    assert found.standard_error > 0
    assert abs(found.value - exact) < 4 * found.standard_error
    close = tw.relative_flatness(landscape, "2.weight", exact=0, rtol=0.2)
    assert close.converged
    assert close.value == pytest.approx(exact, rel=0.3)
    assert tw.relative_flatness(landscape, "2.weight", exact=0, probes=40, generator=generator(1)).value != found.value


def test_invariance_under_rescaling():
    """Of whole layers for every layer, and of each neuron on its own for the layer that these belong to."""
    model = relu()
    whole = rescaled(model, torch.full((5,), 3.0).double(), torch.full((4,), 0.2).double())
    last = rescaled(model, torch.ones(5).double(), torch.tensor([3.0, 0.3, 2.0, 0.5]).double())
    one = landscape_of(model)
    for layer in ("0.weight", "2.weight", "4.weight"):
        before = tw.relative_flatness(one, layer).value
        assert tw.relative_flatness(landscape_of(whole), layer).value == pytest.approx(before, rel=1e-9)
        own = tw.relative_flatness(landscape_of(last), layer).value
        # The layer after the neurons sees inputs of other scales, one by one.
        assert (own == pytest.approx(before, rel=1e-9)) == (layer != "4.weight")
    traces = [float(torch.trace(tw.hessian(each).dense())) for each in (one, landscape_of(whole))]
    assert abs(traces[1] / traces[0] - 1) > 0.5


def test_another_matrix():
    landscape = landscape_of(relu())
    found = tw.relative_flatness(landscape, "4.weight", matrix=partial(tw.ggn, keep=False))
    # The last layer is linear in its weights: there the GGN is the Hessian.
    assert found.value == pytest.approx(tw.relative_flatness(landscape, "4.weight").value, rel=1e-10)
    assert tw.relative_flatness(landscape, "0.weight", matrix=tw.ggn).value > 0


def test_weights_of_low_rank_take_fewer_products():
    model = relu()
    with torch.no_grad():
        model[2].weight.copy_(torch.outer(torch.arange(1.0, 5.0), torch.ones(5)))
    landscape = landscape_of(model)
    found = tw.relative_flatness(landscape, "2.weight")
    assert found.cost.matvecs == 5
    assert found.value == pytest.approx(naive(landscape, "2.weight"), rel=1e-10)
    with torch.no_grad():
        model[2].weight.zero_()
    zero = tw.relative_flatness(landscape_of(model), "2.weight")
    assert (zero.value, zero.standard_error, zero.cost.matvecs) == (0.0, 0.0, 0)


def test_golden_networks():
    """A single row: ‖w‖² tr H; all rows: against the whole Hessian's blocks."""
    landscape = g1()
    weight = landscape.split(landscape.theta)["2.weight"]
    block = tw.hessian(landscape.restricted(["2.weight"])).dense()
    expected = float(weight.norm() ** 2 * block.trace())
    assert tw.relative_flatness(landscape, "2.weight").value == pytest.approx(expected, rel=1e-12)
    assert tw.relative_flatness(g2(), "0.weight").value == pytest.approx(naive(g2(), "0.weight"), rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"layer": "1.weight"},
            r"layer: expected the name of a weight, got '1\.weight'\. There are 0\.weight, 0",
        ),
        ({"layer": "0.bias"}, r"layer: expected a weight of at least two axes, outputs first, got 0\.bias of shape"),
        ({"layer": "0.weight", "exact": -1}, r"exact: expected at least 0, got -1"),
        ({"layer": "0.weight", "exact": 0, "probes": 1}, r"probes: expected at least 2"),
        ({"layer": "0.weight", "exact": 0, "rtol": math.nan}, r"rtol: expected a positive number"),
        (
            {"layer": "0.weight", "matrix": lambda _: tw.FunctionOperator(lambda v: v, 3, dtype=DOUBLE)},
            r"matrix: expected an operator of shape \(4, 4\) for 0\.weight, got \(3, 3\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.relative_flatness(g1(), **arguments)


def test_what_is_of_another_type_is_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"matrix: expected a function of a landscape, .* got str"):
        tw.relative_flatness(g1(), "0.weight", matrix="hessian")
    with pytest.raises(ArgumentError, match=r"layer: expected a weight of at least two axes"):
        tw.relative_flatness(quadratic(torch.eye(2).double(), torch.zeros(2).double(), [0.0, 0.0]), "theta")

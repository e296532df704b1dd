"""What the benchmarks share: counted operations, trusted answers, fits, and the order of timing."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

import thalweg as tw

SIZES, ITEMS = (6, 5, 4, 3), 7


@pytest.fixture
def toy(load):
    """A smooth perceptron on random images, with its classification loss."""
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp(SIZES, activation="tanh", generator=source).eval()
    inputs = torch.randn(ITEMS, SIZES[0], generator=source)
    targets = torch.randint(SIZES[-1], (ITEMS,), generator=source)
    objective = tw.objectives.cross_entropy()
    return load("_networks").Case("toy", model, nn.CrossEntropyLoss(), inputs, targets, objective, (inputs, targets))


def gpt(load):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = load("_networks").GPT(11, 8, layers=2, width=8, heads=2)
    return load("_networks").language("GPT", model, 11, (3, 8), torch.Generator().manual_seed(0))


def test_operations_of_a_perceptron(load, toy):
    """A layer's forward pass is 2 N n m; the first layer needs no gradient by its input."""
    layers = [2 * ITEMS * n * m for n, m in itertools.pairwise(SIZES)]
    first, others = layers[0], sum(layers[1:])
    found = load("_arithmetic").counted(toy)
    assert found.forward == first + others
    assert found.backward == first + 2 * others
    assert found.gradient == 2 * first + 3 * others
    assert found.hessian == found.double_backward == 2 * first + 6 * others
    assert found.gauss_newton == 2 * first + 4 * others
    gradient = 2 * first + 3 * others
    assert found.units() == pytest.approx(
        {
            "Hv, primal pass shared": (2 * first + 6 * others) / gradient,
            "Hv, primal pass rebuilt": (4 * first + 9 * others) / gradient,
            "Gv, primal pass shared": (2 * first + 4 * others) / gradient,
            "Gv, primal pass rebuilt": (3 * first + 5 * others) / gradient,
        }
    )


def test_operations_of_a_decoder(load):
    """Everything depends on the embedding, as in a network without a first layer."""
    found = load("_arithmetic").counted(gpt(load))
    assert list(found.units().values()) == pytest.approx([2, 3, 4 / 3, 5 / 3])
    assert found.double_backward == found.hessian


def test_the_decoder_is_that_of_gpt2(load):
    with torch.device("meta"):
        model = load("_networks").GPT(50257, 1024, layers=12, width=768, heads=12)
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


def test_the_decoder_is_not_certain(load):
    """A saturated softmax has a Gauss-Newton matrix that single precision cannot tell from rounding."""
    case = load("_networks").decoder(quick=False)
    assert case.model(case.inputs).softmax(dim=-1).max() < 0.1
    block = load("_contestants").vectors(case, 1)
    product = load("_contestants").ours("G")[0].build(case)(block)
    assert load("_reference").relative_error(product, load("_reference").trusted("G", case, block)) < 1e-5


def test_the_decoder_is_causal(load):
    case = gpt(load)
    changed = case.inputs.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 11
    before, after = case.model(case.inputs), case.model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_criterion_and_objective_are_one_loss(load, toy):
    for case in (toy, gpt(load)):
        loss = case.criterion(case.model(case.inputs), case.targets).item()
        assert case.landscape().loss() == pytest.approx(loss, rel=1e-5)


def dense(case, matrix):
    """Entry by entry in double precision, by another road than the trusted products."""
    model = case.model.double()
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    theta = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    def outputs(vector, inputs):
        parts = vector.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return functional_call(model, named, (inputs,))

    inputs = case.inputs.double()
    if matrix == "H":
        return torch.autograd.functional.hessian(lambda v: case.criterion(outputs(v, inputs), case.targets), theta)
    jacobian = jacrev(lambda v: outputs(v, inputs))(theta)
    probabilities = outputs(theta, inputs).softmax(dim=1)
    if matrix == "G":
        middle = torch.diag_embed(probabilities) - probabilities[:, :, None] * probabilities[:, None, :]
        return torch.einsum("nap,nab,nbq->pq", jacobian, middle, jacobian).detach() / ITEMS
    slopes = probabilities - nn.functional.one_hot(case.targets, SIZES[-1])
    gradients = torch.einsum("nap,na->np", jacobian, slopes)
    return torch.cov(gradients.mT, correction=0).detach()


@pytest.mark.parametrize("matrix", ["H", "G", "Σ"])
def test_trusted_products(load, toy, matrix):
    block = load("_contestants").vectors(toy, 3)
    found = load("_reference").trusted(matrix, toy, block)
    torch.testing.assert_close(found, dense(toy, matrix) @ block.double(), rtol=1e-10, atol=1e-12)


def test_relative_error(load):
    truth = torch.tensor([[3.0, 1.0], [4.0, 0.0]])
    assert load("_reference").relative_error(truth + torch.tensor([[0.0, 0.5], [1.0, 0.0]]), truth) == 0.5


@pytest.mark.parametrize("width", [1, 2])
def test_contestants_agree(load, toy, width):
    pytest.importorskip("curvlinops")
    pytest.importorskip("hessian_eigenthings")
    pytest.importorskip("pyhessian")
    contestants = load("_contestants")
    block = contestants.vectors(toy, width)
    everyone = [contestant for matrix in contestants.MAKERS for contestant in contestants.ours(matrix)]
    for contestant in everyone + contestants.peers():
        if width == 1 or contestant.blocks:
            truth = load("_reference").trusted(contestant.matrix, toy, block)
            found = contestant.build(toy)(block)
            assert load("_reference").relative_error(found, truth) < 1e-4, contestant


def test_calls_are_timed_between_units(load):
    said = []
    calls = {name: lambda name=name: said.append(name) for name in "ab"}
    pairs = load("_timing").in_turn(lambda: said.append("unit"), calls, 2, torch.device("cpu"))
    rounds = ["unit", "a", "unit", "unit", "b", "unit", "unit", "b", "unit", "unit", "a", "unit"]
    assert said == ["unit", *rounds]
    assert {name: len(found) for name, found in pairs.items()} == {"a": 2, "b": 2}


def test_exponents(load):
    exponent = load("_powers").exponent
    slope, error = exponent([1, 10, 100], [3, 300, 30_000])
    assert (slope, error) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-9))
    # Textbook regression, by NumPy's covariance of the coefficients (scaled by the residuals).
    x, y = [1.0, 2.0, 4.0, 8.0, 16.0], [1.1, 1.8, 4.6, 7.0, 19.0]
    coefficients, covariance = np.polyfit(np.log(x), np.log(y), 1, cov=True)
    assert exponent(x, y) == pytest.approx((coefficients[0], covariance[0, 0] ** 0.5))
    assert exponent([1, 2], [1, 2]) is None

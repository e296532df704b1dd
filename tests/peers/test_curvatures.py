"""Gauss–Newton, Fisher and Gram matrices against those of other libraries."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

import thalweg as tw
from tests.landscape.models import Residual, classes, cnn, generator, mlp, randn, scrambled
from tests.peers.test_hessians import CROSS, MODELS, N, agree, cut, dataset


def curvlinops(name, model, loss, batches, **options):
    library = pytest.importorskip("curvlinops")
    return getattr(library, name)(model, loss, list(model.parameters()), batches, **options)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sizes", [(N,), (250, 6)], ids=["one batch", "ragged"])
def test_ggn(name, sizes):
    make, shape = MODELS[name]
    model = make().eval()
    batches = cut(dataset(*shape), *sizes)
    op = tw.ggn(tw.Landscape(model, CROSS, batches))
    block = op.space.randn(generator(1), 3)
    agree(op @ block, curvlinops("GGNLinearOperator", model, nn.CrossEntropyLoss(), batches) @ block.contiguous())


@pytest.mark.parametrize("name", MODELS)
def test_empirical_fisher(name):
    make, shape = MODELS[name]
    model = make().eval()
    batches = cut(dataset(*shape), N)
    op = tw.fisher(tw.Landscape(model, CROSS, batches), "empirical")
    block = op.space.randn(generator(1), 3)
    agree(op @ block, curvlinops("EFLinearOperator", model, nn.CrossEntropyLoss(), batches) @ block.contiguous())


def test_ggn_of_regression():
    """torch's mean over all entries, on both sides."""
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double())
    batches = [(randn(8, 4), randn(8, 2, seed=1))]
    op = tw.ggn(tw.Landscape(model, tw.objectives.mse(), batches))
    agree(
        op.dense(), curvlinops("GGNLinearOperator", model, nn.MSELoss(), batches) @ torch.eye(23, dtype=torch.float64)
    )


def test_monte_carlo_fishers_have_the_same_mean():
    """Neither draws as the other does; both means lie within their noise of the exact matrix."""
    model, batches = mlp(), cut(dataset(4), N)
    landscape = tw.Landscape(model, CROSS, batches)
    v = landscape.space.randn()
    exact = float(v @ (tw.fisher(landscape) @ v))
    ours = tw.fisher(landscape, "monte-carlo", draws=200)
    theirs = curvlinops("FisherMCLinearOperator", model, nn.CrossEntropyLoss(), batches, mc_samples=200)
    assert float(v @ (ours @ v)) == pytest.approx(exact, rel=0.03)
    assert float(v @ (theirs @ v)) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("make", [mlp, cnn, lambda: scrambled(Residual().double())])
def test_torch_func_hessian_of_the_linearised_model(make):
    """The Gauss–Newton matrix is the Hessian of the loss of the model's first-order expansion, by torch.func."""
    model = make().eval()
    shape = (1, 6, 6) if make is cnn else (4,)
    inputs, targets = randn(6, *shape), classes(6)
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def outputs(moved):
        return functional_call(model, {**dict(model.named_buffers()), **moved}, (inputs,))

    at, jacobian = outputs(parameters), torch.func.jacrev(outputs)(parameters)
    rows = torch.cat([part.flatten(start_dim=2) for part in jacobian.values()], dim=2)

    def loss(step):
        return nn.functional.cross_entropy(at + rows @ step, targets)

    expected = torch.func.hessian(loss)(torch.zeros(rows.shape[2], dtype=torch.float64))
    found = tw.ggn(tw.Landscape(model, CROSS, [(inputs, targets)])).dense()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_torch_func_hessian():
    """Where it is right: without norms by statistics of the layer itself."""
    model = mlp()
    inputs, targets = randn(6, 4), classes(6)
    names = dict(model.named_parameters())

    def loss(flat):
        parts = flat.split([p.numel() for p in names.values()])
        tensors = {name: part.view(p.shape) for (name, p), part in zip(names.items(), parts, strict=True)}
        return nn.functional.cross_entropy(functional_call(model, tensors, (inputs,)), targets)

    landscape = tw.Landscape(model, CROSS, [(inputs, targets)])
    for engine in ("double-backward", "forward-over-reverse"):
        found = tw.hessian(landscape, engine=engine).dense()
        torch.testing.assert_close(found, torch.func.hessian(loss)(landscape.theta), rtol=1e-10, atol=1e-12)

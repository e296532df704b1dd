"""Fashion-MNIST: subsets against all 60,000 images."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.measures.parts_of_data import operators, seeded, use_dense

pytestmark = pytest.mark.slow

CROSS = tw.objectives.cross_entropy()


@pytest.fixture(scope="module")
def trained(data_root) -> tuple[nn.Module, Tensor, Tensor]:
    """A network after two epochs, 784-32-10."""
    data = tw.data.fashion_mnist(data_root)
    inputs, targets = data.train_inputs.flatten(1), data.train_targets
    source = seeded(0)
    model = nn.Sequential(nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=source))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        for index in torch.randperm(len(inputs), generator=source).split(128):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[index]), targets[index]).backward()
            optimizer.step()
    return model, inputs, targets


class LastLayer:
    """The Hessian of the last layer in closed form: the mean of (diag p − ppᵀ) ⊗ φφᵀ, P = 330."""

    def __init__(self, model: nn.Sequential, inputs: Tensor) -> None:
        with torch.no_grad():
            hidden = model[1](model[0](inputs))
            self.p = model[2](hidden).double().softmax(dim=1)
        self.features = torch.cat([hidden.double(), torch.ones(len(hidden), 1).double()], dim=1)

    def hessian(self, index: Tensor) -> Tensor:
        p, features = self.p[index], self.features[index]
        rows = (p[:, :, None] * features[:, None, :]).flatten(1)
        weighted = (p.mT[:, None, :] * features.mT) @ features
        return (torch.block_diag(*weighted) - rows.mT @ rows) / len(index)

    def parts(self, samples: int, seed: int) -> Tensor:
        chosen = torch.randperm(len(self.p), generator=seeded(seed))[:samples]
        return torch.stack([self.hessian(index) for index in chosen.tensor_split(20)])


@pytest.fixture(scope="module")
def last_layer(trained) -> tuple[LastLayer, float, float]:
    """The layer, and λ₁ and the trace over all images."""
    model, inputs, _ = trained
    layer = LastLayer(model, inputs)
    whole = sum(layer.hessian(index) * (len(index) / len(inputs)) for index in torch.arange(len(inputs)).split(5000))
    return layer, float(torch.linalg.eigvalsh(whole)[-1]), float(whole.trace())


def test_the_closed_form_is_the_hessian(trained, last_layer):
    model, inputs, targets = trained
    landscape = tw.Landscape(model.double(), CROSS, [(inputs[:50].double(), targets[:50])], params="2.*")
    vector = landscape.space.randn()
    weight, bias = vector[:320].view(10, 32), vector[320:]
    product = last_layer[0].hessian(torch.arange(50)) @ torch.cat([weight, bias[:, None]], dim=1).flatten()
    expected = (tw.hessian(landscape) @ vector)[:320].view(10, 32)
    model.float()
    torch.testing.assert_close(product.view(10, 33)[:, :32], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [512, 2048])
def test_intervals_cover_all_images(monkeypatch, last_layer, samples):
    """400 subsets: λ₁ and the trace of all 60,000."""
    use_dense(monkeypatch)
    layer, largest, trace = last_layer
    hits, traces = [], []
    for seed in range(400):
        found = tw.cross_fitted(operators(layer.parts(samples, seed)), probes=4, generator=seeded(seed))
        low, high = found.interval()[0].tolist()
        hits.append(low <= largest <= high)
        low, high = found.trace_interval()
        traces.append(low <= trace <= high)
    assert 0.90 <= np.mean(hits) <= 0.99, np.mean(hits)
    assert 0.90 <= np.mean(traces) <= 0.99, np.mean(traces)


def test_intervals_of_the_whole_network_cover(trained):
    """25,450 parameters, 40 subsets of 512 images: more than 6 misses would come once in a hundred times."""
    model, inputs, targets = trained
    everything = tw.Landscape(model, CROSS, [(inputs, targets)], microbatch=10_000, check=False)
    truth = float(tw.eigenpairs(tw.hessian(everything), 1, tol=1e-3).values[0])
    hits, excess = [], []
    for seed in range(40):
        chosen = torch.randperm(len(inputs), generator=seeded(seed))[:512]
        landscape = tw.Landscape(model, CROSS, [(inputs[chosen], targets[chosen])], check=False)
        found = tw.data_errors(landscape, tol=1e-2, probes=2, generator=seeded(seed))
        low, high = found.interval()[0].tolist()
        hits.append(low <= truth <= high)
        excess.append(float(found.values[0]) / truth)
    assert sum(hits) >= 34, sum(hits)
    # What the interval is for: the samples' own maximum is far too large.
    assert np.mean(excess) > 1.2


def test_advice_that_is_followed_delivers(monkeypatch, last_layer):
    """Ten pilots of 1,024 images: subsets of the advised size have the error that was asked for, within a third."""
    use_dense(monkeypatch)
    layer, largest, _ = last_layer
    pilots = [operators(layer.parts(1024, seed)) for seed in range(10)]
    advice = [tw.size_advice(each, 0.05, 1024, quantity="eigenvalue", probes=2, available=60_000) for each in pilots]
    size = round(float(np.median([each.size for each in advice])))
    draws = [torch.randperm(60_000, generator=seeded(1000 + seed))[:size] for seed in range(100)]
    errors = [float(torch.linalg.eigvalsh(layer.hessian(chosen))[-1]) / largest - 1 for chosen in draws]
    assert 0.67 * 0.05 < float(np.sqrt(np.mean(np.square(errors)))) < 1.33 * 0.05
    assert all(each.reachable for each in advice)

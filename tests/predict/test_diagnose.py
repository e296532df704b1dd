"""Predictions against runs that hold or break them, closed forms, and networks that are broken on purpose."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.formula import formula
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.predict import diagnose
from thalweg.predict._stability import edge, largest_rate, noise_floor, small_batch_rate

DOUBLE = torch.float64


def line(inputs: torch.Tensor, targets: torch.Tensor | None = None, start: list[float] | None = None) -> tw.Landscape:
    """Linear regression without a bias: the Hessian is XᵀX/N."""
    model = nn.Linear(inputs.shape[1], 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([start or [1.0] * inputs.shape[1]], dtype=DOUBLE))
    wanted = torch.zeros(len(inputs), 1, dtype=DOUBLE) if targets is None else targets
    return tw.Landscape(model, tw.objectives.squared_error(), [(inputs, wanted)])


def regression() -> tw.Landscape:
    return line(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=DOUBLE))


def classifier(*layers: nn.Module, seed: int = 0, items: int = 64) -> tw.Landscape:
    source = torch.Generator().manual_seed(seed)
    inputs = torch.randn(items, 6, generator=source)
    return tw.Landscape(
        nn.Sequential(*layers), tw.objectives.cross_entropy(), [(inputs, torch.randint(3, (items,), generator=source))]
    )


def linear(before: int, after: int, scale: float = 1.0, seed: int = 0) -> nn.Linear:
    """Weights of variance scale²/fan-in."""
    layer = nn.Linear(before, after)
    with torch.no_grad():
        layer.weight.copy_(
            scale / before**0.5 * torch.randn(after, before, generator=torch.Generator().manual_seed(seed))
        )
        layer.bias.zero_()
    return layer


# ------------------------------------------------------------------ stability


def test_the_edges_of_stability():
    assert edge("heavy ball", 0.9) / 0.1 == pytest.approx(38)
    assert edge("nesterov", 0.9) / 0.1 == pytest.approx(13.5714285714)
    assert edge("adam", 0.9) / 1e-3 == pytest.approx(38000)
    assert edge("gradient descent", 0.0) == 2
    assert largest_rate("heavy ball", 0.0, 4.0) == largest_rate("nesterov", 0.0, 4.0) == 0.5
    assert largest_rate("gradient descent", 0.0, 0.0) is None


def final(landscape: tw.Landscape, lr: float, momentum: float, nesterov: bool, steps: int) -> float:
    """The largest weight after training with PyTorch's own optimizer."""
    model = nn.Linear(2, 1, bias=False).double()
    model.load_state_dict(landscape.model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, nesterov=nesterov)
    inputs, targets = landscape.data[0]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (model(inputs) - targets).square().mean()).backward()
        optimizer.step()
    return float(model.weight.detach().abs().max())


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, False), (0.9, True)])
def test_training_diverges_just_above_the_limit_and_not_below(momentum, nesterov):
    landscape = regression()
    found = diagnose(landscape, 0.01, momentum=momentum, nesterov=nesterov)
    factor = 2 if not momentum else 2 * (1 + momentum) / (1 + 2 * momentum if nesterov else 1)
    assert found.limit == pytest.approx(factor / 30.2451649709114, rel=1e-9)
    assert found.ratio == pytest.approx(0.01 / found.limit)
    assert final(landscape, 0.99 * found.limit, momentum, nesterov, 800) < 2
    assert final(landscape, 1.01 * found.limit, momentum, nesterov, 800) > 10


def test_adam_diverges_just_above_its_limit_and_not_below():
    """With its preconditioner held at the first gradient, as the prediction has it."""
    landscape = regression()
    found = diagnose(landscape, 1e-3, optimizer="adam")
    inputs, _ = landscape.data[0]
    hessian = inputs.T @ inputs / 3
    start = torch.ones(2, dtype=DOUBLE)
    root = (hessian @ start).abs() + 1e-8
    sharpness = float(torch.linalg.eigvals(hessian / root[:, None]).real.max())
    assert found.sharpness.value == pytest.approx(sharpness, rel=1e-9)
    assert found.limit == pytest.approx(38 / sharpness, rel=1e-9)
    assert found.stable_rates["adam"] == found.limit
    for factor, diverges in ((0.99, False), (1.01, True)):
        theta, mean = start.clone(), torch.zeros(2, dtype=DOUBLE)
        for _ in range(2000):
            mean = 0.9 * mean + 0.1 * (hessian @ theta)
            theta = theta - factor * found.limit * mean / root
        assert (float(theta.abs().max()) > 10) == diverges


def test_adams_preconditioner_has_the_noise_of_the_batch():
    """E g_B² = g² + Σ_ii/B·(N − B)/(N − 1), on a golden network whose items are enumerated."""
    landscape = g1()
    found = diagnose(landscape, 1e-3, optimizer="adam", batch_size=2)
    gradient = landscape.gradient()
    covariance = tw.gradient_covariance(landscape).dense()
    root = (gradient.square() + covariance.diagonal() / 2 * (4 - 2) / (4 - 1)).sqrt() + 1e-8
    hessian = tw.hessian(landscape).dense()
    sharpness = float(torch.linalg.eigvals(hessian / root[:, None]).real.max())
    assert found.sharpness.value == pytest.approx(sharpness, rel=1e-8)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_scale_of_the_loss(optimizer):
    """Inputs twice as large make the Hessian and the gradient four times as large: SGD's limit falls, Adam's stays."""
    inputs = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    one, other = (
        diagnose(line(scale * inputs), 1e-3, optimizer=optimizer, batch_size=5, epsilon=1e-14) for scale in (1, 2)
    )
    assert one.limit / other.limit == pytest.approx(4 if optimizer == "sgd" else 1, rel=1e-6)
    assert other.critical_batch.value == pytest.approx(one.critical_batch.value)


@pytest.mark.parametrize(("momentum", "beta"), [(None, 0.9), (0.5, 0.5), (0.0, 0.0)])
def test_one_call_has_the_rates_of_all_optimizers(momentum, beta):
    for optimizer in ("sgd", "adam"):
        found = diagnose(g1(), 1e-3, batch_size=2, optimizer=optimizer, momentum=momentum)
        sharpness = found.stable_rates["gradient descent"] / 2
        assert sharpness == pytest.approx(1 / 2.69247713777789)
        assert found.compared_at == beta
        assert found.stable_rates["heavy ball"] == pytest.approx(2 * (1 + beta) * sharpness)
        assert found.stable_rates["nesterov"] == pytest.approx(2 * (1 + beta) / (1 + 2 * beta) * sharpness)
        adam = diagnose(g1(), 1e-3, batch_size=2, optimizer="adam", momentum=beta).limit
        assert found.stable_rates["adam"] == pytest.approx(adam, rel=1e-6)
        for words in (f"heavy ball (β = {beta:g}): ", f"nesterov (β = {beta:g}): ", f"adam (β₁ = {beta:g}): "):
            assert words in str(found)


def test_without_items_adams_rate_is_a_lower_bound_and_says_so():
    """Batches of several lengths cannot be joined: P has the gradient of all data alone, and is too small."""
    source = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(2), nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    data = [(torch.randn(4, n, 2, generator=source, dtype=DOUBLE), torch.ones(4, n, 1, dtype=DOUBLE)) for n in (2, 3)]
    landscape = tw.Landscape(model, tw.objectives.mse(), data)
    whole, found = diagnose(landscape, 0.1), diagnose(landscape, 0.1, batch_size=2)
    assert "stable_rates" not in whole.unknown
    assert found.unknown["stable_rates"].startswith("Adam's rate is a lower bound")
    assert found.stable_rates["adam"] == pytest.approx(whole.stable_rates["adam"], rel=1e-3)


def test_above_the_limit_is_found():
    found = diagnose(regression(), 0.2)
    first = found.findings[0]
    assert (first.severity, first.subject) == ("severe", "learning rate")
    assert first.value == pytest.approx(0.2 * 30.2451649709114 / 2)
    assert "times the largest stable one" in first.message


def test_far_below_the_limit_is_noted():
    found = diagnose(regression(), 1e-5)
    assert [(finding.severity, finding.subject) for finding in found.findings] == [("note", "learning rate")]


def test_small_batches_are_stable_only_further_down():
    """Items of curvature 1 and 3: one at a time, E(1 − ηa)² = 1 at η = 0.8; together 1.0."""
    landscape = line(torch.tensor([[1.0], [3.0**0.5]], dtype=DOUBLE))
    found = diagnose(landscape, 0.9, batch_size=1)
    assert found.limit == pytest.approx(1.0)
    assert found.small_batch_rate.value == pytest.approx(0.8)
    assert found.small_batch_rate.standard_error == 0
    finding = found.findings[0]
    assert (finding.severity, finding.subject) == ("warning", "learning rate")
    assert "not with these batches" in finding.message
    assert diagnose(landscape, 0.9).small_batch_rate is None


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_the_small_batch_rate_by_enumeration(batch):
    """One parameter, every batch of that size: the mean of (1 − ηh_B)² is 1."""
    source = torch.Generator().manual_seed(3)
    curvatures = torch.rand(8, generator=source, dtype=DOUBLE) + 0.1
    found = diagnose(line(curvatures.sqrt()[:, None]), 0.1, batch_size=batch)
    sums = curvatures[torch.combinations(torch.arange(8), batch)].mean(dim=1)
    assert float((1 - found.small_batch_rate.value * sums).square().mean()) == pytest.approx(1)


def test_the_spread_of_many_items_comes_from_parts():
    source = torch.Generator().manual_seed(3)
    curvatures = torch.rand(500, generator=source, dtype=DOUBLE) + 0.1
    found = diagnose(line(curvatures.sqrt()[:, None]), 0.1, batch_size=1).small_batch_rate
    mean, spread = float(curvatures.mean()), float(curvatures.var(correction=0))
    exact = small_batch_rate(mean, Estimate(spread, 0.0), 1, 500)
    assert found.standard_error > 0
    assert abs(found.value - exact.value) < 4 * found.standard_error


class Tagger(nn.Module):
    """Logits (N, C, T) of tokens (N, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5)
        with torch.no_grad():
            for index, parameter in enumerate(self.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.embedding(tokens))).transpose(1, 2)


def masked_text() -> tw.Landscape:
    """Six items, one of them all masked and one in part."""
    source = torch.Generator().manual_seed(0)
    tokens, targets = (torch.randint(5, (6, 4), generator=source) for _ in range(2))
    targets[2], targets[4, :2] = -100, -100
    return tw.Landscape(Tagger(), tw.objectives.cross_entropy(), [(tokens, targets)], dtype=DOUBLE)


def test_items_that_are_masked_have_no_curvature():
    landscape = masked_text()
    found = diagnose(landscape, 0.1, batch_size=2)
    hessian = tw.hessian(landscape).dense()
    values, vectors = torch.linalg.eigh(hessian)
    tokens, targets = landscape.data[0]
    spread = -(float(values[-1]) ** 2)
    for item in (0, 1, 3, 4, 5):
        single = landscape.on([(tokens[item : item + 1], targets[item : item + 1])])
        product = tw.hessian(single).dense() @ vectors[:, -1] * (6 * single.weight / landscape.weight)
        spread += float(product.square().sum()) / 6
    exact = small_batch_rate(float(values[-1]), Estimate(spread, 0.0), 2, 6)
    assert found.small_batch_rate.value == pytest.approx(exact.value, rel=1e-5)
    assert found.small_batch_rate.standard_error == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("optimizer", "momentum"), [("sgd", None), ("sgd", 0.9), ("adam", None)])
def test_half_precision_with_small_batches(dtype, optimizer, momentum):
    landscape = classifier(linear(6, 8), nn.Tanh(), linear(8, 3), items=48)
    model = nn.Sequential(linear(6, 8), nn.Tanh(), linear(8, 3))
    half = tw.Landscape(model, tw.objectives.cross_entropy(), landscape.data, dtype=dtype)
    arguments = {"batch_size": 4, "optimizer": optimizer, "momentum": momentum, "tol": 0.02, "epsilon": 1e-4}
    with unchecked():
        found, exact = (diagnose(each, 0.1, **arguments) for each in (half, landscape))
    for name, rate in exact.stable_rates.items():
        assert found.stable_rates[name] == pytest.approx(rate, rel=0.1)
    if optimizer == "sgd" and momentum is None:
        assert found.small_batch_rate.value == pytest.approx(exact.small_batch_rate.value, rel=0.1)


# ------------------------------------------------------------------ noise


@pytest.mark.parametrize(
    ("lr", "momentum", "curvature", "noise", "variance"),
    [(0.1, 0.0, 2.0, 0.75, 0.0208333333333333), (0.5, 0.0, 3.0, 1.0, 1 / 3), (0.1, 0.9, 2.0, 0.75, 0.197916666666667)],
)
def test_the_floor_in_one_dimension(lr, momentum, curvature, noise, variance):
    low, high = noise_floor(lr, momentum, noise, [(curvature, noise)], curvature)
    assert low == high == pytest.approx(0.5 * curvature * variance)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_the_floor_solves_the_discrete_lyapunov_equation(momentum):
    """H and Σ that do not commute; known in full the floor is exact, known in part it is enclosed."""
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.standard_normal((4, 4)))[0]
    values, lr = np.array([4.0, 2.0, 1.0, 0.3]), 0.2
    hessian = basis @ np.diag(values) @ basis.T
    root = random.standard_normal((4, 4))
    noise = root @ root.T
    step = np.block([[(1 + momentum) * np.eye(4) - lr * hessian, -momentum * np.eye(4)], [np.eye(4), np.zeros((4, 4))]])
    forcing = np.zeros((8, 8))
    forcing[:4, :4] = lr**2 * noise
    covariance = scipy.linalg.solve_discrete_lyapunov(step, forcing)[:4, :4]
    exact = 0.5 * np.trace(hessian @ covariance)
    known = [(value, float(u @ noise @ u)) for value, u in zip(values, basis.T, strict=True)]
    low, high = noise_floor(lr, momentum, float(np.trace(noise)), known, 0.3)
    assert low == pytest.approx(exact, rel=1e-9)
    assert high == pytest.approx(exact, rel=1e-9)
    low, high = noise_floor(lr, momentum, float(np.trace(noise)), known[:2], 2.0)
    assert low < exact < high


def test_golden_numbers():
    found = diagnose(g1(), 0.1, batch_size=1)
    norm, trace = 0.2740314130480007, 1.29064319046283
    assert found.noise_trace.value == pytest.approx(trace)
    assert found.noise_trace.standard_error == 0
    assert found.critical_batch.value == pytest.approx(trace / norm**2)
    step = -0.1 * norm**2 + 0.005 * (0.0372598617618 + 2.84849554297161)
    assert found.first_step.value == pytest.approx(step, rel=1e-9)
    assert found.sharpness.value == pytest.approx(2.69247713777789)
    assert found.steps_at_this_pace is None  # it rises
    whole = diagnose(g1(), 0.1)
    assert whole.steps_at_this_pace == pytest.approx(0.195783175766876 / -whole.first_step.value)
    assert whole.first_step.value == pytest.approx(-0.1 * norm**2 + 0.005 * 0.0372598617618, rel=1e-9)
    assert whole.noise_floor == (0.0, 0.0)
    assert diagnose(g2(), 0.1).noise_trace.value == pytest.approx(1.94398813599978)


def test_many_items_are_seen_in_batches():
    landscape = classifier(linear(6, 8), nn.Tanh(), linear(8, 3), items=600)
    found = diagnose(landscape, 0.1, batch_size=4)
    exact = float(tw.gradient_gram(landscape).trace())
    assert found.noise_trace.value == pytest.approx(exact, rel=1e-4)
    assert found.noise_trace.standard_error == 0
    assert found.noise_trace.data_error > 0
    assert found.critical_batch == tw.gradient_noise(landscape).scale
    covariance = tw.gradient_covariance(landscape).dense()
    hessian = tw.hessian(landscape).dense()
    gradient = landscape.gradient()
    share = (600 - 4) / (4 * 599)
    form = float(gradient @ hessian @ gradient) + share * float((hessian @ covariance).trace())
    step = -0.1 * float(gradient.square().sum()) + 0.005 * form
    assert abs(found.first_step.value - step) < 4 * found.first_step.standard_error


def test_noise_that_holds_the_loss_up_is_found():
    """Targets of noise alone, near the best fit: single items at a large rate keep the loss far above it."""
    source = torch.Generator().manual_seed(1)
    inputs, targets = (torch.randn(200, 4, generator=source, dtype=DOUBLE) for _ in range(2))
    targets = targets[:, :1]
    best = torch.linalg.lstsq(inputs, targets).solution[:, 0].tolist()
    landscape = line(inputs, targets, best)
    found = diagnose(landscape, 0.6, batch_size=1)
    assert "noise" in [finding.subject for finding in found.findings]
    assert found.first_step.value > 0
    assert found.critical_batch.value > 1e6


def test_batches_beyond_the_critical_size_are_noted():
    """Items that all say nearly the same."""
    inputs = 1 + 0.05 * torch.randn(100, 1, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    found = diagnose(line(inputs), 0.5)
    assert [(finding.severity, finding.subject) for finding in found.findings] == [("note", "batch size")]
    assert diagnose(line(inputs), 0.5, batch_size=5).findings == ()


def test_a_gradient_of_zero():
    found = diagnose(line(torch.eye(2, dtype=DOUBLE), start=[0.0, 0.0]), 0.1)
    assert found.critical_batch is None
    assert found.unknown["critical_batch"] == "the gradient is zero"
    assert (found.findings[0].severity, found.findings[0].subject) == ("note", "gradient")


def test_without_positive_curvature_there_is_no_limit():
    found = diagnose(formula(lambda t: -0.5 * (t @ t), [1.0, 2.0]), 0.1)
    assert found.limit is None
    assert found.ratio is None
    assert set(found.stable_rates.values()) == {None}
    assert found.noise_trace is None
    assert "black box" in found.unknown["noise_floor"]
    assert found.noise_floor is None
    assert [finding.severity for finding in found.findings] == ["note"]
    assert "none, no curvature is positive" in str(found)


# ------------------------------------------------------------------ layers


def test_a_clean_network_gives_no_findings():
    landscape = classifier(
        linear(6, 16, 2**0.5), nn.ReLU(), linear(16, 16, 2**0.5, 1), nn.ReLU(), linear(16, 3, 1.0, 2)
    )
    with unchecked(), unchanged(landscape.model):
        found = diagnose(landscape, 0.1, batch_size=16)
    assert found.findings == ()
    assert [layer.name for layer in found.layers] == ["0", "1", "2", "3", "4"]
    assert "findings: none" in str(found)


def test_the_numbers_of_layers_against_direct_ones():
    model = nn.Sequential(linear(6, 8), nn.Tanh(), linear(8, 3))
    landscape = classifier(*model)
    layers = diagnose(landscape, 0.1).layers
    inputs, targets = landscape.data[0]
    functional.cross_entropy(model(inputs), targets).backward()
    hidden, outputs = model[0](inputs).detach(), model(inputs).detach()
    for layer, values in zip(layers, (hidden, torch.tanh(hidden), outputs), strict=True):
        assert layer.activation_rms == pytest.approx(float(values.square().mean().sqrt()), rel=1e-5)
    first = torch.cat([model[0].weight.grad.flatten(), model[0].bias.grad])
    assert layers[0].gradient_rms == pytest.approx(float(first.square().mean().sqrt()), rel=1e-4)
    assert layers[1].gradient_rms is None
    assert layers[1].saturated == pytest.approx(float((torch.tanh(hidden).abs() > 0.99).float().mean()))


def test_dead_units_are_found():
    first = linear(6, 16, 2**0.5)
    with torch.no_grad():
        first.bias[:8] = -100
    found = diagnose(classifier(first, nn.ReLU(), linear(16, 3)), 0.1)
    assert found.layers[1].dead == 0.5
    assert [(finding.severity, finding.subject) for finding in found.findings] == [("warning", "1")]


def test_a_dead_layer_is_found_and_what_lies_before_it():
    first = linear(6, 16)
    with torch.no_grad():
        first.bias.fill_(-100)
    found = diagnose(classifier(first, nn.ReLU(), linear(16, 3)), 0.1)
    severe = {finding.subject: finding for finding in found.findings if finding.severity == "severe"}
    assert "units of 1 are zero for every item" in severe["1"].message
    assert "gets no gradient at all" in severe["0"].message


class Convolutional(nn.Module):
    """Activations that are called as functions, one of them twice, and a channel that is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)
        with torch.no_grad():
            for index, parameter in enumerate(self.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))
            self.first.bias[1] = -1000.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.first(x))
        return self.head(functional.relu(self.second(x)).mean(dim=(2, 3)))


def test_functions_and_channels():
    source = torch.Generator().manual_seed(0)
    batches = [(torch.randn(10, 1, 6, 6, generator=source), torch.randint(3, (10,), generator=source))] * 2
    model = Convolutional()
    with unchecked(), unchanged(model):
        layers = diagnose(tw.Landscape(model, tw.objectives.cross_entropy(), batches), 1e-3).layers
    assert [layer.name for layer in layers] == ["first", "relu", "second", "relu #2", "head"]
    assert layers[1].dead == 0.25
    assert [layer.kind for layer in layers] == ["Conv2d", "relu", "Conv2d", "relu", "Linear"]


class Sequences(nn.Module):
    """Channels (N, C, T) of a convolution, and features (N, T, F) of a linear layer, a quarter of each dead."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.head = (nn.Linear(3, 8) if kind == "features" else nn.Conv1d(3, 8, 1)), nn.Linear(8, 3)
        with torch.no_grad():
            for index, parameter in enumerate(self.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))
            self.first.bias.fill_(3.0)
            self.first.bias[:2] = -1000.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "features":
            return self.head(functional.relu(self.first(x.transpose(1, 2))).mean(dim=1))
        x = self.first(x)
        if self.kind == "transposed":
            return self.head(functional.relu(x.transpose(1, 2)).mean(dim=1))
        if self.kind == "sum":
            x = x + 1
        return self.head(functional.relu(input=x).mean(dim=2))


@pytest.mark.parametrize(
    ("kind", "steps"),
    # With as many steps as channels nothing tells that the axes were swapped after the convolution.
    [(kind, steps) for kind in ("channels", "sum", "features", "transposed") for steps in (5, 8)][:-1],
)
def test_units_are_where_the_layer_before_has_them(kind, steps):
    source = torch.Generator().manual_seed(0)
    data = [(torch.randn(10, 3, steps, generator=source), torch.randint(3, (10,), generator=source))]
    layers = diagnose(tw.Landscape(Sequences(kind), tw.objectives.cross_entropy(), data), 1e-3).layers
    assert layers[1].dead == 0.25


def test_a_unit_that_lives_in_one_batch_is_alive():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    batches = [(torch.tensor([[1.0, -1.0]]), torch.zeros(1, 1)), (torch.tensor([[-1.0, -1.0]]), torch.zeros(1, 1))]
    layers = diagnose(tw.Landscape(model, tw.objectives.squared_error(), batches), 0.1).layers
    assert layers[1].dead == 0.5


def test_exploding_depth_is_found():
    body = [module for seed in range(8) for module in (linear(6, 6, 8.0, seed), nn.ReLU())]
    found = diagnose(classifier(*body, linear(6, 3, 1.0, 9)), 1e-9)
    assert found.activation_ratio > 1e2
    assert any("activations" in finding.message and finding.value > 1e3 for finding in found.findings)


def test_vanishing_gradients_are_found():
    body = [module for seed in range(8) for module in (linear(6, 6, 1.0, seed), nn.Sigmoid())]
    found = diagnose(classifier(*body, linear(6, 3, 1.0, 9)), 0.1)
    assert found.gradient_ratio < 1e-3
    assert any("gradients" in finding.message and finding.value > 1e3 for finding in found.findings)


def test_saturation_is_found():
    found = diagnose(classifier(linear(6, 16, 100.0), nn.Tanh(), linear(16, 3)), 1e-3)
    saturated = found.layers[1].saturated
    assert saturated > 0.9
    finding = next(finding for finding in found.findings if finding.subject == "1")
    assert (finding.severity, finding.value) == ("severe", saturated)


def test_hooks_leave_when_the_model_fails_on_the_way():
    landscape = classifier(linear(6, 4), nn.ReLU(), linear(4, 3))
    landscape.model[2].forward = lambda x: 1 / 0
    with unchecked(), unchanged(landscape.model), pytest.raises(ZeroDivisionError):
        tw.predict._layers.layer_health(landscape, landscape.theta)


# ------------------------------------------------------------------ the rest


def test_the_uncertainty_that_data_leave():
    landscape = classifier(linear(6, 8), nn.Tanh(), linear(8, 3), items=60)
    found = diagnose(landscape, 0.1, data=True)
    low, high = found.data.interval()[0].tolist()
    assert low < high
    assert "sharpness on all data: between" in str(found)
    assert found.cost.matvecs > diagnose(landscape, 0.1).cost.matvecs


@pytest.mark.parametrize(("items", "parts"), [(2, 2), (3, 3), (7, 5), (19, 15)])
def test_few_items_are_cut_into_fewer_parts(items, parts):
    source = torch.Generator().manual_seed(0)
    landscape = line(torch.randn(items, 2, generator=source, dtype=DOUBLE))
    found = diagnose(landscape, 0.01, data=True)
    low, high = found.data.interval()[0].tolist()
    assert low <= high
    direct = tw.data_errors(landscape, folds=min(5, items), parts=parts)
    assert (found.data.folds, found.data.parts) == (direct.folds, direct.parts) == (min(5, items), parts)


def test_what_keeps_the_data_from_being_cut_is_said():
    reasons = {
        "one item alone": diagnose(line(torch.ones(1, 1, dtype=DOUBLE)), 0.01, data=True),
        "all are masked": diagnose(masked_text(), 0.01, data=True),
        "black box": diagnose(formula(lambda t: 0.5 * (t @ t), [1.0, 2.0]), 0.1, data=True),
    }
    for reason, found in reasons.items():
        assert found.data is None
        assert reason in found.unknown["data"]
        assert "sharpness on all data: unknown" in str(found)


def test_the_same_generator_gives_the_same_diagnosis():
    landscape = classifier(linear(6, 4), nn.Tanh(), linear(4, 3), items=260)
    one, other = (diagnose(landscape, 0.1, batch_size=4) for _ in range(2))
    assert one.first_step == other.first_step
    # Nothing is drawn for it, but items go together or one by one as the clock says.
    assert one.noise_trace.value == other.noise_trace.value
    assert one.small_batch_rate.value == other.small_batch_rate.value


def test_train_mode():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    data = [(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 1))]
    with pytest.raises(ArgumentError, match="got batch norm in train mode, where no item has a gradient"):
        diagnose(tw.Landscape(model, tw.objectives.mse(), data, mode="train"), 0.1)
    plain = tw.Landscape(nn.Linear(2, 1), tw.objectives.mse(), data, mode="train")
    found = diagnose(plain, 0.1)
    assert found.noise_trace is None
    assert "train mode" in found.unknown["noise_trace"]


def test_bad_input():
    landscape = regression()
    with unchecked():
        for lr in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(ArgumentError, match="lr: expected a positive finite number"):
                diagnose(landscape, lr)
        for momentum in (-0.1, 1.0):
            with pytest.raises(ArgumentError, match="momentum: expected a number from 0 to below 1"):
                diagnose(landscape, 0.1, momentum=momentum)
        for batch in (0, 4):
            with pytest.raises(ArgumentError, match=f"from 1 to the 3 data items, got {batch}"):
                diagnose(landscape, 0.1, batch_size=batch)
        with pytest.raises(ArgumentError, match="batch_size: expected a whole number"):
            diagnose(landscape, 0.1, batch_size=1.5)
        with pytest.raises(ArgumentError, match="optimizer: expected 'sgd' or 'adam', got 'lion'"):
            diagnose(landscape, 0.1, optimizer="lion")
        with pytest.raises(ArgumentError, match="nesterov: expected False"):
            diagnose(landscape, 0.1, nesterov=True)
        with pytest.raises(ArgumentError, match="epsilon: expected a positive"):
            diagnose(landscape, 0.1, optimizer="adam", epsilon=0.0)
        for name in ("lr", "momentum", "epsilon"):
            for value, kind in (("a", "str"), (torch.tensor(0.1), "Tensor"), (True, "bool"), (1j, "complex")):
                with pytest.raises(ArgumentError, match=f"{name}: expected a real number, got {kind}"):
                    diagnose(landscape, **{"lr": 0.1, name: value})
        with pytest.raises(ArgumentError, match="nesterov: expected True or False, got str"):
            diagnose(landscape, 0.1, momentum=0.5, nesterov="no")
        with pytest.raises(ArgumentError, match="landscape: expected a Landscape"):
            diagnose(nn.Linear(1, 1), 0.1)


def test_numbers_of_numpy_are_numbers():
    with unchecked():
        found = diagnose(regression(), np.float32(0.125), momentum=np.float64(0.5))
    assert type(found.lr) is type(found.momentum) is type(found.compared_at) is float
    assert found.ratio == diagnose(regression(), 0.125, momentum=0.5).ratio


def test_the_page():
    page = str(diagnose(regression(), 0.2, momentum=0.5, batch_size=2))
    for words in (
        "learning rate 0.2",
        "momentum 0.5",
        "batches of 2 of 3",
        "heavy ball (β = 0.5): 0.0992",
        "findings: 2",
    ):
        assert words in page
    assert "above it by a factor of 2.02" in page


def silent(*sizes: int) -> tw.Landscape:
    """A linear network of zeros, whose targets are no function of the inputs."""
    layers = [nn.Linear(before, after, bias=False).double() for before, after in itertools.pairwise(sizes)]
    for layer in layers:
        nn.init.zeros_(layer.weight)
    inputs = torch.tensor([[1.0], [-1.0], [2.0]], dtype=DOUBLE)
    return tw.Landscape(nn.Sequential(*layers), tw.objectives.squared_error(), [(inputs, torch.ones(3, 1).double())])


def test_a_gradient_of_zero_at_a_minimum_is_no_reason_to_worry():
    """One weight between ±1 and 1: a minimum of loss ½."""
    finding = diagnose(line(torch.tensor([[1.0], [-1.0]]).double(), torch.ones(2, 1).double(), [0.0]), 0.1).findings[0]
    assert (finding.severity, finding.subject) == ("note", "gradient")
    assert "a minimum, of loss 0.5" in finding.message


@pytest.mark.parametrize(("sizes", "words"), [((1, 1, 1), "saddle or maximum"), ((1, 1, 1, 1), "so is the curvature")])
def test_a_gradient_of_zero_elsewhere_is_severe(sizes, words):
    """At zero the loss of two layers has a saddle in their product, that of three nothing of second order."""
    finding = diagnose(silent(*sizes), 0.1).findings[0]
    assert (finding.severity, finding.subject) == ("severe", "gradient")
    assert words in finding.message


def test_a_gradient_of_zero_where_curvature_does_not_decide():
    """x² beside a direction that the loss does not see; with weights that are all zero it may be a dead network."""
    data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=DOUBLE), torch.ones(2, 1, dtype=DOUBLE)
    finding = diagnose(line(*data, [0.0, 1.0]), 0.1).findings[0]
    assert (finding.severity, finding.subject) == ("warning", "gradient")
    assert "tw.critical_point" in finding.advice
    finding = diagnose(line(*data, [0.0, 0.0]), 0.1).findings[0]
    assert finding.severity == "severe"
    assert "the weights of" in finding.message


def test_a_preconditioner_of_nothing_but_epsilon_is_told():
    still = line(torch.eye(2, dtype=DOUBLE), start=[0.0, 0.0])
    found = diagnose(still, 1e-9, optimizer="adam", epsilon=1e-4)
    assert "preconditioner" in [finding.subject for finding in found.findings]
    assert found.limit == pytest.approx(38 * 1e-4 / 0.5)
    for optimizer in ("sgd", "adam"):
        assert (
            diagnose(still, 1e-9, optimizer=optimizer).unknown["stable_rates"]
            == "Adam's rate is that of ε = 1e-08 alone"
        )
    moving = diagnose(regression(), 1e-3, optimizer="adam")
    assert "stable_rates" not in moving.unknown
    assert "preconditioner" not in [finding.subject for finding in moving.findings]

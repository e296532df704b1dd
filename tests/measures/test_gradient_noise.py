"""The noise of gradients: its trace from single items, the noise scales, and minibatches."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.golden import g1, g2
from tests.landscape import models
from tests.landscape.models import classes, randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError, NonFiniteError, ObjectiveError
from thalweg.measures import _item_gradients
from thalweg.measures._item_gradients import distances
from thalweg.progress import Silent

DOUBLE = torch.float64


# ------------------------------------------------------------------ known numbers


@pytest.mark.parametrize(("network", "trace"), [(g1, 1.29064319046283), (g2, 1.94398813599978)])
def test_golden_networks(network, trace):
    found = tw.gradient_noise(network())
    assert found.trace.value == pytest.approx(trace, rel=1e-10)
    assert found.trace.standard_error == 0
    assert found.samples == 4


def test_golden_spectrum_scales_and_curvature():
    landscape = g1()
    found = tw.gradient_noise(landscape, curvature=tw.hessian(landscape), top=3)
    assert found.top.values.tolist() == pytest.approx([1.002478793701, 0.2681655782890, 0.01999881847237], rel=1e-8)
    assert found.signal.value == pytest.approx(0.2740314130480007**2, rel=1e-10)
    assert found.scale.value == pytest.approx(1.29064319046283 / 0.2740314130480007**2, rel=1e-10)
    assert found.curvature_trace.value == pytest.approx(2.84849554297161, rel=1e-10)
    assert found.curvature_trace.standard_error == 0
    assert found.curvature_scale.value == pytest.approx(2.84849554297161 / 0.0372598617618, rel=1e-8)
    assert found.cost.matvecs >= 2 * 9 + 1


def test_uncentred_second_moment():
    """Tr of the uncentred Fisher matrix is tr Σ + ‖g‖²."""
    found = tw.gradient_noise(g1())
    assert found.trace.value + found.signal.value == pytest.approx(1.36573640579991, rel=1e-10)


# ------------------------------------------------------------------ against a naive twin


class Shared(nn.Module):
    """One linear layer twice, another whose weight is used outside it, and a bias that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.tied, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.head_too = nn.Linear(4, 3)
        self.head_too.bias = self.head.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.twice(torch.tanh(self.twice(x))))
        x = torch.tanh(self.tied(x) + x @ self.tied.weight)
        return self.head(x) * self.head_too(x)


class Sequence(nn.Module):
    """Linear layers on sequences: narrow, so that factors cost less, and wide, so that gradients do."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow, self.head = nn.Linear(4, 40), nn.Linear(40, 2), nn.Linear(2, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.narrow(torch.tanh(self.wide(x)))).mean(dim=1))


CE = tw.objectives.cross_entropy
CASES = {
    "mlp": (models.mlp, CE(), lambda n: (randn(n, 4), classes(n))),
    "relu": (lambda: models.mlp(nn.ReLU), CE(), lambda n: (randn(n, 4), classes(n))),
    "cnn with batch norm": (models.cnn, CE(), lambda n: (randn(n, 1, 6, 6), classes(n))),
    "layer norm": (lambda: models.scrambled(models.Residual().double()), CE(), lambda n: (randn(n, 4), classes(n))),
    "attention": (
        lambda: models.scrambled(models.Attention().double()),
        CE(),
        lambda n: (randn(n, 5, 4), classes(n)),
    ),
    "multi-head": (
        lambda: models.scrambled(models.MultiHead().double()),
        CE(),
        lambda n: (randn(n, 5, 4), classes(n)),
    ),
    "recurrent": (
        lambda: models.scrambled(models.Recurrent().double()),
        CE(),
        lambda n: (randn(n, 5, 4), classes(n)),
    ),
    "shared": (lambda: models.scrambled(Shared().double()), CE(), lambda n: (randn(n, 4), classes(n))),
    "sequence": (lambda: models.scrambled(Sequence().double()), CE(), lambda n: (randn(n, 7, 4), classes(n))),
    "regression": (models.mlp, tw.objectives.mse(), lambda n: (randn(n, 4), randn(n, 3, seed=9))),
    "class weights": (
        models.mlp,
        CE(weight=torch.tensor([1.0, 2.0, 0.5])),
        lambda n: (randn(n, 4), classes(n)),
    ),
    "tied language model": (models.tied, tw.objectives.causal_lm(), lambda n: models.tokens(n, 6)),
}
# What PyTorch's recurrent layers lack is a rule for vectorising: these go one by one.
ALONE = {"recurrent"}


def landscape_of(case: str, count: int = 12) -> tw.Landscape:
    model, objective, data = CASES[case]
    return tw.Landscape(model(), objective, [data(count)])


def rows_of(landscape: tw.Landscape) -> torch.Tensor:
    """Items' gradients by a loop over landscapes of one item each, scaled so that their mean is the gradient."""
    model, batch = landscape.model, next(iter(landscape.data))
    count = len(batch if isinstance(batch, torch.Tensor) else batch[0])
    rows = []
    for i in range(count):
        item = batch[i : i + 1] if isinstance(batch, torch.Tensor) else tuple(part[i : i + 1] for part in batch)
        one = tw.Landscape(model, landscape.objective, [item], check=False)
        rows.append(one.gradient() * one.weight * count / landscape.weight)
    return torch.stack(rows)


@pytest.mark.parametrize("way", ["items together", "item by item"])
@pytest.mark.parametrize("case", CASES)
def test_distances_of_every_item(case, way, monkeypatch):
    landscape = landscape_of(case)
    rows = rows_of(landscape)
    mean = rows.mean(dim=0)
    torch.testing.assert_close(landscape.gradient(), mean)

    def settled(self, batch):
        self.way = "item by item" if case in ALONE else way
        return batch, []

    monkeypatch.setattr(_item_gradients._Walk, "_tried", settled)
    found = distances(landscape, mean, "auto", Silent())
    assert found.way == ("item by item" if case in ALONE else way)
    torch.testing.assert_close(found.squares, (rows - mean).square().sum(dim=1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.along, (rows - mean) @ mean, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_the_trial_decides_and_the_trace_is_that_of_the_covariance(case):
    landscape = landscape_of(case)
    found = tw.gradient_noise(landscape)
    assert found.trace.value == pytest.approx(float(tw.gradient_covariance(landscape).dense().trace()), rel=1e-9)
    if case in ALONE:
        assert found.way == "item by item"


def test_batches_and_memory_do_not_matter():
    """Ragged batches of several shapes, and groups as small as memory asks for."""
    images, targets = randn(40, 4), classes(40)
    whole = tw.Landscape(models.mlp(), CE(), [(images, targets)])
    cut = whole.on([(images[a:b], targets[a:b]) for a, b in ((0, 13), (13, 16), (16, 17), (17, 40))])
    expected = tw.gradient_noise(whole)
    for landscape, memory in ((cut, "auto"), (whole, 5000), (whole, 8 * whole.size)):
        found = tw.gradient_noise(landscape, memory=memory)
        assert found.trace.value == pytest.approx(expected.trace.value, rel=1e-10)
        assert found.trace.data_error == pytest.approx(expected.trace.data_error, rel=1e-8)
        assert found.population_scale.value == pytest.approx(expected.population_scale.value, rel=1e-8)


def test_groups_keep_to_memory(monkeypatch):
    """Items that go together are as many as memory holds, whatever N is."""
    sizes = []
    plain = _item_gradients.item_gradients

    def noted(landscape, found, batch, rows):
        sizes.append(len(rows[0]))
        return plain(landscape, found, batch, rows)

    monkeypatch.setattr(_item_gradients, "item_gradients", noted)
    monkeypatch.setattr(_item_gradients.time, "perf_counter", iter(range(10**6)).__next__)
    landscape = tw.Landscape(models.mlp(), CE(), [(randn(1000, 4), classes(1000))])
    for memory in (40_000, 10**9):
        sizes.clear()
        found = distances(landscape, landscape.gradient(), memory, Silent())
        assert found.way == "items together"
        assert len(found.squares) == 1000
        most = max(sizes)
        assert most == 256 if memory == 10**9 else 2 <= most < 100


def test_gradients_that_are_nearly_the_same_go_one_by_one():
    """Inner products of factors lose the digits that differences have: the trial sees it."""
    inputs = 1 + 1e-7 * randn(50, 3)
    model = nn.Linear(3, 1, bias=False).double()
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.full((50, 1), 9.0, dtype=DOUBLE))])
    rows = (inputs @ model.weight.detach().T - 9) * inputs
    expected = float(rows.var(dim=0, correction=0).sum())
    found = tw.gradient_noise(landscape)
    assert found.way == "item by item"
    assert found.trace.value == pytest.approx(expected, rel=1e-5)


def test_part_of_the_parameters():
    landscape = tw.Landscape(models.mlp(), CE(), [(randn(12, 4), classes(12))], params="2.weight")
    expected = float(tw.gradient_covariance(landscape).dense().trace())
    assert tw.gradient_noise(landscape).trace.value == pytest.approx(expected, rel=1e-10)


def test_items_of_several_rows():
    """Two rows an item: they cannot be cut, and go through the graph of their batch."""
    import dataclasses

    objective = dataclasses.replace(CE(), sample_of=lambda batch: torch.arange(len(batch[1])) // 2)
    landscape = tw.Landscape(models.mlp(), objective, [(randn(12, 4), classes(12))])
    assert landscape.count == 6
    expected = float(tw.gradient_covariance(landscape).dense().trace())
    assert tw.gradient_noise(landscape).trace.value == pytest.approx(expected, rel=1e-10)


def test_nothing_is_changed():
    model = models.cnn()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    state = torch.get_rng_state()
    tw.gradient_noise(tw.Landscape(model, CE(), [(randn(20, 1, 6, 6), classes(20))]))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ------------------------------------------------------------------ errors and scales


def gaussian_gradients(count: int, seed: int, mean: float = 0.5, size: int = 5) -> tw.Landscape:
    """Items whose gradients are −y_i for normal y_i: a linear model at zero with inputs of ones."""
    targets = mean + torch.randn(count, size, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    model = nn.Linear(1, size, bias=False).double()
    nn.init.zeros_(model.weight)
    return tw.Landscape(
        model, tw.objectives.squared_error(), [(torch.ones(count, 1, dtype=DOUBLE), targets)], check=False
    )


def test_the_error_of_the_data_and_the_bias_of_the_signal():
    """100 samples of 40: tr Σ = 5, ‖g‖² = 1.25, B = 4; the scatter is what the results say it is."""
    found = [tw.gradient_noise(gaussian_gradients(40, seed)) for seed in range(100)]
    traces = np.array([each.trace.value for each in found])
    assert traces.std() == pytest.approx(np.mean([each.trace.data_error for each in found]), rel=0.25)
    assert abs(traces.mean() * 40 / 39 - 5) < 4 * traces.std() / math.sqrt(100)
    signals = np.array([each.signal.value for each in found])
    assert signals.std() == pytest.approx(np.mean([each.signal.data_error for each in found]), rel=0.25)
    assert abs(signals.mean() - (1.25 + 5 / 40)) < 4 * signals.std() / math.sqrt(100)
    unbiased = np.array([each.trace.value * 40 / 39 / each.population_scale.value for each in found])
    assert abs(unbiased.mean() - 1.25) < 4 * unbiased.std() / math.sqrt(100)
    scales = np.array([each.population_scale.value for each in found])
    errors = np.array([each.population_scale.data_error for each in found])
    assert scales.std() == pytest.approx(np.median(errors), rel=0.5)
    assert np.median(scales) == pytest.approx(4, rel=0.1)


def test_the_population_scale_is_the_estimate_from_two_batch_sizes():
    """|G|² = (N‖ḡ‖² − mean‖g_i‖²)/(N − 1), S = (mean‖g_i‖² − ‖ḡ‖²)/(1 − 1/N) (McCandlish et al., 2018, appendix A)."""
    landscape = landscape_of("mlp", 30)
    rows = rows_of(landscape)
    one, all_ = float(rows.square().sum(dim=1).mean()), float(rows.mean(dim=0).square().sum())
    expected = (one - all_) / (1 - 1 / 30) / ((30 * all_ - one) / 29)
    assert tw.gradient_noise(landscape).population_scale.value == pytest.approx(expected, rel=1e-10)


def test_a_vanishing_gradient_has_no_scale():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    targets = torch.tensor([[1.0], [-1.0]], dtype=DOUBLE)
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(torch.ones(2, 1, dtype=DOUBLE), targets)])
    found = tw.gradient_noise(landscape, curvature=tw.hessian(landscape))
    assert (found.scale, found.population_scale, found.curvature_scale) == (None, None, None)
    assert found.trace.value == 1
    assert found.curvature_trace.value == 1
    assert str(found) == "tr Σ 1, noise scale undefined: the gradient vanishes (2 items)"


def test_noise_that_hides_the_gradient_has_no_population_scale():
    found = tw.gradient_noise(gaussian_gradients(40, 0, mean=0.0))
    assert found.population_scale is None
    assert found.scale is not None


def test_estimates_of_the_curvature_scale_cover():
    """P = 163 from 24 products: errors in units of what is said have the spread that Student's law leaves."""
    generator = torch.Generator().manual_seed(3)
    model = models.scrambled(nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 3)).double())
    landscape = tw.Landscape(model, CE(), [(randn(60, 4), classes(60))])
    curvature = tw.hessian(landscape)
    truth = float((tw.gradient_covariance(landscape).dense() @ curvature.dense()).trace())
    gradient = landscape.gradient()
    along, scores = float(gradient @ (curvature @ gradient)), []
    for _ in range(10):
        found = tw.gradient_noise(landscape, curvature=curvature, products=24, generator=generator)
        scores.append((found.curvature_trace.value - truth) / found.curvature_trace.standard_error)
        assert found.curvature_scale.value == pytest.approx(found.curvature_trace.value / along)
    assert np.median(np.abs(scores)) < 1.6
    assert np.abs(scores).max() < 6


def test_the_result_is_small_without_vectors():
    found = tw.gradient_noise(g1(), top=2)
    assert found.without_vectors().top.vectors is None
    assert tw.gradient_noise(g1()).without_vectors().top is None
    assert str(found).startswith("tr Σ 1.29 ± 0.")


# ------------------------------------------------------------------ minibatches


def test_a_minibatch_by_enumeration():
    """The mean over all 6 pairs of {1, 2, 3, 4} has variance 5/12."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    targets = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=DOUBLE)
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(torch.ones(4, 1, dtype=DOUBLE), targets)])
    assert float(tw.minibatch_covariance(landscape, 2).dense()) == pytest.approx(0.416666666667)
    assert float(tw.minibatch_covariance(landscape, 2, replacement=True).dense()) == pytest.approx(0.625)
    assert tw.minibatch_factor(4, 4) == 0
    assert tw.minibatch_factor(4, 8, replacement=True) == 1 / 8


@given(st.integers(2, 50), st.data())
def test_factors_by_enumeration(count, data):
    """Var of the mean of B of N numbers drawn without replacement, from its two moments."""
    size = data.draw(st.integers(1, count))
    factor = tw.minibatch_factor(count, size)
    # Σ_ij cov(s_i, s_j) over draws: cov of different draws is −σ²/(N − 1).
    assert factor == pytest.approx((size - size * (size - 1) / (count - 1)) / size**2, abs=1e-15)
    assert 0 <= factor <= tw.minibatch_factor(count, size, replacement=True)


@pytest.mark.parametrize(
    ("samples", "size", "message"),
    [
        (1, 1, "samples: expected at least 2, since one item has no noise, got 1"),
        (4, 0, "batch_size: expected at least 1 and at most the 4 items.*got 0"),
        (4, 5, "batch_size: .*unless they are drawn with replacement, got 5"),
        (4, 2.0, "batch_size: expected a whole number, got 2.0"),
    ],
)
def test_bad_minibatches_are_named(samples, size, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.minibatch_factor(samples, size)


# ------------------------------------------------------------------ refusals


def test_train_mode_is_refused():
    landscape = tw.Landscape(models.cnn(), CE(), [(randn(6, 1, 6, 6), classes(6))], mode="train")
    for function in (tw.gradient_noise, tw.noise_models, lambda given: tw.minibatch_covariance(given, 2)):
        with pytest.raises(
            ArgumentError, match=r"expected one with mode='eval', got mode='train'.*no gradient of its own"
        ):
            function(landscape)


def test_a_single_item_is_refused():
    landscape = tw.Landscape(models.mlp(), CE(), [(randn(1, 4), classes(1))])
    for function in (tw.gradient_noise, tw.noise_models):
        with pytest.raises(ArgumentError, match=r"landscape: expected at least 2 data items.*got 1"):
            function(landscape)


def test_a_black_box_is_refused():
    box = tw.objectives.from_function(lambda model, batch: model(batch[0]).square().mean(), lambda batch: len(batch[0]))
    landscape = tw.Landscape(models.mlp(), box, [(randn(6, 4), classes(6))])
    with pytest.raises(ObjectiveError, match="is a black box"):
        tw.gradient_noise(landscape)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top": -1}, ArgumentError, "top: expected at least 0, got -1"),
        ({"top": 1.5}, ArgumentError, "top: expected a whole number, got 1.5"),
        ({"memory": -1}, ArgumentError, "memory: expected 'auto' or a number of bytes, got -1"),
        ({"memory": 10}, MemoryBudgetError, "memory: expected room for the gradient of one item, 72 bytes, got 10"),
        ({"curvature": "H"}, ArgumentError, "curvature: expected an operator, got str"),
        ({"generator": 1}, ArgumentError, "generator"),
        (
            {"curvature": tw.FunctionOperator(lambda v: v, 3, dtype=DOUBLE)},
            ArgumentError,
            "curvature: expected an operator on the space of landscape, 9 entries of .*, got 3 entries",
        ),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    if "generator" in options:
        options = {**options, "top": 2}
    with unchecked(), pytest.raises(error, match=message):
        tw.gradient_noise(g1(), **options)


def test_gradients_that_are_not_finite_are_named():
    """The loss is finite, the slope of a root at zero is not."""

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1, dtype=DOUBLE))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.w * x).abs().sqrt()

    data = [(torch.ones(3, 1, dtype=DOUBLE), torch.ones(3, 1, dtype=DOUBLE))]
    with pytest.raises(NonFiniteError):
        tw.gradient_noise(tw.Landscape(Root(), tw.objectives.squared_error(), data, check=False))


@pytest.mark.parametrize("low", [torch.float32, torch.bfloat16])
def test_lower_precision(low):
    """Sums are of single precision at least, whatever the parameters are."""
    data = [(randn(64, 4), classes(64))]
    expected = tw.gradient_noise(tw.Landscape(models.mlp(), CE(), data))
    landscape = tw.Landscape(models.mlp(), CE(), data, dtype=low)
    found = tw.gradient_noise(landscape, curvature=tw.ggn(landscape), products=60)
    tolerance = 1e-5 if low is torch.float32 else 0.03
    assert found.trace.value == pytest.approx(expected.trace.value, rel=tolerance)
    assert found.population_scale.value == pytest.approx(expected.population_scale.value, rel=3 * tolerance)
    exact = tw.alignment(*(make(tw.Landscape(models.mlp(), CE(), data)) for make in (tw.gradient_covariance, tw.ggn)))
    pair = tw.gradient_covariance(landscape), tw.ggn(landscape)
    assert tw.alignment(*pair).cosine.value == pytest.approx(exact.cosine.value, rel=tolerance)
    assert found.curvature_trace.value == pytest.approx(exact.inner.value, rel=3 * tolerance)


def test_gradient_checkpointing_goes_one_by_one():
    """Parts of the model that run again on the way back cannot be vectorised, and need not be."""

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = models.mlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False)

    data = [(randn(30, 4), classes(30))]
    found = tw.gradient_noise(tw.Landscape(Checkpointed(), CE(), data))
    expected = tw.gradient_noise(tw.Landscape(models.mlp(), CE(), data))
    assert found.trace.value == pytest.approx(expected.trace.value, rel=1e-10)


def test_a_shape_that_cannot_be_vectorised_comes_later(monkeypatch):
    """The trial saw other items: from the first that stop it on, all go one by one."""

    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = models.mlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[1] > 2 and float(x.abs().max()) < 0:
                return x
            return self.body(x.sum(dim=1))

    data = [(randn(40, 2, 4), classes(40)), (randn(30, 3, 4), classes(30)), (randn(8, 2, 4), classes(8))]
    landscape = tw.Landscape(Looking(), CE(), data)
    # A clock that counts its calls: groups are always faster.
    monkeypatch.setattr(_item_gradients.time, "perf_counter", iter(range(10**6)).__next__)
    together, plain = [], _item_gradients.item_gradients

    def noted(landscape, found, batch, rows):
        together.append(rows[0].shape)
        return plain(landscape, found, batch, rows)

    monkeypatch.setattr(_item_gradients, "item_gradients", noted)
    expected = float(tw.gradient_covariance(landscape).dense().trace())
    found = tw.gradient_noise(landscape)
    assert found.way == "item by item"
    assert found.trace.value == pytest.approx(expected, rel=1e-10)
    assert together == [(2, 2, 4), (40, 2, 4), (30, 3, 4)]


def test_the_way_can_be_named():
    """The clock chooses nothing then: the same bits in every run."""
    landscape = tw.Landscape(models.mlp(), CE(), [(randn(30, 4), classes(30))])
    together, alone = (tw.gradient_noise(landscape, way=way) for way in ("together", "one by one"))
    assert (together.way, alone.way) == ("items together", "item by item")
    assert together.trace.value == pytest.approx(alone.trace.value, rel=1e-12)
    assert tw.gradient_noise(landscape, way="together").trace.value == together.trace.value
    with (
        unchecked(),
        pytest.raises(ArgumentError, match="way: expected 'auto', 'together' or 'one by one', got 'fast'"),
    ):
        tw.gradient_noise(landscape, way="fast")

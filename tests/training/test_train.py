"""Oracles: steps done by hand, torch's own means, and what must not matter."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unchecked import unchecked
from thalweg.data import Dataset, digits, gaussian
from thalweg.errors import ArgumentError, DataError, NonFiniteError
from thalweg.models import mlp, simple_resnet
from thalweg.objectives import cross_entropy, mse
from thalweg.training import History, train


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def data() -> Dataset:
    return gaussian(4, 50, 2, noise=0.1, separation=3.0, test_samples=30)


def network(*, dropout=False):
    model = mlp((4, 8, 2), norm="batch")
    return nn.Sequential(model, nn.Dropout(0.5)) if dropout else model


def fit(model, data, **settings):
    return train(
        model, cross_entropy(), data, **{"epochs": 3, "batch_size": 16, "lr": 0.1, "momentum": 0.9, **settings}
    )


def bits(model):
    return torch.cat([tensor.reshape(-1).double() for tensor in model.state_dict().values()])


def test_the_steps_are_those_done_by_hand():
    """Momentum, weight decay and cosine on a quadratic, against the recursion written out in float64."""
    x = torch.randn(12, 3, dtype=torch.float64, generator=seeded(1))
    y = torch.randn(12, 1, dtype=torch.float64, generator=seeded(2))
    model = nn.Linear(3, 1, bias=False).double()
    theta, velocity = model.weight.detach().clone(), torch.zeros(1, 3, dtype=torch.float64)
    rates = [0.05 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    for rate in rates:
        gradient = 2 * (x @ theta.T - y).T @ x / 12 + 0.3 * theta
        velocity = 0.8 * velocity + gradient
        theta = theta - rate * velocity
    history = train(model, mse(), [(x, y)], epochs=4, lr=0.05, momentum=0.8, weight_decay=0.3)
    torch.testing.assert_close(model.weight.detach(), theta, rtol=1e-12, atol=0)
    torch.testing.assert_close(history.learning_rate, torch.tensor([rates[0], *rates], dtype=torch.float64))
    assert history.train_loss[-1] == pytest.approx(float((x @ theta.T - y).square().mean()), rel=1e-12)


def test_masked_terms_do_not_count():
    """A batch with ignored targets takes the step of the batch without them."""
    x, y = torch.randn(6, 4, generator=seeded(1)), torch.tensor([0, 1, -100, 1, -100, 0])
    masked = mlp((4, 5, 2))
    bare = copy.deepcopy(masked)
    train(masked, cross_entropy(), [(x, y)], epochs=2, lr=0.5)
    train(bare, cross_entropy(), [(x[y >= 0], y[y >= 0])], epochs=2, lr=0.5)
    torch.testing.assert_close(bits(masked), bits(bare))


def test_each_epoch_sees_each_item_once_in_a_new_order(data):
    seen = []

    def outputs(model, batch):
        if model.training:
            seen.append(batch[0])
        return model(batch[0])

    objective = dataclasses.replace(cross_entropy(), outputs=outputs)
    train(mlp((4, 8, 2)), objective, data, epochs=2, batch_size=16, lr=0.1)
    assert [len(x) for x in seen] == [16, 16, 16, 2] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert sorted(epoch.tolist()) == sorted(data.train_inputs.tolist())


def test_ready_made_batches_stay_as_they_are(data):
    batches, seen = data.batches("train", 10), []

    def outputs(model, batch):
        if model.training:
            seen.append(next(i for i, (x, _) in enumerate(batches) if torch.equal(x, batch[0])))
        return model(batch[0])

    objective = dataclasses.replace(cross_entropy(), outputs=outputs)
    history = train(mlp((4, 8, 2)), objective, batches, epochs=3, lr=0.1)
    orders = [tuple(seen[start : start + 5]) for start in (0, 5, 10)]
    assert all(sorted(order) == list(range(5)) for order in orders)
    assert len(set(orders)) > 1
    assert history.test_loss is None


@pytest.mark.parametrize("dropout", [False, True])
def test_the_same_seed_gives_the_same_bits(data, dropout, untouched_rng):
    def trained(seed):
        model = network(dropout=dropout)
        fit(model, data, generator=seeded(seed))
        return bits(model)

    one = trained(1)
    assert torch.equal(one, trained(1))
    assert not torch.equal(one, trained(2))


def test_no_generator_means_seed_zero(data):
    default, zero = network(), network()
    fit(default, data)
    fit(zero, data, generator=seeded(0))
    assert torch.equal(bits(default), bits(zero))


def test_the_global_state_has_no_influence(data):
    """Dropout draws from the global generator: what it holds before must not matter."""
    results = []
    with torch.random.fork_rng():
        for seed in (1, 2):
            torch.manual_seed(seed)
            model = network(dropout=True)
            fit(model, data)
            results.append(bits(model))
    assert torch.equal(*results)


def test_measuring_does_not_change_the_training(data):
    plain, tested, watched = (network(dropout=True) for _ in range(3))
    fit(plain, data.subset(test=0))
    fit(tested, data, test=[(data.train_inputs, data.train_targets)])
    with torch.random.fork_rng():
        fit(watched, data, on_epoch=lambda epoch, values: (torch.rand(epoch + 1), watched.eval()))
    assert torch.equal(bits(plain), bits(tested))
    assert torch.equal(bits(plain), bits(watched))


def test_the_curves_are_those_of_the_landscape(data):
    model = network()
    before = copy.deepcopy(model)
    history = fit(model, data)
    for split, losses, accuracies in (
        ("train", history.train_loss, history.train_accuracy),
        ("test", history.test_loss, history.test_accuracy),
    ):
        for entry, state in ((0, before), (-1, model)):
            inputs, targets = data.split(split)
            outputs = state.eval()(inputs).detach()
            assert float(losses[entry]) == pytest.approx(float(functional.cross_entropy(outputs, targets)), rel=1e-5)
            assert float(accuracies[entry]) == pytest.approx(float((outputs.argmax(1) == targets).double().mean()))
    assert history.epoch.tolist() == [0, 1, 2, 3]
    assert all(len(curve) == 4 for curve in (history.train_loss, history.test_loss, history.learning_rate))
    assert history.seconds > 0
    assert History.from_dict(history.to_dict()).to_dict() == history.to_dict()


def test_an_objective_without_accuracy_has_no_such_curve():
    batches = [(torch.eye(3), torch.ones(3, 1))]
    history = train(nn.Linear(3, 1), mse(), batches, epochs=1, lr=0.1, test=batches)
    assert history.train_accuracy is None
    assert history.test_accuracy is None
    assert torch.equal(history.train_loss, history.test_loss)


def test_every_setting_is_remembered(data):
    history = fit(network(), data, weight_decay=0.01, schedule="constant", generator=seeded(9))
    assert history.settings == {
        "optimizer": "sgd", "epochs": 3, "batch_size": 16, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01,
        "schedule": "constant", "seed": 9,
    }  # fmt: skip
    assert history.learning_rate.tolist() == [0.1] * 4


@pytest.mark.parametrize(
    ("setting", "value"),
    [("momentum", 0.0), ("weight_decay", 0.1), ("schedule", "constant"), ("lr", 0.2), ("batch_size", 8), ("epochs", 2)],
)
def test_each_setting_changes_the_result(data, setting, value):
    one, other = network(), network()
    fit(one, data)
    fit(other, data, **{setting: value})
    assert not torch.allclose(bits(one), bits(other))


def test_modes_and_gradients_are_as_before(data):
    model = network(dropout=True)
    model.eval()
    model[1].train()
    modes = [layer.training for layer in model.modules()]
    before = bits(model)
    fit(model, data)
    assert [layer.training for layer in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not torch.equal(bits(model), before)
    assert int(model[0].state_dict()["1.1.num_batches_tracked"]) == 12, "batch norm was not in train mode"


def test_modes_are_restored_after_a_failure(data, untouched_rng):
    model = network().eval()

    def stop(epoch, values):
        if epoch == 1:
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fit(model, data, on_epoch=stop)
    assert not any(layer.training for layer in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_parameters_stay(data):
    model = network()
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    before = frozen.clone()
    fit(model, data, weight_decay=0.5)
    assert torch.equal(frozen, before)


def test_it_trains_where_gradients_are_off(data):
    one, other = network(), network()
    fit(one, data)
    with torch.no_grad():
        fit(other, data)
    assert torch.equal(bits(one), bits(other))


def test_the_callback_and_the_reporter_hear_of_it(data):
    from tests.test_progress import Recorder

    entries, recorder = [], Recorder()
    history = fit(network(), data, on_epoch=lambda epoch, values: entries.append((epoch, values)), progress=recorder)
    assert [epoch for epoch, _ in entries] == [0, 1, 2, 3]
    assert [values["train_loss"] for _, values in entries] == history.train_loss.tolist()
    assert set(entries[0][1]) == {"learning_rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    assert recorder.events[0] == (0, "training", 12)
    assert len(recorder.events) == 13
    assert recorder.events[-1][2].startswith("epoch 3/3, loss ")


def test_a_loss_that_is_not_finite_stops_the_run(data):
    model = mlp((4, 8, 2))
    factors = iter([1.0, 1.0, math.inf])

    def terms(outputs, batch):
        factor = next(factors) if model.training else 1.0
        return factor * cross_entropy().terms(outputs, batch)

    objective = dataclasses.replace(cross_entropy(), terms=terms)
    with pytest.raises(NonFiniteError, match=r"loss: expected a finite number, got inf in epoch 1, step 3\. Lower the"):
        train(model, objective, data, epochs=1, batch_size=10, lr=0.1)


def test_divergence_is_named_by_its_epoch():
    model = nn.Linear(1, 1, bias=False)
    batches = [(torch.ones(1, 1), torch.zeros(1, 1))]
    with pytest.raises(
        NonFiniteError, match=r"train loss after epoch 1: loss: expected .* in batch 0 .* Lower the learning"
    ):
        train(model, mse(), batches, epochs=5, lr=1e30, schedule="constant")


def test_a_batch_of_masked_terms_is_an_error():
    batches = [(torch.zeros(2, 4), torch.tensor([0, 1])), (torch.zeros(2, 4), torch.tensor([-100, -100]))]
    with pytest.raises(DataError, match=r"expected terms of positive total weight, got none in epoch 1, step [12]\."):
        train(mlp((4, 2)), cross_entropy(), batches, epochs=1, lr=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, r"epochs: expected at least 1, got 0\."),
        ({"lr": 0.0}, r"lr: expected a positive finite number, got 0\.0\."),
        ({"lr": math.nan}, r"lr: expected a positive finite number, got nan\."),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1\.0\."),
        ({"weight_decay": -0.1}, r"weight_decay: expected a finite number of at least 0, got -0\.1\."),
        ({"batch_size": None}, r"batch_size: expected at least 1 with a data set, got None\."),
        ({"batch_size": 0}, r"batch_size: expected at least 1 with a data set, got 0\."),
        ({"schedule": "linear"}, r"schedule: expected 'cosine' or 'constant', got 'linear'\."),
        ({"data": []}, r"data: expected at least one batch, got none\."),
        ({"data": [torch.zeros(2, 4)]}, r"batch_size: expected None with ready-made batches, got 16"),
        ({"data": iter([1])}, r"data: expected a Dataset or a sequence .* got list_iterator\. Turn .* list\(data\)\."),
        ({"test": []}, r"data: expected at least one batch, got none\."),
    ],
)  # fmt: skip
def test_bad_input_is_named(data, change, message):
    arguments = {"data": data, **change}
    if change.get("data") == []:
        arguments["batch_size"] = None
    model = network()
    before = bits(model)
    with unchecked(), pytest.raises((ArgumentError, DataError), match=message):
        fit(model, **arguments)
    assert torch.equal(bits(model), before)


def test_a_model_without_parameters_to_train_is_an_error(data):
    model = network()
    model.requires_grad_(False)
    with pytest.raises(ArgumentError, match="param"):
        fit(model, data)


def test_a_narrow_resnet_learns_the_digits():
    data = digits().subset(train=400, test=200)
    history = fit(simple_resnet(1, 10, width=0.125), data, epochs=5, batch_size=32, lr=0.05, weight_decay=5e-4)
    assert history.train_accuracy[-1] > 0.95
    assert history.test_accuracy[-1] > 0.85

"""Every objective against torch's own loss: value, gradient, convexity, metrics."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import hessian

from tests.landscape.models import classes, randn, tokens
from thalweg import objectives
from thalweg.objectives import Objective

WEIGHT = torch.tensor([0.3, 2.0, 1.0], dtype=torch.float64)


def mean(objective: Objective, outputs: Tensor, batch) -> Tensor:
    """Σ wℓ / Σ w."""
    terms = objective.terms(outputs, batch)
    weights = torch.ones_like(terms) if objective.weights is None else objective.weights(batch).to(terms.dtype)
    assert terms.shape == weights.shape
    return (weights * terms).sum() / weights.sum()


def masked(targets: Tensor, index: int = -100) -> Tensor:
    targets = targets.clone()
    targets.view(-1)[::3] = index
    return targets


def shifted(loss: nn.Module):
    return lambda f, y: loss(f[:, :-1].flatten(end_dim=1), y[:, 1:].flatten())


def per_token(loss: nn.Module):
    return lambda f, y: loss(f.flatten(end_dim=1), y.flatten())


def labelled(y: Tensor) -> dict[str, Tensor]:
    return {"input_ids": torch.zeros_like(y), "labels": y}


CASES = {
    "mse": (objectives.mse(), nn.MSELoss(), randn(6, 3), randn(6, 3, seed=1), None),
    "mse of one axis": (objectives.mse(), nn.MSELoss(), randn(6), randn(6, seed=1), None),
    "mse of images": (objectives.mse(), nn.MSELoss(), randn(4, 2, 3, 3), randn(4, 2, 3, 3, seed=1), None),
    "squared error": (
        objectives.squared_error(),
        lambda f, y: (f - y).square().sum() / (2 * len(f)),
        randn(6, 3),
        randn(6, 3, seed=1),
        None,
    ),
    "squared error of one axis": (
        objectives.squared_error(),
        lambda f, y: (f - y).square().sum() / (2 * len(f)),
        randn(6),
        randn(6, seed=1),
        None,
    ),
    "squared error of images": (
        objectives.squared_error(),
        lambda f, y: (f - y).square().sum() / 8,
        randn(4, 2, 3, 3),
        randn(4, 2, 3, 3, seed=1),
        None,
    ),
    "cross-entropy": (objectives.cross_entropy(), nn.CrossEntropyLoss(), randn(6, 3), classes(6), None),
    "masked": (objectives.cross_entropy(), nn.CrossEntropyLoss(), randn(6, 3), masked(classes(6)), None),
    "masked by another index": (
        objectives.cross_entropy(ignore_index=2),
        nn.CrossEntropyLoss(ignore_index=2),
        randn(9, 3),
        classes(9),
        None,
    ),
    "class weights": (
        objectives.cross_entropy(weight=WEIGHT),
        nn.CrossEntropyLoss(weight=WEIGHT),
        randn(6, 3),
        classes(6),
        None,
    ),
    "class weights and masks": (
        objectives.cross_entropy(weight=WEIGHT),
        nn.CrossEntropyLoss(weight=WEIGHT),
        randn(9, 3),
        masked(classes(9)),
        None,
    ),
    "smoothed labels": (
        objectives.cross_entropy(label_smoothing=0.2),
        nn.CrossEntropyLoss(label_smoothing=0.2),
        randn(6, 3),
        masked(classes(6)),
        None,
    ),
    "probabilities": (
        objectives.cross_entropy(),
        nn.CrossEntropyLoss(),
        randn(6, 3),
        randn(6, 3, seed=2).softmax(dim=1),
        None,
    ),
    "pixels": (
        objectives.cross_entropy(weight=WEIGHT),
        nn.CrossEntropyLoss(weight=WEIGHT),
        randn(2, 3, 4, 4),
        masked(classes(32).reshape(2, 4, 4)),
        None,
    ),
    "probabilities of pixels": (
        objectives.cross_entropy(),
        nn.CrossEntropyLoss(),
        randn(2, 3, 4),
        randn(2, 3, 4, seed=2).softmax(dim=1),
        None,
    ),
    "binary": (
        objectives.binary_cross_entropy(),
        nn.BCEWithLogitsLoss(),
        randn(6, 3),
        classes(18, 2).reshape(6, 3).double(),
        None,
    ),
    "binary, soft": (
        objectives.binary_cross_entropy(),
        nn.BCEWithLogitsLoss(),
        randn(6),
        randn(6, seed=1).sigmoid(),
        None,
    ),
    "binary, integers": (
        objectives.binary_cross_entropy(),
        lambda f, y: nn.BCEWithLogitsLoss()(f, y.double()),
        randn(6),
        classes(6, 2),
        None,
    ),
    "next tokens": (
        objectives.causal_lm(),
        shifted(nn.CrossEntropyLoss()),
        randn(3, 5, 4),
        tokens(3, 5, 4),
        lambda y: y,
    ),
    "next tokens, masked": (
        objectives.causal_lm(),
        shifted(nn.CrossEntropyLoss()),
        randn(3, 5, 4),
        masked(tokens(3, 5, 4)),
        labelled,
    ),
    "next tokens, another index": (
        objectives.causal_lm(ignore_index=0),
        shifted(nn.CrossEntropyLoss(ignore_index=0)),
        randn(3, 5, 4),
        tokens(3, 5, 4),
        labelled,
    ),
    "transformers: classes": (
        objectives.huggingface(),
        nn.CrossEntropyLoss(),
        randn(6, 3),
        masked(classes(6)),
        labelled,
    ),
    "transformers: tokens": (
        objectives.huggingface("token-classification"),
        per_token(nn.CrossEntropyLoss()),
        randn(3, 5, 4),
        masked(tokens(3, 5, 4)),
        labelled,
    ),
    "transformers: next tokens": (
        objectives.huggingface("causal-lm"),
        shifted(nn.CrossEntropyLoss()),
        randn(3, 5, 4),
        masked(tokens(3, 5, 4)),
        labelled,
    ),
    "transformers: regression": (
        objectives.huggingface("regression"),
        lambda f, y: nn.MSELoss()(f.squeeze(1), y),
        randn(6, 1),
        randn(6, seed=1),
        labelled,
    ),
    "transformers: many outputs": (
        objectives.huggingface("regression"),
        nn.MSELoss(),
        randn(6, 3),
        randn(6, 3, seed=1),
        labelled,
    ),
}


WRAPPED = [(case, False) for case in CASES] + [(case, True) for case, parts in CASES.items() if parts[-1] is not None]


@pytest.mark.parametrize(("case", "wrapped"), WRAPPED)
def test_value_and_gradient_are_those_of_torch(case, wrapped):
    """Some models return their logits in an object."""
    objective, loss, outputs, targets, batched = CASES[case]
    batch = (None, targets) if batched is None else batched(targets)
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    value = mean(objective, SimpleNamespace(logits=ours) if wrapped else ours, batch)
    expected = loss(theirs, targets)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", CASES)
def test_convexity_is_true_where_it_is_declared(case):
    """The Hessian in the outputs has no negative eigenvalue."""
    objective, _, outputs, targets, batched = CASES[case]
    assert objective.convex
    batch = (None, targets) if batched is None else batched(targets)
    flat = outputs.flatten()

    def value(vector: Tensor) -> Tensor:
        return mean(objective, vector.view(outputs.shape), batch)

    values = torch.linalg.eigvalsh(hessian(value)(flat))
    assert float(values[0]) > -1e-14
    assert float(values[-1]) > 1e-3


def test_a_black_box_declares_nothing():
    box = objectives.from_function(lambda model, batch: model(batch).mean(), len)
    assert not box.convex
    assert box.draw is None
    assert not box.splits


ACCURACIES = {
    "cross-entropy": (objectives.cross_entropy(), (None, torch.tensor([0, 1, 2])), torch.eye(3)[[0, 1, 0]], [1, 1, 0]),
    "probabilities": (objectives.cross_entropy(), (None, torch.eye(3)[[0, 1, 2]]), torch.eye(3)[[0, 1, 0]], [1, 1, 0]),
    "binary": (
        objectives.binary_cross_entropy(),
        (None, torch.tensor([1.0, 0, 1, 0])),
        torch.tensor([2.0, -1, -1, 1]),
        [1, 1, 0, 0],
    ),
    "transformers": (objectives.huggingface(), {"labels": torch.tensor([2, 1])}, torch.eye(3)[[2, 0]], [1, 0]),
    "next tokens": (objectives.causal_lm(), torch.tensor([[0, 1, 2]]), torch.eye(3)[None, [1, 1, 0]], [[1, 0]]),
}


@pytest.mark.parametrize("case", ACCURACIES)
def test_accuracy(case):
    objective, batch, outputs, expected = ACCURACIES[case]
    found = objective.metrics(outputs, batch)["accuracy"]
    assert found.tolist() == expected
    assert found.shape == objective.terms(outputs, batch).shape


def test_perplexity_is_the_exponential_of_the_mean_loss():
    objective = objectives.causal_lm()
    batch, outputs = tokens(3, 5, 4), randn(3, 5, 4)
    values = objective.metrics(outputs, batch)["perplexity"]
    assert torch.equal(values, objective.terms(outputs, batch))
    assert objective.finish["perplexity"](math.log(4)) == pytest.approx(4)
    assert objective.finish["perplexity"](1e4) == math.inf


@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 1000))
def test_uniform_logits_cost_the_logarithm_of_the_classes(n, count, seed):
    batch = (None, classes(n, count, seed))
    terms = objectives.cross_entropy().terms(torch.zeros(n, count, dtype=torch.float64), batch)
    torch.testing.assert_close(terms, torch.full((n,), math.log(count), dtype=torch.float64))

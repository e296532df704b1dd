"""Targets drawn from the model's own distribution have its law, and make the exact Fisher equal to the GGN."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.func import grad, hessian, vmap

from tests.landscape.models import generator, randn
from thalweg import objectives

DRAWS = 40_000


def labelled(y: Tensor) -> dict[str, Tensor]:
    return {"input_ids": torch.zeros_like(y), "labels": y}


# Name: objective, outputs of one sample (1, …), the batch that carries drawn targets.
LIKELIHOODS = {
    "squared_error": (objectives.squared_error(), randn(1, 3), lambda y: (None, y)),
    "mse": (objectives.mse(), randn(1, 3), lambda y: (None, y)),
    "cross_entropy": (objectives.cross_entropy(), randn(1, 4), lambda y: (None, y)),
    "binary_cross_entropy": (objectives.binary_cross_entropy(), randn(1, 3), lambda y: (None, y)),
    "huggingface": (objectives.huggingface(), randn(1, 4), labelled),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_fisher_in_the_outputs_is_the_hessian_in_the_outputs(name):
    """E[∇ℓ ∇ℓᵀ] over drawn targets = E[∇²ℓ], entry by entry within 5 standard errors; E[∇ℓ] = 0."""
    objective, outputs, batched = LIKELIHOODS[name]
    flat = outputs.flatten()
    drawn = objective.draw(outputs.expand(DRAWS, *outputs.shape[1:]).contiguous(), generator(3))

    def value(vector: Tensor, target: Tensor) -> Tensor:
        return objective.terms(vector.view(outputs.shape), batched(target[None])).sum()

    gradients = vmap(grad(value), (None, 0))(flat, drawn)
    products = gradients[:, :, None] * gradients[:, None, :]
    fisher, error = products.mean(0), products.std(0) / math.sqrt(DRAWS)
    curvature = vmap(hessian(value), (None, 0))(flat, drawn[:200]).mean(0)
    assert float(((fisher - curvature).abs() - 5 * error).max()) < 1e-12
    means, errors = gradients.mean(0), gradients.std(0) / math.sqrt(DRAWS)
    assert float((means.abs() - 5 * errors).max()) < 1e-12
    # The test can fail: a variance wrong by a factor of two is far outside.
    assert float(((fisher / 2 - curvature).abs() - 5 * error).max()) > 0


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_fit_as_targets(name):
    objective, outputs, batched = LIKELIHOODS[name]
    many = outputs.expand(7, *outputs.shape[1:]).contiguous()
    drawn = objective.draw(many, generator())
    terms = objective.terms(many, batched(drawn))
    assert len(terms) == 7
    assert bool(terms.isfinite().all())


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 2), (5, 3, 2, 2)])
def test_classes_have_the_frequencies_of_the_softmax(shape):
    """Every place has its own distribution: a mixed-up axis would show."""
    outputs = randn(*shape)
    many = outputs.repeat(4000, *[1] * (len(shape) - 1))
    drawn = objectives.cross_entropy().draw(many, generator(1))
    assert drawn.shape == many.shape[:1] + many.shape[2:]
    counts = torch.nn.functional.one_hot(drawn, 3).reshape(4000, 5, *shape[2:], 3).sum(0)
    expected = 4000 * outputs.movedim(1, -1).softmax(dim=-1)
    statistic = float(((counts - expected).square() / expected).sum())
    places = counts.numel() // 3
    assert stats.chi2.sf(statistic, 2 * places) > 1e-4


def test_tokens_have_the_frequencies_of_the_softmax():
    outputs = randn(2, 4, 3)
    many = outputs.repeat(4000, 1, 1)
    for objective, kept in (
        (objectives.causal_lm(), 3),
        (objectives.huggingface("causal-lm"), 3),
        (objectives.huggingface("token-classification"), 4),
    ):
        drawn = objective.draw(many, generator(1))
        assert drawn.shape == (8000, kept)
        counts = torch.nn.functional.one_hot(drawn, 3).reshape(4000, 2, kept, 3).sum(0)
        expected = 4000 * outputs[:, :kept].softmax(dim=-1)
        statistic = float(((counts - expected).square() / expected).sum())
        assert stats.chi2.sf(statistic, 2 * 2 * kept) > 1e-4


@pytest.mark.parametrize(("objective", "variance"), [(objectives.squared_error(), 1.0), (objectives.mse(), 0.5)])
def test_gaussian_targets(objective, variance):
    outputs = torch.full((DRAWS,), 2.5, dtype=torch.float64)
    drawn = objective.draw(outputs, generator(2)) - 2.5
    assert stats.kstest(drawn.numpy() / math.sqrt(variance), "norm").pvalue > 1e-3


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_come_from_the_generator_alone(name, untouched_rng):
    objective, outputs, _ = LIKELIHOODS[name]
    many = outputs.expand(50, *outputs.shape[1:]).contiguous()
    one, two = objective.draw(many, generator(1)), objective.draw(many, generator(1))
    assert torch.equal(one, two)
    assert not torch.equal(one, objective.draw(many, generator(2)))


def test_what_is_no_likelihood_has_no_draw():
    """With smoothed labels the gradient at a drawn class has a mean: its second moment is no GGN."""
    assert objectives.cross_entropy(label_smoothing=0.1).draw is None
    assert objectives.huggingface("regression").draw is None
    assert objectives.from_function(lambda model, batch: model(batch).mean(), len).draw is None

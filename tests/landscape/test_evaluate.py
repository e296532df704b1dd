"""Loss and metrics with the error that the data leave."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.landscape.models import classes, generator, mlp, randn, tied, tokens

CROSS = tw.objectives.cross_entropy()


def test_the_error_is_that_of_a_mean():
    """With one term a sample it is the sample standard deviation over √N."""
    x, y = randn(50, 4), classes(50)
    landscape = tw.Landscape(mlp(), CROSS, list(zip(x.split(16), y.split(16), strict=True)))
    found = landscape.evaluate()
    terms = torch.nn.functional.cross_entropy(mlp()(x).detach(), y, reduction="none").numpy()
    assert found.loss.value == pytest.approx(terms.mean(), rel=1e-13)
    assert found.loss.data_error == pytest.approx(terms.std(ddof=1) / math.sqrt(50), rel=1e-12)
    assert found.loss.standard_error == 0.0
    hits = (mlp()(x).argmax(1) == y).numpy().astype(float)
    accuracy = found.metrics["accuracy"]
    assert accuracy.value == pytest.approx(hits.mean(), rel=1e-13)
    assert accuracy.data_error == pytest.approx(hits.std(ddof=1) / math.sqrt(50), rel=1e-12)
    assert (found.samples, found.terms) == (50, 50)
    assert found.loss.cost.losses == 1
    assert found.loss.cost.seconds > 0
    assert found.loss.provenance.samples == 50
    assert str(found).startswith("loss ")


def test_the_error_of_a_ratio_by_resampling():
    """Sequences of unequal length: the ratio's error against a bootstrap over sequences."""
    sequences = tokens(60, 8)
    lengths = torch.randint(2, 9, (60,), generator=generator(4))
    mask = (torch.arange(8) < lengths[:, None]).long()
    batch = {"tokens": sequences, "labels": sequences.masked_fill(mask == 0, -100)}
    objective = dataclasses.replace(
        tw.objectives.huggingface("causal-lm"),
        outputs=lambda model, batch: model(batch["tokens"]),
        terms=lambda outputs, batch: tw.objectives.causal_lm().terms(outputs, as_ids(batch)),
        weights=lambda batch: tw.objectives.causal_lm().weights(as_ids(batch)),
        metrics=None,
    )
    landscape = tw.Landscape(tied(), objective, [batch])
    terms = objective.terms(tied()(sequences).detach(), batch)
    weights = objective.weights(batch)
    sums, counts = (terms * weights).sum(1).numpy(), weights.sum(1).numpy()
    source = np.random.default_rng(0)
    draws = source.integers(0, 60, (4000, 60))
    spread = (sums[draws].sum(1) / counts[draws].sum(1)).std()
    assert landscape.evaluate().loss.data_error == pytest.approx(spread, rel=0.06)


def as_ids(batch):
    return {"input_ids": batch["tokens"], "labels": batch["labels"]}


def test_terms_of_one_item_are_no_independent_data():
    """``sample_of`` says which belong together: four copies of each term leave the error where it was."""
    x, y = randn(12, 4), classes(12)
    copies = dataclasses.replace(CROSS, sample_of=lambda batch: torch.arange(len(batch[1])) // 4)
    alone = tw.Landscape(mlp(), CROSS, [(x, y)])
    fourfold = tw.Landscape(mlp(), copies, [(x.repeat_interleave(4, 0), y.repeat_interleave(4))])
    assert fourfold.count == alone.count == 12
    assert fourfold.evaluate().terms == 48
    found, expected = fourfold.evaluate(), alone.evaluate()
    assert found.loss.value == pytest.approx(expected.loss.value, rel=1e-13)
    assert found.loss.data_error == pytest.approx(expected.loss.data_error, rel=1e-12)


def test_a_single_item_leaves_the_error_undetermined():
    found = tw.Landscape(mlp(), CROSS, [(randn(1, 4), classes(1))]).evaluate()
    assert found.loss.data_error is None
    assert found.metrics["accuracy"].data_error is None


def test_perplexity_carries_the_error_of_the_loss():
    found = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens(9)]).evaluate()
    perplexity = found.metrics["perplexity"]
    assert perplexity.value == pytest.approx(math.exp(found.loss.value), rel=1e-13)
    first_order = perplexity.value * found.loss.data_error
    assert perplexity.data_error == pytest.approx(first_order, rel=0.05)


def test_a_perplexity_beyond_all_numbers_is_no_crash():
    """A diverged language model has a finite loss still: exp of it overflows, and is stored as None."""
    model = tied()
    with torch.no_grad():
        model.embed.weight.mul_(1e5)
    found = tw.Landscape(model, tw.objectives.causal_lm(), [tokens(9)]).evaluate()
    assert found.loss.value > 1000
    assert found.metrics["perplexity"].value == math.inf
    assert found.metrics["perplexity"].data_error is None
    assert found.to_dict()["metrics"]["perplexity"]["value"] is None


def test_a_masked_metric_may_be_anything():
    x, y = randn(6, 4), classes(6)
    y[2] = -100
    wild = dataclasses.replace(
        CROSS, metrics=lambda outputs, batch: {"m": torch.where(batch[1] == -100, torch.nan, 1.0)}
    )
    assert tw.Landscape(mlp(), wild, [(x, y)]).evaluate().metrics["m"].value == 1.0


def test_a_masked_term_may_be_infinite():
    x, y = randn(6, 4), classes(6)
    kept = torch.tensor([1.0, 1, 0, 1, 1, 1], dtype=torch.float64)
    wild = dataclasses.replace(
        CROSS,
        terms=lambda outputs, batch: CROSS.terms(outputs, batch) + torch.where(kept > 0, 0.0, torch.inf),
        weights=lambda batch: kept,
    )
    found = tw.Landscape(mlp(), wild, [(x, y)])
    expected = tw.Landscape(mlp(), CROSS, [(x[kept > 0], y[kept > 0])])
    assert found.loss() == pytest.approx(expected.loss(), rel=1e-13)
    torch.testing.assert_close(found.gradient(), expected.gradient(), rtol=1e-12, atol=1e-15)


def test_repr_says_what_it_is():
    landscape = tw.Landscape(mlp(), CROSS, [(randn(6, 4), classes(6))], mode="train")
    assert repr(landscape) == "Landscape(Sequential, cross_entropy, 43 parameters, 6 samples, mode='train')"
    assert (landscape.mode, landscape.microbatch, landscape.weight) == ("train", None, 6.0)
    assert landscape.objective is CROSS
    assert len(landscape.data) == 1
    assert isinstance(landscape.model, torch.nn.Sequential)

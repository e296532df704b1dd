"""Data errors of landscapes: parts dealt from any batches, against dense algebra, and what cannot be dealt."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import classes, generator, mlp, randn, scrambled, tokens
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DataError
from thalweg.measures._dealt import dealt

CROSS = tw.objectives.cross_entropy()


def small() -> nn.Module:
    return scrambled(nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 3)).double())


def landscape(*sizes: int, objective: tw.objectives.Objective = CROSS) -> tw.Landscape:
    tensors = randn(sum(sizes), 4, seed=5), classes(sum(sizes), seed=6)
    data = list(zip(*(tensor.split(list(sizes)) for tensor in tensors), strict=True))
    return tw.Landscape(small(), objective, data)


def naive(parts: list[tw.Landscape], matrix, folds: int) -> tuple[float, float]:
    """In-sample and cross-fitted λ₁ from dense matrices of the parts."""
    dense, weights = [matrix(part).dense().numpy() for part in parts], [part.weight for part in parts]
    held = np.zeros(len(parts))
    for fold in range(folds):
        inside = [g for g in range(len(parts)) if g % folds != fold]
        mean = np.average([dense[g] for g in inside], axis=0, weights=[weights[g] for g in inside])
        v = np.linalg.eigh(mean)[1][:, -1]
        for g in range(fold, len(parts), folds):
            held[g] = v @ dense[g] @ v
    whole = np.linalg.eigvalsh(np.average(dense, axis=0, weights=weights))[-1]
    return whole, float(np.average(held, weights=weights))


@pytest.mark.parametrize("matrix", [tw.hessian, tw.ggn, partial(tw.fisher, kind="empirical")])
def test_against_dense_matrices_of_the_parts(matrix):
    whole = landscape(53)
    found = tw.data_errors(whole, matrix=matrix, folds=3, parts=6, tol=1e-9, generator=generator(3))
    in_sample, held = naive(dealt(whole, 6, generator(3)), matrix, 3)
    assert float(found.values[0]) == pytest.approx(in_sample, rel=1e-8)
    assert float(found.values[0]) == pytest.approx(float(tw.eigenpairs(matrix(whole), 1, tol=1e-9).values[0]), rel=1e-8)
    assert float(found.cross_fitted[0]) == pytest.approx(held, rel=1e-6)
    assert (found.samples, found.parts, found.dof) == (53, 6, 5)
    assert found.provenance.samples == 53
    assert found.cost.losses == 1


def test_batches_do_not_matter():
    """Ragged batches, single items and micro-batches are dealt to the same parts."""
    found = [
        tw.data_errors(each, 2, folds=2, parts=4, tol=1e-9, generator=generator(1))
        for each in (landscape(40), landscape(33, 7), landscape(*[1] * 40), landscape(40).in_pieces(3))
    ]
    for other in found[1:]:
        for name in ("values", "cross_fitted", "standard_errors", "corrected"):
            torch.testing.assert_close(getattr(other, name), getattr(found[0], name), rtol=1e-6, atol=1e-9)
        assert other.trace.value == pytest.approx(found[0].trace.value, rel=1e-8)


def test_every_item_is_dealt_once():
    whole = landscape(30, 20, 3)
    parts = dealt(whole, 7, generator(2))
    assert sorted({part.count for part in parts}) == [7, 8]
    # Batches of one shape are joined.
    assert all(len(list(part.data)) == 1 for part in parts)
    rows = torch.cat([inputs for part in parts for inputs, _ in part.data])
    everything = torch.cat([inputs for inputs, _ in whole.data])
    assert torch.equal(rows[rows[:, 0].argsort()], everything[everything[:, 0].argsort()])
    assert sum(part.weight * part.loss() for part in parts) / whole.weight == pytest.approx(whole.loss())
    other = dealt(whole, 7, generator(3))
    assert not torch.equal(next(iter(parts[0].data))[0], next(iter(other[0].data))[0])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 2)
        scrambled(self.double())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids) @ self.embedding.weight.T


def test_masked_text_counts_by_its_tokens():
    """Sequences of two lengths in two batches, with masks: parts weigh what they hold."""
    batches = []
    for seed, length in ((1, 7), (2, 5)):
        ids = tokens(16, length) if seed == 1 else tokens(16, length).flip(0)
        counts = torch.arange(16) % (length - 1) + 2
        labels = ids.masked_fill(torch.arange(length) >= counts[:, None], -100)
        batches.append((ids, labels))
    objective = dataclasses.replace(
        CROSS,
        name="tokens",
        terms=lambda f, batch: functional.cross_entropy(f.mT, batch[1], ignore_index=-100, reduction="none"),
        weights=lambda batch: (batch[1] != -100).double(),
        metrics=None,
    )
    whole = tw.Landscape(Tied(), objective, batches)
    parts = dealt(whole, 6, generator(0))
    assert all(len(list(part.data)) == 2 for part in parts)
    assert len({part.weight for part in parts}) > 1
    assert sum(part.weight for part in parts) == pytest.approx(whole.weight)
    found = tw.data_errors(whole, matrix=tw.ggn, folds=2, parts=6, tol=1e-9)
    in_sample, held = naive(parts, tw.ggn, 2)
    assert float(found.values[0]) == pytest.approx(in_sample, rel=1e-7)
    assert float(found.cross_fitted[0]) == pytest.approx(held, rel=1e-6)
    exact = float(torch.linalg.eigvalsh(tw.ggn(whole).dense())[-1])
    assert float(found.values[0]) == pytest.approx(exact, rel=1e-7)


def test_the_landscape_on_other_data_stays_at_its_point():
    """Also where the model has moved on."""
    model = mlp()
    here = tw.Landscape(model, CROSS, [(randn(8, 4), classes(8))])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    data = [(randn(6, 4, seed=7), classes(6, seed=8))]
    other = here.on(data)
    assert other.loss() == pytest.approx(tw.Landscape(mlp(), CROSS, data).loss())
    assert (other.count, other.weight, here.count) == (6, 6.0, 8)
    with pytest.raises(DataError, match="data: expected at least one batch, got none"):
        here.on([])


def test_subset_size_of_a_landscape():
    """A linear model's Hessian is XᵀX/N, whose trace has a known spread."""
    inputs = randn(400, 3, seed=1)
    model = nn.Linear(3, 1, bias=False).double()
    whole = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(400, 1).double())])
    found = tw.subset_size(whole, 0.05, available=60_000, generator=generator(0))
    # 2·3/(9n) = 0.05², up to what 19 degrees of freedom leave open.
    assert found.trace.size_interval[0] < 267 < found.trace.size_interval[1]
    assert found.size == max(found.trace.size, found.eigenvalue.size)
    assert found.reachable is True
    assert found.samples == 400
    assert found.provenance.samples == 400


def test_what_cannot_be_dealt():
    with unchecked(), pytest.raises(ArgumentError, match="landscape: expected a Landscape, got int"):
        tw.data_errors(3)
    train = tw.Landscape(mlp(), CROSS, [(randn(40, 4), classes(40))], mode="train")
    with pytest.raises(ArgumentError, match="landscape: expected one with mode='eval', got mode='train', where the"):
        tw.data_errors(train)
    black = tw.objectives.from_function(
        lambda model, batch: model(batch[0]).square().mean(), lambda batch: len(batch[0])
    )
    with pytest.raises(DataError, match="landscape: expected an objective whose batches can be cut"):
        tw.data_errors(tw.Landscape(mlp(), black, [(randn(40, 4), classes(40))]))
    pairs = dataclasses.replace(CROSS, name="pairs", sample_of=lambda batch: torch.arange(len(batch[1])) // 2)
    with pytest.raises(DataError, match="landscape: expected one row a data item, since sample_of of pairs"):
        tw.data_errors(landscape(80, objective=pairs), parts=20)
    with pytest.raises(ArgumentError, match="parts: expected at most the 10 data items, got 20"):
        tw.data_errors(landscape(10))
    masked = tw.Landscape(mlp(), CROSS, [(randn(20, 4), torch.tensor([1] + [-100] * 19))])
    with pytest.raises(DataError, match="expected terms of positive total weight, got 0"):
        tw.data_errors(masked)


def test_bad_arguments():
    whole = landscape(40)
    for settings, message in [
        ({"parts": 12}, "parts: expected whole folds, so a multiple of 5, got 12"),
        ({"folds": 1}, "folds: expected at least 2, got 1"),
        ({"parts": 2.0}, r"parts: expected a whole number, got 2\.0"),
        ({"matrix": 3}, r"matrix: expected a function of a landscape, such as tw\.hessian, got int"),
        ({"matrix": lambda _: 3}, "operator: expected an operator, got int"),
        ({"matrix": tw.gradient_covariance}, "matrix: expected one that is a mean over data items"),
        ({"k": 0}, "k: expected at least 1, got 0"),
    ]:
        with unchecked(), pytest.raises(ArgumentError, match=message):
            tw.data_errors(whole, **settings)
    with pytest.raises(ArgumentError, match="parts: expected at least 8 for fits on a quarter of them, got 5"):
        tw.subset_size(whole, 0.1, parts=5)

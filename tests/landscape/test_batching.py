"""The same numbers however the data are cut, and sums done by hand where terms are masked."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from tests.landscape.models import classes, cnn, generator, mlp, randn, scrambled, tied, tokens

N = 64


def inputs_and_targets():
    return randn(N, 4, seed=5), classes(N, seed=6)


def cut(tensors: tuple[torch.Tensor, ...], *sizes: int) -> list[tuple[torch.Tensor, ...]]:
    return list(zip(*(tensor.split(list(sizes)) for tensor in tensors), strict=True))


def partitions(tensors: tuple[torch.Tensor, ...], n: int) -> dict[str, tuple[object, int | None]]:
    """Ways to read the same data: (data, microbatch)."""
    return {
        "one batch": (cut(tensors, n), None),
        "ragged": (cut(tensors, n - 6, 6), None),
        "a batch of one": (cut(tensors, n - 1, 1), None),
        "one by one": (cut(tensors, *[1] * n), None),
        "micro-batches of 7": (cut(tensors, n), 7),
        "micro-batches of 1": (cut(tensors, n - 6, 6), 1),
        "micro-batches larger than a batch": (cut(tensors, n - 6, 6), n * 2),
        "a loader": (DataLoader(TensorDataset(*tensors), batch_size=50), None),
    }


def agree(landscapes: dict[str, tw.Landscape], rtol: float = 1e-12) -> None:
    """Loss, gradient, Hessian product, metrics and counts are those of the first landscape."""
    reference = next(iter(landscapes.values()))
    vectors = reference.space.randn(generator(1), 2)
    expected = (*reference.loss_and_gradient(), tw.hessian(reference) @ vectors, reference.evaluate())
    for name, landscape in landscapes.items():
        loss, gradient = landscape.loss_and_gradient()
        assert loss == pytest.approx(expected[0], rel=rtol), name
        assert landscape.loss() == pytest.approx(expected[0], rel=rtol), name
        scale = float(expected[1].abs().max())
        torch.testing.assert_close(gradient, expected[1], rtol=rtol, atol=rtol * scale, msg=name)
        scale = float(expected[2].abs().max())
        torch.testing.assert_close(tw.hessian(landscape) @ vectors, expected[2], rtol=rtol, atol=rtol * scale, msg=name)
        found = landscape.evaluate()
        assert found.loss.value == pytest.approx(expected[0], rel=rtol)
        assert found.loss.data_error == pytest.approx(expected[3].loss.data_error, rel=1e-10)
        assert (found.samples, found.terms) == (expected[3].samples, expected[3].terms), name
        assert found.metrics.keys() == expected[3].metrics.keys()
        for key, metric in found.metrics.items():
            assert metric.value == pytest.approx(expected[3].metrics[key].value, rel=rtol), (name, key)
        assert landscape.weight == pytest.approx(reference.weight, rel=rtol)


def test_numbers_do_not_depend_on_how_the_data_were_batched():
    model, n = mlp(), 256
    tensors = randn(n, 4, seed=5), classes(n, seed=6)
    objective = tw.objectives.cross_entropy()
    ways = partitions(tensors, n)
    assert [len(y) for _, y in ways["ragged"][0]] == [250, 6]
    del ways["micro-batches of 1"]  # below, with fewer samples
    agree({name: tw.Landscape(model, objective, data, microbatch=m) for name, (data, m) in ways.items()})


def test_nor_with_running_batch_statistics():
    tensors = (randn(20, 1, 6, 6), classes(20))
    model = cnn()
    ways = partitions(tensors, 20)
    agree({n: tw.Landscape(model, tw.objectives.cross_entropy(), d, microbatch=m) for n, (d, m) in ways.items()})


@pytest.mark.parametrize("weighted", [False, True])
def test_nor_with_masked_and_weighted_classes(weighted):
    inputs, targets = inputs_and_targets()
    targets = targets.masked_fill(torch.rand(N, generator=generator(2)) < 0.4, -100)
    targets[:6] = -100  # In the ragged partition of one by one whole batches are masked.
    weight = torch.tensor([0.2, 1.5, 3.0], dtype=torch.float64) if weighted else None
    objective = tw.objectives.cross_entropy(weight=weight)
    model = mlp()
    ways = partitions((inputs, targets), N)
    landscapes = {n: tw.Landscape(model, objective, d, microbatch=m) for n, (d, m) in ways.items()}
    agree(landscapes)
    # By hand, term by term.
    weights = [1.0, 1.0, 1.0] if weight is None else weight.tolist()
    logits = model(inputs).detach()
    pairs = [(f, int(y)) for f, y in zip(logits, targets, strict=True) if y != -100]
    terms = [weights[y] * float(torch.logsumexp(f, 0) - f[y]) for f, y in pairs]
    total = math.fsum(weights[y] for _, y in pairs)
    reference = landscapes["ragged"]
    assert reference.loss() == pytest.approx(math.fsum(terms) / total, rel=1e-12)
    assert reference.weight == pytest.approx(total, rel=1e-13)
    assert reference.count == N
    assert reference.evaluate().terms == len(pairs)
    assert reference.loss() == pytest.approx(float(functional.cross_entropy(logits, targets, weight=weight)), rel=1e-12)


def test_tokens_are_weighted_by_how_many_count():
    """Sequences of unequal length: the mean runs over tokens, not over sequences or batches."""
    model, sequences = tied(), tokens(8, 7)
    lengths = torch.tensor([7, 2, 5, 7, 3, 1, 4, 6])
    attention_mask = (torch.arange(7) < lengths[:, None]).long()
    labels = sequences.masked_fill(attention_mask == 0, -100)
    model, objective = _Named(model), tw.objectives.huggingface("causal-lm")
    named = [{"input_ids": sequences[a:b], "labels": labels[a:b]} for a, b in ((0, 3), (3, 6), (6, 8))]
    split = tw.Landscape(model, objective, named)
    whole = tw.Landscape(model, objective, [{"input_ids": sequences, "labels": labels}])
    agree({"whole": whole, "split": split, "micro": tw.Landscape(model, objective, named, microbatch=1)})
    logits = model(input_ids=sequences).logits.detach()
    terms = [
        float(torch.logsumexp(logits[i, t], 0) - logits[i, t, sequences[i, t + 1]])
        for i in range(8)
        for t in range(int(lengths[i]) - 1)
    ]
    assert whole.loss() == pytest.approx(math.fsum(terms) / len(terms), rel=1e-12)
    assert whole.weight == len(terms) == int((lengths - 1).sum())
    assert whole.count == 8
    evaluation = whole.evaluate()
    assert evaluation.metrics["perplexity"].value == pytest.approx(math.exp(whole.loss()), rel=1e-12)
    # An attention mask without labels masks the same tokens.
    masked = [{"input_ids": sequences, "attention_mask": attention_mask}]
    assert tw.Landscape(_Named(tied()), tw.objectives.causal_lm(), masked).loss() == pytest.approx(whole.loss())


class _Named(nn.Module):
    """Takes keyword arguments and returns an object with logits, as transformers do."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids, attention_mask=None):
        from types import SimpleNamespace

        return SimpleNamespace(logits=self.body(input_ids))


def test_a_hand_made_mean_of_batch_means_is_not_what_is_computed():
    """The mistake of averaging over batches: it would weight the last six like the other 58."""
    model, tensors = mlp(), inputs_and_targets()
    halves = cut(tensors, N - 6, 6)
    means = [float(functional.cross_entropy(model(x).detach(), y)) for x, y in halves]
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), halves)
    assert landscape.loss() == pytest.approx(((N - 6) * means[0] + 6 * means[1]) / N, rel=1e-12)
    assert abs(landscape.loss() - sum(means) / 2) > 1e-3


def test_a_black_box_is_weighted_by_its_count():
    model, tensors = mlp(), inputs_and_targets()
    box = tw.objectives.from_function(lambda model, b: functional.cross_entropy(model(b[0]), b[1]), lambda b: len(b[1]))
    whole = tw.Landscape(model, box, cut(tensors, N))
    ragged = tw.Landscape(model, box, cut(tensors, N - 6, 6))
    terms = tw.Landscape(model, tw.objectives.cross_entropy(), cut(tensors, N - 6, 6))
    for landscape in (whole, ragged):
        assert landscape.loss() == pytest.approx(terms.loss(), rel=1e-12)
        torch.testing.assert_close(landscape.gradient(), terms.gradient(), rtol=1e-11, atol=1e-14)
        v = landscape.space.randn()
        torch.testing.assert_close(tw.hessian(landscape) @ v, tw.hessian(terms) @ v, rtol=1e-11, atol=1e-13)
    assert ragged.weight == N


def test_train_mode_is_the_landscape_of_batch_statistics():
    """There the batch is the unit: the sum over batches of what the module computes in train mode."""
    model = cnn()
    tensors = (randn(20, 1, 6, 6), classes(20))
    halves = cut(tensors, 12, 8)
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), halves, mode="train")
    reference = cnn().train()
    losses = [float(functional.cross_entropy(reference(x).detach(), y)) for x, y in halves]
    assert landscape.loss() == pytest.approx((12 * losses[0] + 8 * losses[1]) / 20, rel=1e-12)
    whole = tw.Landscape(model, tw.objectives.cross_entropy(), cut(tensors, 20), mode="train")
    assert abs(whole.loss() - landscape.loss()) > 1e-4
    # In one process the landscape repeats, since the running statistics do not move.
    assert landscape.loss() == landscape.loss()


def test_a_loss_of_single_precision_is_summed_in_double():
    """10⁵ equal terms: a running sum in single precision would lose digits."""
    model = scrambled(nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model.weight.fill_(1.1)
    inputs = torch.ones(100_000, 1)
    landscape = tw.Landscape(
        model, tw.objectives.mse(), list(zip(inputs.split(1000), (0 * inputs).split(1000), strict=True))
    )
    term = float(torch.tensor(1.1) ** 2)
    assert landscape.loss() == pytest.approx(term, rel=1e-12)

"""What an objective says where batch, model and objective do not fit together."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, randn
from tests.unchecked import unchecked
from thalweg import objectives
from thalweg.errors import ArgumentError, ObjectiveError

ONE = torch.tensor([1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: objectives.mse().terms(randn(3, 1), (None, randn(3))),
            (
                r"mse: expected outputs and targets of one shape, got \(3, 1\) and \(3,\)\. Reshape the targets, "
                r"for instance with targets\.unsqueeze\(-1\)\."
            ),
        ),
        (
            lambda: objectives.squared_error().terms(randn(3), (None, randn(3, 1))),
            r"squared_error: expected outputs and targets of one shape",
        ),
        (
            lambda: objectives.binary_cross_entropy().terms(randn(2, 1), (None, randn(2))),
            r"binary_cross_entropy: expected outputs and",
        ),
        (
            lambda: objectives.mse().terms((randn(2),), (None, randn(2))),
            r"mse: expected the model to return a tensor, got tuple\.",
        ),
        (
            lambda: objectives.cross_entropy().terms([1], (None, ONE)),
            r"cross_entropy: expected the model to return a tensor, got list\.",
        ),
        (
            lambda: objectives.cross_entropy().terms(randn(3), (None, torch.tensor(1))),
            r"got logits \(3,\) and targets \(\) of torch\.int64\. A dataset must be batched: wrap it in a Data",
        ),
        (
            lambda: objectives.cross_entropy().terms(randn(3, 2), (None, classes(4))),
            r"got logits \(3, 2\) and targets \(4,\)",
        ),
        (
            lambda: objectives.cross_entropy().terms(randn(2, 3), (None, randn(2))),
            r"expected class indices of torch\.int64, got torch\.float64",
        ),
        (
            lambda: objectives.cross_entropy(weight=torch.ones(3)).weights((None, randn(2, 3))),
            r"weight: expected None with targets that are probabilities, got class weights",
        ),
        (
            lambda: objectives.mse().outputs(None, {"x": 1}),
            r"mse: expected each batch to be a pair \(inputs, targets\), got a dict with keys \['x'\]",
        ),
        (lambda: objectives.mse().outputs(None, 3), r"got a int\. For other batches"),
        (
            lambda: objectives.causal_lm().weights(torch.zeros(3)),
            r"causal_lm: expected a batch of tokens \(N, T\), .* got a tensor of shape \(3,\)\.",
        ),
        (
            lambda: objectives.causal_lm().weights({"labels": ONE}),
            r"tokens \(N, T\), or a mapping with 'input_ids' of that shape, got a dict with keys \['labels'\]",
        ),
        (
            lambda: objectives.causal_lm().terms(randn(2, 3), torch.zeros(2, 3, dtype=torch.int64)),
            r"causal_lm: expected logits of shape \(N, T, V\) for \(2, 2\) targets, got \(2, 2\)",
        ),
        (
            lambda: objectives.causal_lm().terms(None, torch.zeros(2, 3, dtype=torch.int64)),
            r"causal_lm: expected the model to return logits or an object with \.logits, got NoneType\.",
        ),
        (
            lambda: objectives.huggingface().outputs(None, (1, 2)),
            r"huggingface: expected a mapping with a tensor under 'labels', got a tuple of 2",
        ),
        (
            lambda: objectives.huggingface().terms(randn(2, 3, 4), {"labels": ONE}),
            (
                r"huggingface classification: expected logits \(N, C\) and labels \(N,\), got \(2, 3, 4\) and \(1,\)\. "
                r"For a loss a token pass task='token-classification' or 'causal-lm'\."
            ),
        ),
        (
            lambda: objectives.cross_entropy().terms(randn(3, 4), (None, torch.tensor([0, -100, 4]))),
            r"cross_entropy: expected classes from 0 to 3, or -100 where masked, got 4\.",
        ),
        (
            lambda: objectives.cross_entropy(ignore_index=0).terms(
                randn(2, 3, 2), (None, torch.tensor([[0, 1], [-1, 2]]))
            ),
            r"cross_entropy: expected classes from 0 to 2, or 0 where masked, got -1\.",
        ),
        (
            lambda: objectives.cross_entropy(weight=torch.ones(5)).terms(randn(2, 3), (None, torch.tensor([0, 1]))),
            r"cross_entropy: expected one weight for each of 3 classes, got \(5,\)\.",
        ),
        (
            lambda: objectives.cross_entropy().terms(randn(2, 3), (None, torch.tensor([0, 1], dtype=torch.int32))),
            r"expected class indices of torch\.int64, got torch\.int32\. Convert them by \.long\(\)\.",
        ),
        (
            lambda: objectives.causal_lm().terms(randn(1, 3, 5), torch.tensor([[0, 7, 1]])),
            r"causal_lm: expected classes from 0 to 4, or -100 where masked, got 7\.",
        ),
        (
            lambda: objectives.huggingface().terms(randn(1, 3), {"labels": torch.tensor([3])}),
            r"huggingface classification: expected classes from 0 to 2, or -100 where masked, got 3\.",
        ),
        (
            lambda: objectives.huggingface("regression").terms(randn(2, 3), {"labels": randn(2)}),
            r"huggingface regression: expected labels of the shape of the logits, \(2, 3\), got \(2,\)\.",
        ),
    ],
)
def test_shapes_and_structures(call, message):
    with unchecked(), pytest.raises(ObjectiveError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: objectives.cross_entropy(label_smoothing=1.0),
            r"label_smoothing: expected a number in \[0, 1\), got 1\.0\.",
        ),
        (
            lambda: objectives.cross_entropy(label_smoothing=-0.1),
            r"label_smoothing: expected a number in \[0, 1\), got -0\.1\.",
        ),
        (
            lambda: objectives.cross_entropy(label_smoothing=0.1, weight=torch.ones(3)),
            r"label_smoothing: expected 0 together with class weights; give one of the two\.",
        ),
        (
            lambda: objectives.cross_entropy(weight=[1.0, 2.0]),
            r"weight: expected a tensor with one weight a class, got list\.",
        ),
        (
            lambda: objectives.huggingface("chess"),
            r"task: expected 'classification', .* or 'regression', got 'chess'\.",
        ),
    ],
)
def test_arguments(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("value", [torch.ones(2), 1.0, None])
def test_a_black_box_returns_a_scalar(value):
    got = r"shape \(2,\)" if isinstance(value, torch.Tensor) else type(value).__name__
    box = objectives.from_function(lambda model, batch: value, len)
    with (
        unchecked(),
        pytest.raises(ObjectiveError, match=rf"loss: expected a scalar tensor, the mean over the batch, got {got}\."),
    ):
        box.outputs(None, [1])


class Transformer(nn.Module):
    """What a model of transformers looks like from outside."""

    def __init__(self, loss_type: str | None) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3).double()
        self.loss_type = loss_type

    def forward(self, pixel_values):
        return SimpleNamespace(logits=self.body(pixel_values))


def test_a_model_that_declares_another_task_is_refused():
    batches = [{"pixel_values": randn(4, 4), "labels": classes(4)}]
    message = (
        r"task: expected 'token-classification', which Transformer declares by its loss_type, got 'classification'\."
    )
    with pytest.raises(ObjectiveError, match=message):
        tw.Landscape(Transformer("ForMaskedLM"), objectives.huggingface(), batches)
    for declared in ("ForSequenceClassification", "ForImageClassification", None, "ForSomethingNew"):
        tw.Landscape(Transformer(declared), objectives.huggingface(), batches)
    # One class of transformers serves both tasks.
    numbers = [{"pixel_values": randn(4, 4), "labels": randn(4, 3)}]
    tw.Landscape(Transformer("ForSequenceClassification"), objectives.huggingface("regression"), numbers)


def test_a_real_transformer_has_the_loss_that_it_reports():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=8)
    model = transformers.GPT2LMHeadModel(config).eval().double()
    tokens = torch.randint(11, (3, 6), generator=torch.Generator().manual_seed(0))
    batch = transformers.BatchEncoding({"input_ids": tokens, "labels": tokens.masked_fill(tokens == 1, -100)})
    landscape = tw.Landscape(model, objectives.huggingface("causal-lm"), [batch])
    assert landscape.loss() == pytest.approx(float(model(**batch).loss.detach()), rel=1e-6)
    assert tw.verify(tw.hessian(landscape)).passed

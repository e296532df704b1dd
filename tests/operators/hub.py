"""Hugging Face models built from their configurations, tiny and in double precision; nothing is downloaded."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from tests.landscape.models import classes, randn, scrambled, tokens
from tests.operators.twins_of_jacobians import Problem

if not os.environ.get("CI"):
    # Under CI it must not be missing: there the import below fails.
    pytest.importorskip("transformers")

import transformers
from transformers import BatchEncoding

WORDS, LENGTH = 11, 5
Call = Callable[..., Any]


class Hub(NamedTuple):
    """A model with the objective and data that the library gets, and what its naive twins get."""

    model: nn.Module
    objective: Any
    batches: Sequence[Any]
    problem: Problem

    def landscape(self, **options: Any) -> tw.Landscape:
        return tw.Landscape(self.model, self.objective, self.batches, **options)

    @property
    def total(self) -> float:
        """Terms that count."""
        return float(sum(self.problem.weights(batch).sum() for batch in self.batches))

    def own_loss(self, call: Call, batch: Any) -> Tensor:
        """The model's own loss of a batch, a mean, times the terms that count in it."""
        labels = batch["labels"] if "labels" in batch else _shown(batch)
        # Losses of language models are computed in single precision: logits.float().
        with mock.patch.object(Tensor, "float", Tensor.double):
            mean = call(**{**batch, "labels": labels}).loss
        return mean * self.problem.weights(batch).sum()


def _shown(batch: Any) -> Tensor:
    return batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)


def _inputs(batch: Any) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if key != "labels"}


def text(*, labelled: str) -> list[BatchEncoding]:
    """Two batches of token indices with padding, one shorter than the other."""
    batches = []
    for place, (count, length) in enumerate(((3, LENGTH), (2, LENGTH - 1))):
        words = tokens(count, length, WORDS, seed=place + 3)
        shown = torch.ones_like(words)
        shown[0, -2:] = 0
        batch = {"input_ids": words, "attention_mask": shown}
        if labelled == "sequences":
            batch["labels"] = classes(count, seed=place + 1)
        if labelled == "tokens":
            masked = words.masked_fill(shown == 0, -100)
            masked[1, ::2] = -100
            batch["labels"] = masked
        batches.append(BatchEncoding(batch))
    return batches


def images() -> list[dict[str, Tensor]]:
    """Two batches of 6 × 6 pixels."""
    return [{"pixel_values": randn(n, 1, 6, 6, seed=n), "labels": classes(n, seed=n)} for n in (3, 2)]


def _by_item(model: nn.Module, batches: Sequence[Any]) -> Problem:
    return Problem(
        model,
        batches,
        rows=lambda call, batch: call(**_inputs(batch)).logits,
        targets=lambda batch: batch["labels"],
        weights=lambda batch: torch.ones(len(batch["labels"])),
        items=lambda batch: (torch.arange(len(batch["labels"])), len(batch["labels"])),
    )


def _by_token(model: nn.Module, batches: Sequence[Any], shift: int) -> Problem:
    def labels(batch: Any) -> Tensor:
        return (batch["labels"] if "labels" in batch else _shown(batch))[:, shift:]

    def rows(call: Call, batch: Any) -> Tensor:
        logits = call(**_inputs(batch)).logits
        return logits[:, : logits.shape[1] - shift].flatten(end_dim=1)

    def items(batch: Any) -> tuple[Tensor, int]:
        count, length = labels(batch).shape
        return torch.arange(count).repeat_interleave(length), count

    return Problem(
        model,
        batches,
        rows=rows,
        targets=lambda batch: labels(batch).flatten(),
        weights=lambda batch: (labels(batch).flatten() != -100).double(),
        items=items,
    )


_BERT = {
    "vocab_size": WORDS,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": LENGTH,
    "type_vocab_size": 1,
}


def _built(model: nn.Module) -> nn.Module:
    return scrambled(model.double()).eval()


def gpt2_model(attention: str = "sdpa", **options: Any) -> nn.Module:
    settings = {"vocab_size": WORDS, "n_positions": LENGTH, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_inner": 8}
    special = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(**settings, **special, **options, attn_implementation=attention)
    return _built(transformers.GPT2LMHeadModel(config))


def gpt2(attention: str, *, labelled: bool) -> Hub:
    """Next tokens; the head is tied to the embedding."""
    model = gpt2_model(attention)
    batches = text(labelled="tokens" if labelled else "nothing")
    objective = tw.objectives.huggingface("causal-lm") if labelled else tw.objectives.causal_lm()
    return Hub(model, objective, batches, _by_token(model, batches, shift=1))


def bert_classifier(attention: str) -> Hub:
    """Sequences of tokens, three classes."""
    config = transformers.BertConfig(**_BERT, num_labels=3, attn_implementation=attention)
    model = _built(transformers.BertForSequenceClassification(config))
    batches = text(labelled="sequences")
    return Hub(model, tw.objectives.huggingface("classification"), batches, _by_item(model, batches))


def bert_masked(attention: str) -> Hub:
    """Hidden tokens; the head is tied to the embedding."""
    config = transformers.BertConfig(**_BERT, attn_implementation=attention)
    model = _built(transformers.BertForMaskedLM(config))
    batches = text(labelled="tokens")
    return Hub(model, tw.objectives.huggingface("token-classification"), batches, _by_token(model, batches, shift=0))


def vit(attention: str) -> Hub:
    """Images cut into patches."""
    settings = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    pixels = {"image_size": 6, "patch_size": 3, "num_channels": 1}
    config = transformers.ViTConfig(**settings, **pixels, num_labels=3, attn_implementation=attention)
    model = _built(transformers.ViTForImageClassification(config))
    batches = images()
    return Hub(model, tw.objectives.huggingface("classification"), batches, _by_item(model, batches))


def resnet() -> Hub:
    """Convolutions with batch normalisation and a residual block."""
    settings = {"embedding_size": 3, "hidden_sizes": [3, 4], "depths": [1, 1], "layer_type": "basic"}
    config = transformers.ResNetConfig(num_channels=1, **settings, num_labels=3, hidden_act="tanh")
    model = _built(transformers.ResNetForImageClassification(config))
    batches = images()
    return Hub(model, tw.objectives.huggingface("classification"), batches, _by_item(model, batches))


HUBS: dict[str, Callable[[], Hub]] = {
    "gpt2, sdpa": lambda: gpt2("sdpa", labelled=True),
    "gpt2, eager, no labels": lambda: gpt2("eager", labelled=False),
    "bert classifier, sdpa": lambda: bert_classifier("sdpa"),
    "bert classifier, eager": lambda: bert_classifier("eager"),
    "bert masked, sdpa": lambda: bert_masked("sdpa"),
    "vit, sdpa": lambda: vit("sdpa"),
    "vit, eager": lambda: vit("eager"),
    "resnet": resnet,
}

"""Next-token prediction."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ObjectiveError
from thalweg.objectives._classification import draw_class, score_class
from thalweg.objectives._objective import Batch, Objective, Outputs, describe
from thalweg.objectives._terms import cross_entropy_terms


def causal_lm(*, ignore_index: int = -100) -> Objective:
    r"""Cross-entropy of each token given those before it, one term a predicted token.

    A batch is a tensor of token indices (N, T), or a mapping with ``input_ids``, optionally ``labels`` (masked
    tokens at ``ignore_index``) and ``attention_mask`` (where ``labels`` are absent, tokens that it hides are
    masked); every other entry is passed to the model. The logits at position t predict the token at t + 1:
    terms have shape (N, T − 1). The model returns logits (N, T, V) or an object with ``.logits``.

    The mean runs over *tokens* that count, not over sequences or batches. A sample is a sequence. Convex in
    the logits. The metrics are ``accuracy`` and ``perplexity`` = exp(mean loss), infinite above 1e308.

    Args:
        ignore_index: Labels of this value are masked.

    Example:
        >>> objective = causal_lm()
        >>> tokens = torch.tensor([[0, 1, 2]])
        >>> objective.terms(torch.zeros(1, 3, 4), tokens)
        tensor([[1.3863, 1.3863]])
    """
    name = "causal_lm"

    def terms(outputs: Outputs, batch: Batch) -> Tensor:
        targets = _next_tokens(batch, ignore_index, name)
        return token_terms(logits_of(outputs, name)[:, :-1], targets, ignore_index, name)

    def weights(batch: Batch) -> Tensor:
        return (_next_tokens(batch, ignore_index, name) != ignore_index).to(torch.get_default_dtype())

    def draw(outputs: Outputs, generator: torch.Generator) -> Tensor:
        return draw_class(logits_of(outputs, name)[:, :-1].movedim(-1, 1), generator)

    def score(outputs: Outputs, targets: Tensor) -> Tensor:
        return score_class(logits_of(outputs, name)[:, :-1].movedim(-1, 1), targets)

    def metrics(outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        logits = logits_of(outputs, name)[:, :-1]
        targets = _next_tokens(batch, ignore_index, name)
        correct = (logits.argmax(dim=-1) == targets).to(logits.dtype)
        return {"accuracy": correct, "perplexity": token_terms(logits, targets, ignore_index, name)}

    return Objective(
        name=name,
        outputs=_run(name),
        terms=terms,
        weights=weights,
        draw=draw,
        score=score,
        convex=True,
        metrics=metrics,
        finish={"perplexity": _exponential},
    )


def _exponential(mean: float) -> float:
    try:
        return math.exp(mean)
    except OverflowError:
        return math.inf


def token_terms(logits: Tensor, targets: Tensor, ignore_index: int, name: str) -> Tensor:
    """Cross-entropy a token, zero where masked; logits (N, T, V), targets (N, T).

    Raises:
        ObjectiveError: If the shapes do not fit, or a target is no class.
    """
    if logits.ndim != 3 or logits.shape[:2] != targets.shape:
        raise ObjectiveError(
            f"{name}: expected logits of shape (N, T, V) for {tuple(targets.shape)} targets, got {tuple(logits.shape)}."
        )
    flat = cross_entropy_terms(logits.flatten(end_dim=1), targets.flatten(), name, ignore_index=ignore_index)
    return flat.reshape(targets.shape)


def logits_of(outputs: Outputs, name: str) -> Tensor:
    """Return the logits, whether the model returns them or an object that holds them.

    Raises:
        ObjectiveError: If there are none.
    """
    logits = outputs if isinstance(outputs, Tensor) else getattr(outputs, "logits", None)
    if not isinstance(logits, Tensor):
        raise ObjectiveError(
            f"{name}: expected the model to return logits or an object with .logits, got {type(outputs).__name__}."
        )
    return logits


def _run(name: str) -> Callable[[Callable[..., Any], Batch], Outputs]:
    def outputs(model: Callable[..., Any], batch: Batch) -> Outputs:
        if isinstance(batch, Tensor):
            return model(batch)
        _tokens(batch, name)
        return model(**{key: value for key, value in batch.items() if key != "labels"})

    return outputs


def _tokens(batch: Batch, name: str) -> Tensor:
    tokens = batch if isinstance(batch, Tensor) else batch.get("input_ids") if isinstance(batch, Mapping) else None
    if not isinstance(tokens, Tensor) or tokens.ndim != 2:
        raise ObjectiveError(
            f"{name}: expected a batch of tokens (N, T), or a mapping with 'input_ids' of that shape, "
            f"got {describe(batch)}."
        )
    return tokens


def _next_tokens(batch: Batch, ignore_index: int, name: str) -> Tensor:
    labels = _tokens(batch, name)
    if isinstance(batch, Mapping):
        if "labels" in batch:
            labels = batch["labels"]
        elif "attention_mask" in batch:
            labels = labels.masked_fill(batch["attention_mask"] == 0, ignore_index)
    return labels[:, 1:]

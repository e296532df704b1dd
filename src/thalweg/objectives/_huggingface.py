"""Models that take a mapping and return an object with logits."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.objectives._classification import draw_class, score_class
from thalweg.objectives._language import causal_lm, logits_of, token_terms
from thalweg.objectives._objective import Batch, Objective, Outputs, describe
from thalweg.objectives._terms import cross_entropy_terms

Task = Literal["classification", "token-classification", "causal-lm", "regression"]
_LOSSES = {
    "ForSequenceClassification": "classification",
    "ForImageClassification": "classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "token-classification",
    "ForCausalLM": "causal-lm",
}


def huggingface(task: Task = "classification", *, ignore_index: int = -100) -> Objective:
    """The loss of a Hugging Face model, computed here from its logits so that every term is known.

    A batch is a mapping (a ``dict``, a ``BatchEncoding``) with ``labels``; the other entries are passed to
    the model as keyword arguments, which returns an object with ``.logits``.

    ==========================  ==================  =============  ================================
    task                        logits              labels         term
    ==========================  ==================  =============  ================================
    ``"classification"``        (N, C)              (N,)           cross-entropy of a sample
    ``"token-classification"``  (N, T, C)           (N, T)         cross-entropy of a token; masked
                                                                   language models too
    ``"causal-lm"``             (N, T, V)           (N, T)         see :func:`causal_lm`
    ``"regression"``            (N, 1) or (N, C)    (N,) or (N,C)  squared error of an entry
    ==========================  ==================  =============  ================================

    Args:
        task: What the logits mean. A model that declares another one (``model.loss_type``) is refused.
        ignore_index: Labels of this value are masked.

    Raises:
        ArgumentError: If ``task`` is none of the four.

    Example:
        >>> batch = {"pixel_values": torch.zeros(2, 3), "labels": torch.tensor([0, 1])}
        >>> huggingface().terms(torch.zeros(2, 2), batch)
        tensor([0.6931, 0.6931])
    """
    run = _run(task)
    if task == "causal-lm":
        return dataclasses.replace(causal_lm(ignore_index=ignore_index), name="huggingface causal-lm", outputs=run)
    if task == "regression":
        return Objective(name="huggingface regression", outputs=run, terms=_squares, convex=True)
    if task not in ("classification", "token-classification"):
        raise ArgumentError(
            f"task: expected 'classification', 'token-classification', 'causal-lm' or 'regression', got {task!r}."
        )
    name = f"huggingface {task}"

    def terms(outputs: Outputs, batch: Batch) -> Tensor:
        logits, labels = logits_of(outputs, name), _labels(batch)
        if task == "token-classification":
            return token_terms(logits, labels, ignore_index, name)
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ObjectiveError(
                f"{name}: expected logits (N, C) and labels (N,), got {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}. For a loss a token pass task='token-classification' or 'causal-lm'."
            )
        return cross_entropy_terms(logits, labels, name, ignore_index=ignore_index)

    def weights(batch: Batch) -> Tensor:
        return (_labels(batch) != ignore_index).to(torch.get_default_dtype())

    def metrics(outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        logits = logits_of(outputs, name)
        return {"accuracy": (logits.argmax(dim=-1) == _labels(batch)).to(logits.dtype)}

    def draw(outputs: Outputs, generator: torch.Generator) -> Tensor:
        return draw_class(logits_of(outputs, name).movedim(-1, 1), generator)

    def score(outputs: Outputs, targets: Tensor) -> Tensor:
        return score_class(logits_of(outputs, name).movedim(-1, 1), targets)

    return Objective(
        name=name,
        outputs=run,
        terms=terms,
        weights=weights,
        draw=draw,
        score=score,
        convex=True,
        metrics=metrics,
    )


def _run(task: str) -> Callable[[Callable[..., Any], Batch], Outputs]:
    def outputs(model: Callable[..., Any], batch: Batch) -> Outputs:
        _labels(batch)
        declared = _LOSSES.get(str(getattr(model, "loss_type", None)), task)
        if declared != task and not (task == "regression" and declared == "classification"):
            raise ObjectiveError(
                f"task: expected {declared!r}, which {type(model).__name__} declares by its loss_type, got {task!r}."
            )
        return model(**{key: value for key, value in batch.items() if key != "labels"})

    return outputs


def _labels(batch: Batch) -> Tensor:
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    if not isinstance(labels, Tensor):
        raise ObjectiveError(f"huggingface: expected a mapping with a tensor under 'labels', got {describe(batch)}.")
    return labels


def _squares(outputs: Outputs, batch: Batch) -> Tensor:
    labels = _labels(batch)
    logits = logits_of(outputs, "huggingface regression")
    if labels.ndim == 1 and logits.ndim == 2 and logits.shape[1] == 1:
        logits = logits.squeeze(1)
    if logits.shape != labels.shape:
        raise ObjectiveError(
            f"huggingface regression: expected labels of the shape of the logits, {tuple(logits.shape)}, "
            f"got {tuple(labels.shape)}."
        )
    return (logits - labels).square()

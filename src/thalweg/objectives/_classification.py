"""Cross-entropies: categorical and binary."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.objectives._objective import Batch, Objective, Outputs, call, pair, same_shape
from thalweg.objectives._terms import cross_entropy_terms


def cross_entropy(*, weight: Tensor | None = None, ignore_index: int = -100, label_smoothing: float = 0.0) -> Objective:
    r"""Categorical cross-entropy of logits, :math:`\ell = -\log \mathrm{softmax}(f)_y`.

    Batches are pairs (inputs, targets). Logits have shape (N, C) or (N, C, …), targets hold class indices of
    shape (N) or (N, …), or probabilities of the shape of the logits. The mean is that of
    ``torch.nn.CrossEntropyLoss``: masked terms have weight zero, and with class weights
    :math:`L = \sum_j w_{y_j} \ell_j / \sum_j w_{y_j}`. Convex in the logits. The metric is ``accuracy``. With
    smoothed labels it is no likelihood, so that there is no ``draw``.

    Args:
        weight: One weight a class, shape (C,); for class indices only.
        ignore_index: Targets of this value are masked.
        label_smoothing: In [0, 1); mixes the target with the uniform distribution.

    Raises:
        ArgumentError: If ``label_smoothing`` is out of range or combined with ``weight`` (torch's own
            combination of the two is not a weighted mean of terms).
        ObjectiveError: From the terms or weights, if logits and targets do not fit together, a target is no class, or
            targets that are probabilities meet class weights.

    Example:
        >>> objective = cross_entropy()
        >>> logits, batch = torch.zeros(2, 4), (None, torch.tensor([1, -100]))
        >>> objective.terms(logits, batch), objective.weights(batch)
        (tensor([1.3863, 0.0000]), tensor([1., 0.]))
    """
    if not 0 <= label_smoothing < 1:
        raise ArgumentError(f"label_smoothing: expected a number in [0, 1), got {label_smoothing}.")
    if weight is not None and not isinstance(weight, Tensor):
        raise ArgumentError(f"weight: expected a tensor with one weight a class, got {type(weight).__name__}.")
    if weight is not None and label_smoothing > 0:
        raise ArgumentError("label_smoothing: expected 0 together with class weights; give one of the two.")
    name = "cross_entropy"

    def terms(outputs: Outputs, batch: Batch) -> Tensor:
        targets = pair(batch, name)[1]
        logits = _logits(outputs, targets)
        if weight is not None and weight.shape != logits.shape[1:2]:
            raise ObjectiveError(
                f"cross_entropy: expected one weight for each of {logits.shape[1]} classes, got {tuple(weight.shape)}."
            )
        return cross_entropy_terms(logits, targets, name, ignore_index=ignore_index, label_smoothing=label_smoothing)

    def weights(batch: Batch) -> Tensor:
        targets = pair(batch, name)[1]
        if targets.is_floating_point():
            if weight is not None:
                raise ObjectiveError(
                    "weight: expected None with targets that are probabilities, got class weights. Use class indices, "
                    "or an objective of your own."
                )
            return targets.new_ones(targets.shape[:1] + targets.shape[2:])
        kept = targets != ignore_index
        if weight is None:
            return kept.to(torch.get_default_dtype())
        return weight.to(targets.device)[torch.where(kept, targets, 0)] * kept

    return Objective(
        name=name,
        outputs=_run(name),
        terms=terms,
        weights=weights,
        draw=draw_class if label_smoothing == 0 else None,
        score=score_class,
        convex=True,
        metrics=lambda outputs, batch: {"accuracy": _correct(outputs, pair(batch, name)[1])},
    )


def binary_cross_entropy() -> Objective:
    r"""Binary cross-entropy of logits, :math:`\ell = \log(1 + e^{f}) - y f`, one term an output.

    Batches are pairs (inputs, targets), targets in [0, 1] of the shape of the outputs. The mean runs over
    all entries, as in ``torch.nn.BCEWithLogitsLoss``. Convex in the logits. The metric is ``accuracy``.

    Example:
        >>> binary_cross_entropy().terms(torch.zeros(2), (None, torch.tensor([0.0, 1.0])))
        tensor([0.6931, 0.6931])
    """
    name = "binary_cross_entropy"

    def terms(outputs: Outputs, batch: Batch) -> Tensor:
        targets = pair(batch, name)[1]
        logits = same_shape(outputs, targets, name)
        return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")

    def draw(outputs: Outputs, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(outputs), generator=generator)

    return Objective(
        name=name,
        outputs=_run(name),
        terms=terms,
        draw=draw,
        score=lambda outputs, targets: functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none"),
        convex=True,
        metrics=lambda outputs, batch: {"accuracy": ((outputs > 0) == (pair(batch, name)[1] > 0.5)).to(outputs.dtype)},
    )


def _run(name: str) -> Callable[[Callable[..., Any], Batch], Outputs]:
    return lambda model, batch: call(model, pair(batch, name)[0])


def _logits(outputs: Outputs, targets: Tensor) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise ObjectiveError(f"cross_entropy: expected the model to return a tensor, got {type(outputs).__name__}.")
    expected = outputs.shape[:1] + outputs.shape[2:]
    probabilities = targets.shape == outputs.shape and targets.is_floating_point()
    if outputs.ndim < 2 or (targets.shape != expected and not probabilities):
        raise ObjectiveError(
            "cross_entropy: expected logits of shape (N, C) or (N, C, ...) and targets of shape (N) or (N, ...), "
            f"or probabilities of the logits' shape, got logits {tuple(outputs.shape)} and targets "
            f"{tuple(targets.shape)} of {targets.dtype}. A dataset must be batched: wrap it in a DataLoader."
        )
    if not probabilities and targets.dtype not in (torch.int64, torch.uint8):
        raise ObjectiveError(
            f"cross_entropy: expected class indices of torch.int64, got {targets.dtype}. Convert them by .long()."
        )
    return outputs


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    truth = targets.argmax(dim=1) if targets.is_floating_point() else targets
    return (outputs.argmax(dim=1) == truth).to(outputs.dtype)


def draw_class(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Draw class indices from logits (N, C) or (N, C, ...)."""
    probabilities = outputs.movedim(1, -1).softmax(dim=-1)
    drawn = torch.multinomial(probabilities.flatten(end_dim=-2), 1, generator=generator)
    return drawn.reshape(probabilities.shape[:-1])


def score_class(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of drawn class indices, logits (N, C) or (N, C, ...)."""
    # No index means "masked" here, whatever it means in the data.
    return functional.nll_loss(outputs.log_softmax(dim=1), targets, ignore_index=-1, reduction="none")

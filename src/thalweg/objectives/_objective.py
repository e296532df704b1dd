"""What is summed to make a loss: the parts of an objective."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import ObjectiveError

Batch = Any
Outputs = Any


@dataclass(frozen=True)
class Objective:
    r"""The terms of a loss :math:`L = \sum_j w_j \ell_j / \sum_j w_j` and their weights.

    An objective is a handful of functions; :func:`dataclasses.replace` makes a new one from an old one.

    Attributes:
        name: For messages and reports.
        outputs: ``outputs(model, batch)`` runs the model.
        terms: ``terms(outputs, batch)``, one loss ℓ a term, any shape with at least one axis.
        weights: ``weights(batch)``, one weight w ≥ 0 a term, of the shape of the terms (zero for masked
            ones); ``None`` means ones.
        sample_of: ``sample_of(batch)``, the index within the batch of the data item that each term belongs
            to, of the shape of the terms; ``None`` means the index along their first axis.
        draw: ``draw(outputs, generator)``, targets from the model's own distribution, the batch along their first
            axis; ``None`` where the objective is no likelihood.
        score: ``score(outputs, targets)``, the terms of drawn targets, none of them masked.
        convex: Whether ℓ is convex in the outputs, so that the generalized Gauss–Newton matrix is positive
            semi-definite.
        metrics: ``metrics(outputs, batch)``, further quantities by name, one value a term, averaged with
            the same weights; ``None`` for none.
        finish: What is done to a mean to make the metric of that name, for instance ``math.exp`` for a
            perplexity from a mean loss.
        splits: Whether a batch may be cut along its first axis into micro-batches.

    Example:
        >>> import dataclasses
        >>> import torch
        >>> from thalweg.objectives import squared_error
        >>> absolute = dataclasses.replace(
        ...     squared_error(), name="absolute error", terms=lambda f, batch: (f - batch[1]).abs().sum(dim=-1)
        ... )
        >>> absolute.terms(torch.tensor([[1.0, 2.0]]), (None, torch.tensor([[0.0, 0.0]])))
        tensor([3.])
    """

    name: str
    outputs: Callable[[Callable[..., Any], Batch], Outputs]
    terms: Callable[[Outputs, Batch], Tensor]
    weights: Callable[[Batch], Tensor] | None = None
    sample_of: Callable[[Batch], Tensor] | None = None
    draw: Callable[[Outputs, torch.Generator], Tensor] | None = None
    score: Callable[[Outputs, Tensor], Tensor] | None = None
    convex: bool = False
    metrics: Callable[[Outputs, Batch], Mapping[str, Tensor]] | None = None
    finish: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    splits: bool = True


def pair(batch: Batch, objective: str) -> tuple[Any, Tensor]:
    """Take a batch apart into inputs and targets.

    Raises:
        ObjectiveError: If the batch is not a pair whose second part is a tensor.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor):
        return batch[0], batch[1]
    raise ObjectiveError(
        f"{objective}: expected each batch to be a pair (inputs, targets), got {describe(batch)}. "
        "For other batches use an objective of your own: dataclasses.replace(objective, outputs=..., terms=...)."
    )


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """Call the model: mappings become keyword arguments, tuples and lists positional ones."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def same_shape(outputs: Outputs, targets: Tensor, objective: str) -> Tensor:
    """Return the outputs if they have the shape of the targets; broadcasting here hides mistakes.

    Raises:
        ObjectiveError: If the shapes differ.
    """
    if not isinstance(outputs, Tensor):
        raise ObjectiveError(f"{objective}: expected the model to return a tensor, got {type(outputs).__name__}.")
    if outputs.shape != targets.shape:
        raise ObjectiveError(
            f"{objective}: expected outputs and targets of one shape, got {tuple(outputs.shape)} and "
            f"{tuple(targets.shape)}. Reshape the targets, for instance with targets.unsqueeze(-1)."
        )
    return outputs


def describe(batch: Batch) -> str:
    """Say in a few words what a batch is."""
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"a {type(batch).__name__} with keys {sorted(map(str, batch))}"
    if isinstance(batch, (tuple, list)):
        return f"a {type(batch).__name__} of {len(batch)}: {[type(part).__name__ for part in batch]}"
    return f"a {type(batch).__name__}"

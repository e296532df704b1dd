"""Model and objective as one function of the model's tensors and a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import DataError, ObjectiveError
from thalweg.landscape._batches import Batch
from thalweg.landscape._kernels import unusable_kernel
from thalweg.objectives import Objective

Outputs = Any


@dataclass(frozen=True)
class Terms:
    """The terms of one batch.

    Attributes:
        values: ℓ, any shape.
        weights: w, of the same shape, in double precision.
        sample: Index of the data item of each term within the batch, of the same shape; ``None`` for the
            index along the first axis.
        metrics: Further values a term.
    """

    values: Tensor
    weights: Tensor
    sample: Tensor | None
    metrics: Mapping[str, Tensor]

    def weighted_sum(self) -> Tensor:
        """Σ wℓ, a scalar with a graph, summed in double precision."""
        return (self.weights * self.values.to(self.weights.dtype)).sum()

    def item_sums(self) -> Tensor:
        """Σ wℓ of every data item of the batch, with a graph, summed in double precision."""
        weighted = self.weights * self.values.to(self.weights.dtype)
        if self.sample is None:
            return weighted.reshape(len(weighted), -1).sum(dim=1)
        index = self.sample.reshape(-1).to(weighted.device)
        return weighted.new_zeros(int(index.max()) + 1).index_add(0, index, weighted.reshape(-1))


class Program(nn.Module):
    """Holds the user's model as a child, so that a functional call can swap its tensors."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Outputs:
        """Run the model on a batch."""
        return self.objective.outputs(self.model, batch)


def terms_of(objective: Objective, outputs: Outputs, batch: Batch, *, metrics: bool = False) -> Terms:
    """Compute the terms from what the model returned; with ``metrics`` the objective's further quantities too.

    Raises:
        DataError: If the batch has no batch axis.
        ObjectiveError: If weights or metrics have another shape than the terms.
    """
    values = objective.terms(outputs, batch)
    if not isinstance(values, Tensor) or values.ndim == 0:
        raise DataError(
            f"data: expected batches with a leading batch axis, but the terms of {objective.name} are a scalar. "
            "A dataset must be batched: wrap it in a DataLoader, or pass [(inputs, targets)]."
        )
    # The sum over many terms loses digits in single precision; MPS alone has no double.
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    if objective.weights is None:
        weights = torch.ones_like(values, dtype=wide, requires_grad=False)
    else:
        weights = objective.weights(batch).to(values.device, wide)
    if weights.shape != values.shape:
        raise ObjectiveError(
            f"weights: expected the shape of the terms of {objective.name}, {tuple(values.shape)}, "
            f"got {tuple(weights.shape)}."
        )
    sample = None if objective.sample_of is None else objective.sample_of(batch)
    extra = objective.metrics(outputs, batch) if metrics and objective.metrics is not None else {}
    for name, value in extra.items():
        if value.shape != values.shape:
            raise ObjectiveError(
                f"metrics: expected {name} of the shape of the terms of {objective.name}, {tuple(values.shape)}, "
                f"got {tuple(value.shape)}."
            )
    # A masked term may be infinite or NaN in itself; its weight says that it does not exist.
    values = torch.where(weights == 0, torch.zeros_like(values), values)
    return Terms(values, weights, sample, extra)


def run(program: Program, tensors: Mapping[str, Tensor] | None, batch: Batch) -> Outputs:
    """Run the program's model with other tensors in the place of its own, or with those that it holds if ``None``.

    Raises:
        ArgumentError: If an operation has no kernel for the type of the tensors.
        DeterminismError: If one has none that repeats itself, where torch has been told to ask for it.
    """
    try:
        if tensors is None:
            return program(batch)
        return functional_call(program, {f"model.{name}": tensor for name, tensor in tensors.items()}, (batch,))
    except RuntimeError as error:
        missing = unusable_kernel(error)
        if missing is None:
            raise
        raise missing from error

"""Refuse wrong arguments before anything is computed."""

from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import ArgumentError
from thalweg.objectives import Objective
from thalweg.vectors import VectorSpace


def check_arguments(model: Any, objective: Any, mode: Any, microbatch: Any, dtype: Any) -> None:
    """Check what a landscape is made of.

    Raises:
        ArgumentError: If one has a wrong type or value, or two do not go together.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: expected a torch.nn.Module, got {type(model).__name__}.")
    if not isinstance(objective, Objective):
        raise ArgumentError(
            f"objective: expected one from thalweg.objectives, got {type(objective).__name__}. "
            "Wrap a loss function with thalweg.objectives.from_function(loss, count)."
        )
    if mode not in ("eval", "train"):
        raise ArgumentError(f"mode: expected 'eval' or 'train', got {mode!r}.")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ArgumentError(f"dtype: expected a floating-point type, got {dtype!r}.")
    if microbatch is None:
        return
    if isinstance(microbatch, bool) or not isinstance(microbatch, int) or microbatch < 1:
        raise ArgumentError(f"microbatch: expected a whole number of at least 1, got {microbatch!r}.")
    if mode == "train":
        raise ArgumentError(
            "microbatch: expected None with mode='train', where the batch is the unit: batch statistics of a part "
            "of a batch are others than those of the whole."
        )
    if not objective.splits:
        raise ArgumentError(
            f"microbatch: expected None with {objective.name}, which sees a batch as a whole; cut the data instead."
        )


def require_vector(vector: Any, space: VectorSpace, name: str) -> None:
    """Check that a vector belongs to a space.

    Raises:
        ArgumentError: If it has another type, shape, dtype or device.
    """
    if not isinstance(vector, Tensor):
        raise ArgumentError(f"{name}: expected a tensor of shape ({space.size},), got {type(vector).__name__}.")
    if tuple(vector.shape) != (space.size,):
        raise ArgumentError(f"{name}: expected shape ({space.size},), got {tuple(vector.shape)}.")
    if vector.dtype != space.dtype or vector.device != space.device:
        raise ArgumentError(
            f"{name}: expected {space.dtype} on {space.device}, got {vector.dtype} on {vector.device}. "
            f"Convert it with {name}.to({str(space.device)!r}, {space.dtype})."
        )

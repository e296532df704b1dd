"""Refuse wrong arguments before anything is computed."""

from typing import Any

import torch
from torch import nn

from thalweg.errors import ArgumentError
from thalweg.objectives import Objective


def check_arguments(
    model: Any, objective: Any, mode: Any, microbatch: Any, device: Any, dtype: Any, autocast: Any
) -> None:
    """Check what a landscape is made of.

    Raises:
        ArgumentError: If one has a wrong type or value, or two do not go together.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: expected a torch.nn.Module, got {type(model).__name__}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise ArgumentError(
            f"model: expected a module in Python, got {type(model).__name__}, whose parameters cannot be put in "
            "another place. Pass the module that it was made from."
        )
    if not isinstance(objective, Objective):
        raise ArgumentError(
            f"objective: expected one from thalweg.objectives, got {type(objective).__name__}. "
            "Wrap a loss function with thalweg.objectives.from_function(loss, count)."
        )
    if mode not in ("eval", "train"):
        raise ArgumentError(f"mode: expected 'eval' or 'train', got {mode!r}.")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ArgumentError(f"dtype: expected a floating-point type, got {dtype!r}.")
    if autocast not in (None, torch.bfloat16, torch.float16):
        raise ArgumentError(f"autocast: expected torch.bfloat16, torch.float16 or None, got {autocast!r}.")
    if device is not None:
        check_device(device)
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


def check_device(device: Any) -> None:
    """Check that something can be computed there.

    Raises:
        ArgumentError: If PyTorch does not know the device, or this machine has none.
    """
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(f"device: expected one that torch can use here, got {device!r} ({reason}).") from None
    if place.type == "meta":
        raise ArgumentError("device: expected one that holds values, got 'meta'.")

"""Models whose first parameters are a function of a generator alone."""

import math
from collections.abc import Callable

import torch
from torch import nn

from thalweg.errors import ArgumentError


def initialised(build: Callable[[], nn.Module], generator: torch.Generator | None) -> nn.Module:
    """Build a model and draw its parameters from ``generator``; the global random state is left alone.

    Weights and biases of linear and convolutional layers are uniform on ±1/√fan_in, as PyTorch's own
    are (for weights that is Kaiming's rule with a = √5); scales of normalisations are 1, their shifts 0.
    Parameters are drawn on the processor in the order of ``model.modules()``, so that a seed gives the
    same network everywhere. ``None`` is a fresh generator with seed 0.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    # Layers draw from the global generator when they are made; on the meta device they draw nothing.
    with torch.device("meta"):
        model = build()
    model.to_empty(device="cpu")
    for layer in model.modules():
        _initialise(layer, generator)
    return model


@torch.no_grad()
def _initialise(layer: nn.Module, generator: torch.Generator) -> None:
    if isinstance(layer, (nn.Linear, nn.Conv2d)):
        bound = 1 / math.sqrt(layer.weight[0].numel())
        _fill(layer.weight, bound, generator)
        if layer.bias is not None:
            _fill(layer.bias, bound, generator)
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
        layer.reset_parameters()
    elif any(True for _ in layer.parameters(recurse=False)):
        raise ArgumentError(
            f"build: expected linear, convolutional and normalisation layers, got {type(layer).__name__}, "
            "for which there is no rule of initialisation."
        )


def _fill(parameter: torch.Tensor, bound: float, generator: torch.Generator) -> None:
    drawn = torch.rand(parameter.shape, generator=generator, device=generator.device, dtype=parameter.dtype)
    parameter.copy_((2 * drawn - 1) * bound)

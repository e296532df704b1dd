"""ResNet-20, the smallest of the CIFAR residual networks."""

from typing import Literal

import torch
from torch import nn

from thalweg.errors import ArgumentError
from thalweg.models._residual import residual_network
from thalweg.models._switches import Activation, Norm

Shortcut = Literal["pad", "projection"]


def resnet20(
    in_channels: int,
    classes: int,
    *,
    width: float = 1.0,
    norm: Norm | None = "batch",
    skip: bool = True,
    shortcut: Shortcut = "pad",
    activation: Activation = "relu",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build the 20-layer network of He et al. (2016, section 4.2): three stages of three blocks, 16-32-64 channels.

    Twenty layers with weights: the 3 × 3 stem, 18 convolutions in the blocks, and a linear layer after the
    mean over pixels. The two blocks that halve the resolution have the shortcut of He's option A ("pad":
    every second pixel, zeros for the new channels, no parameters) or B ("projection": a normalised 1 × 1
    convolution). With 3 input channels and 10 classes it has 269,722 parameters, 272,474 with projections.
    A normalised convolution has no bias. Parameters start as PyTorch's layers do, not as in the paper.

    Args:
        in_channels: 1 for grey images, 3 for colours.
        classes: Number of outputs.
        width: Multiplies 16, 32 and 64 (rounded, at least 1).
        norm: "batch", "layer" or ``None``. Layer norm runs over channels and pixels.
        skip: Whether blocks have shortcuts.
        shortcut: "pad" or "projection", where a block changes shape.
        activation: "relu", "tanh" or "gelu"; the last two make the loss smooth.
        generator: Of the first parameters, uniform on ±1/√fan_in; ``None`` means seed 0. The global
            random state is not touched.

    Returns:
        A model from (N, in_channels, height, width) to (N, classes).

    Raises:
        ArgumentError: If an argument is out of range, or a projection is asked for without shortcuts.

    Example:
        >>> sum(parameter.numel() for parameter in resnet20(3, 10).parameters())
        269722
    """
    if shortcut not in ("pad", "projection"):
        raise ArgumentError(f"shortcut: expected 'pad' or 'projection', got {shortcut!r}.")
    if not skip and shortcut == "projection":
        raise ArgumentError("shortcut: expected 'pad' (the default) together with skip=False, got 'projection'.")
    return residual_network(
        in_channels,
        classes,
        stages=(16, 32, 64),
        blocks=3,
        project=shortcut == "projection",
        norm=norm,
        skip=skip,
        width=width,
        activation=activation,
        generator=generator,
    )

"""A small residual network for comparisons with the vanilla one."""

import torch
from torch import nn

from thalweg.models._residual import residual_network
from thalweg.models._switches import Activation, Norm


def simple_resnet(
    in_channels: int,
    classes: int,
    *,
    width: float = 1.0,
    norm: Norm | None = "batch",
    skip: bool = True,
    activation: Activation = "relu",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build six residual blocks: a 3 × 3 stem and two blocks each of 64, 128 and 256 channels.

    A block is convolution, normalisation, activation, convolution, normalisation, plus its shortcut, and
    an activation. The first block of the second and of the third pair halves the resolution, and its
    shortcut is a normalised 1 × 1 projection; the others are the identity. Then come the mean over pixels and
    one linear layer, so that any image size will do. A normalised convolution has no bias.

    Args:
        in_channels: 1 for grey images, 3 for colours.
        classes: Number of outputs.
        width: Multiplies 64, 128 and 256 (rounded, at least 1).
        norm: "batch", "layer" or ``None``. Layer norm runs over channels and pixels.
        skip: Whether blocks have shortcuts; without them the network has the same parameters, less the
            projections.
        activation: "relu", "tanh" or "gelu"; the last two make the loss smooth.
        generator: Of the first parameters, uniform on ±1/√fan_in; ``None`` means seed 0. The global
            random state is not touched.

    Returns:
        A model from (N, in_channels, height, width) to (N, classes).

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> model = simple_resnet(1, 10, width=0.125)
        >>> model(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    return residual_network(
        in_channels,
        classes,
        stages=(64, 128, 256),
        blocks=2,
        project=True,
        norm=norm,
        skip=skip,
        width=width,
        activation=activation,
        generator=generator,
    )

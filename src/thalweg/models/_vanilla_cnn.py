"""The convolutional network without shortcuts that residual ones are compared with."""

from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from thalweg.errors import ArgumentError
from thalweg.models._initialise import initialised
from thalweg.models._residual import Residual, convolution, projection
from thalweg.models._switches import Activation, Norm, activation_layer, positive, widened

Pool = Literal["max", "average"]
_POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def vanilla_cnn(
    in_channels: int,
    classes: int,
    *,
    width: float = 1.0,
    norm: Norm | None = None,
    skip: bool = False,
    image_size: int = 32,
    activation: Activation = "relu",
    pool: Pool = "max",
    generator: torch.Generator | None = None,
) -> nn.Module:
    r"""Build three convolutions of 64, 128 and 256 channels and two fully connected layers.

    Each convolution is 3 × 3, followed by its normalisation, the activation and a 2 × 2 pooling; the
    first fully connected layer has 256 units. A normalised convolution has no bias. With ``skip`` the
    input of a convolution, through a 1 × 1 projection, is added to the activation.

    With the widths :math:`c_0 = \mathrm{in\_channels}, c_1, c_2, c_3` and :math:`s` the image's side after
    three halvings, a plain network has
    :math:`\sum_i (9 c_{i-1} + 1) c_i + (s^2 c_3 + 1) c_3 + (c_3 + 1)\,\mathrm{classes}` parameters.

    The loss is smooth only with a smooth activation and ``pool="average"``.

    Args:
        in_channels: 1 for grey images, 3 for colours.
        classes: Number of outputs.
        width: Multiplies 64, 128, 256 and 256 (rounded, at least 1).
        norm: "batch", "layer" or ``None``, after each convolution. Layer norm runs over channels and pixels.
        skip: Whether convolutions have shortcuts.
        image_size: Side of the square images, at least 8.
        activation: "relu", "tanh" or "gelu".
        pool: "max" or "average".
        generator: Of the first parameters, uniform on ±1/√fan_in; ``None`` means seed 0. The global
            random state is not touched.

    Returns:
        A model from (N, in_channels, image_size, image_size) to (N, classes).

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> model = vanilla_cnn(1, 10, width=0.125, image_size=8)
        >>> model(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    positive("in_channels", in_channels)
    positive("classes", classes)
    positive("image_size", image_size, least=8)
    if pool not in _POOLS:
        raise ArgumentError(f"pool: expected one of {sorted(_POOLS)}, got {pool!r}.")
    channels = [in_channels, *(widened(count, width) for count in (64, 128, 256))]
    side = image_size // 8

    def stage(channels_in: int, channels_out: int) -> nn.Module:
        body = nn.Sequential(*convolution(channels_in, channels_out, norm), activation_layer(activation))
        layer = Residual(body, projection(channels_in, channels_out, norm)) if skip else body
        return nn.Sequential(layer, _POOLS[pool](2))

    def build() -> nn.Module:
        stages = [stage(*pair) for pair in pairwise(channels)]
        head = [
            nn.Linear(channels[-1] * side * side, channels[-1]),
            activation_layer(activation),
            nn.Linear(channels[-1], classes),
        ]
        return nn.Sequential(*stages, nn.Flatten(), *head)

    return initialised(build, generator)

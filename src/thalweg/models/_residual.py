"""Residual blocks and the networks made of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from thalweg.models._initialise import initialised
from thalweg.models._switches import activation_layer, norm_layers, positive, widened


class Residual(nn.Module):
    """x ↦ shortcut(x) + body(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Add the two branches."""
        out: Tensor = self.shortcut(x) + self.body(x)
        return out


class Pad(nn.Module):
    """The shortcut without parameters: every ``stride``-th pixel, and zeros for the new channels."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def convolution(
    channels_in: int, channels_out: int, norm: str | None, *, kernel: int = 3, stride: int = 1
) -> list[nn.Module]:
    """Return a convolution that keeps the size (at stride 1) and its normalisation.

    A normalised convolution has no bias: the normalisation has a shift of its own.
    """
    padding = kernel // 2
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=norm is None)
    return [conv, *norm_layers(norm, channels_out, images=True)]


def projection(channels_in: int, channels_out: int, norm: str | None, *, stride: int = 1) -> nn.Module:
    """Return the shortcut with parameters, a 1 × 1 convolution."""
    return nn.Sequential(*convolution(channels_in, channels_out, norm, kernel=1, stride=stride))


def residual_network(
    in_channels: int,
    classes: int,
    *,
    stages: Sequence[int],
    blocks: int,
    project: bool,
    norm: str | None,
    skip: bool,
    width: float,
    activation: str,
    generator: torch.Generator | None,
) -> nn.Module:
    """Build a residual network: a 3 × 3 stem, stages of basic blocks, the mean over pixels, a linear layer.

    Each stage has ``blocks`` blocks of two 3 × 3 convolutions; the first block of every stage but the
    first halves the resolution. Where a block changes shape, its shortcut is a projection or a
    :class:`Pad`; elsewhere it is the identity.
    """
    positive("in_channels", in_channels)
    positive("classes", classes)
    channels = [widened(stage, width) for stage in stages]

    def block(channels_in: int, channels_out: int, stride: int) -> nn.Module:
        body = nn.Sequential(
            *convolution(channels_in, channels_out, norm, stride=stride),
            activation_layer(activation),
            *convolution(channels_out, channels_out, norm),
        )
        if not skip:
            return nn.Sequential(body, activation_layer(activation))
        shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            if project:
                shortcut = projection(channels_in, channels_out, norm, stride=stride)
            else:
                shortcut = Pad(channels_out - channels_in, stride)
        return nn.Sequential(Residual(body, shortcut), activation_layer(activation))

    def build() -> nn.Module:
        layers = [*convolution(in_channels, channels[0], norm), activation_layer(activation)]
        current = channels[0]
        for number, stage in enumerate(channels):
            for index in range(blocks):
                layers.append(block(current, stage, stride=2 if number > 0 and index == 0 else 1))
                current = stage
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(current, classes))

    return initialised(build, generator)

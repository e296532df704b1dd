"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from thalweg.errors import ArgumentError
from thalweg.models._initialise import initialised
from thalweg.models._residual import Residual
from thalweg.models._switches import Activation, Norm, activation_layer, norm_layers, positive, widened


def mlp(
    sizes: Sequence[int],
    activation: Activation = "relu",
    norm: Norm | None = None,
    skip: bool = False,
    bias: bool = True,
    width: float = 1.0,
    generator: torch.Generator | None = None,
) -> nn.Module:
    r"""Build a multilayer perceptron with any number of hidden layers.

    A hidden layer is :math:`h \mapsto \phi(N(Wh + b))` with the activation φ and the normalisation N;
    with ``skip`` it is :math:`h \mapsto h + \phi(N(Wh + b))` wherever it does not change the width, so that
    the switch costs no parameters. The last layer is linear. Images are flattened first.

    A dense network has :math:`\sum_i (n_i + 1)\, n_{i+1}` parameters with biases, and two more for each
    hidden unit with a normalisation.

    Args:
        sizes: Features from input to output, at least two of them; (64, 32, 10) has one hidden layer.
        activation: "relu", "tanh" or "gelu"; the last two make the loss smooth.
        norm: "batch", "layer" or ``None``, between each hidden linear layer and its activation.
        skip: Whether to add the input of a hidden layer to its output.
        bias: Whether linear layers have a bias.
        width: Multiplies the hidden sizes (rounded, at least 1), never the first and the last.
        generator: Of the first parameters, uniform on ±1/√fan_in; ``None`` means seed 0. The global
            random state is not touched.

    Returns:
        A model from (N, …) with ``sizes[0]`` entries a sample to (N, ``sizes[-1]``).

    Raises:
        ArgumentError: If an argument is out of range, or ``skip`` would change nothing since no hidden
            layer keeps the width.

    Example:
        >>> model = mlp((64, 32, 10), activation="tanh")
        >>> sum(parameter.numel() for parameter in model.parameters())
        2410
        >>> model(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    if len(sizes) < 2:
        raise ArgumentError(f"sizes: expected at least two numbers, input and output, got {tuple(sizes)}.")
    for size in sizes:
        positive("sizes", size)
    features = [sizes[0], *(widened(size, width) for size in sizes[1:-1]), sizes[-1]]
    pairs = list(pairwise(features))
    if skip and all(fan_in != fan_out for fan_in, fan_out in pairs[:-1]):
        raise ArgumentError(
            f"skip: expected a hidden layer that keeps the width, got the sizes {tuple(features)}. "
            "Repeat a hidden size, for instance (64, 32, 32, 10), or leave skip off."
        )

    def hidden(fan_in: int, fan_out: int) -> nn.Module:
        layer = nn.Sequential(
            nn.Linear(fan_in, fan_out, bias=bias),
            *norm_layers(norm, fan_out, images=False),
            activation_layer(activation),
        )
        return Residual(layer, nn.Identity()) if skip and fan_in == fan_out else layer

    def build() -> nn.Module:
        layers = [hidden(fan_in, fan_out) for fan_in, fan_out in pairs[:-1]]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(*pairs[-1], bias=bias))

    return initialised(build, generator)

"""The golden networks: small enough to be written down, with numbers known to ten digits."""

import torch
from torch import nn

import thalweg as tw

INPUTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.5]], dtype=torch.float64)
_FIRST_BIAS = [0.1, -0.2, 0.0]
_FIRST = [[0.5, -0.3], [0.8, 0.2], [-0.6, 0.4]]


def g1_model() -> nn.Sequential:
    """2-2-1 tanh."""
    return _network(2, [[1.0, -0.7]], [0.05])


def g1_data() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One batch of four samples with one target each."""
    return [(INPUTS, torch.tensor([[1.0], [-1.0], [0.0], [0.5]], dtype=torch.float64))]


def g1() -> tw.Landscape:
    """The regression network, ½(f − y)²: 9 parameters."""
    return tw.Landscape(g1_model(), tw.objectives.squared_error(), g1_data())


def g2_model() -> nn.Sequential:
    """2-3-3 tanh."""
    second = [[1.0, -0.7, 0.3], [-0.4, 0.6, 0.2], [0.1, -0.5, 0.9]]
    return _network(3, second, [0.05, 0.0, -0.1])


def g2_data() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One batch of four samples with a class each."""
    return [(INPUTS, torch.tensor([0, 1, 2, 1]))]


def g2() -> tw.Landscape:
    """The classification network, cross-entropy: 21 parameters."""
    return tw.Landscape(g2_model(), tw.objectives.cross_entropy(), g2_data())


def _network(hidden: int, second: list[list[float]], second_bias: list[float]) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, len(second))).double()
    values = [_FIRST[:hidden], _FIRST_BIAS[:hidden], second, second_bias]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value, dtype=torch.float64))
    return model

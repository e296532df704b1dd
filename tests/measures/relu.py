"""ReLU networks that compute one function with weights of different scales."""

import copy

import torch
from torch import Tensor, nn

import thalweg as tw
from tests.landscape.models import classes, randn, scrambled


def relu() -> nn.Sequential:
    """4-5-4-3 with biases."""
    layers = [nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)]
    return scrambled(nn.Sequential(*layers).double())


def rescaled(model: nn.Sequential, first: Tensor, second: Tensor) -> nn.Sequential:
    """Multiply what comes into each hidden neuron, and divide what leaves it (Dinh et al., 2017)."""
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for index, factors in ((0, first), (2, second)):
            moved[index].weight.mul_(factors[:, None])
            moved[index].bias.mul_(factors)
            moved[index + 2].weight.div_(factors[None, :])
    return moved


def landscape_of(model: nn.Module, count: int = 12, **options) -> tw.Landscape:
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(count, 4, seed=7), classes(count))], **options)

"""Landscapes whose loss is a formula of the parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

import thalweg as tw


class Point(nn.Module):
    """A parameter vector and nothing else."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, batch: Tensor) -> Tensor:
        return self.theta


def formula(f: Callable[[Tensor], Tensor], theta: list[float]) -> tw.Landscape:
    """L(θ) = f(θ), in double precision."""
    objective = tw.objectives.from_function(lambda model, batch: f(model(batch)), lambda batch: 1)
    return tw.Landscape(Point(torch.tensor(theta, dtype=torch.float64)), objective, [torch.zeros(1)])


def quadratic(matrix: Tensor, slope: Tensor, theta: list[float]) -> tw.Landscape:
    """L(θ) = bᵀθ + ½ θᵀAθ."""
    return formula(lambda t: slope @ t + 0.5 * t @ matrix @ t, theta)

"""Random vectors whose expected outer product is the identity."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.vectors import VectorSpace

Distribution = Literal["rademacher", "gaussian"]


def draw_probes(
    space: VectorSpace, count: int, distribution: Distribution, generator: torch.Generator
) -> Float[Tensor, "p k"]:
    """Draw probe vectors z with E zzᵀ = I.

    Raises:
        ArgumentError: If the distribution is unknown.
    """
    if distribution == "rademacher":
        return space.rademacher(generator, count)
    if distribution == "gaussian":
        return space.randn(generator, count)
    raise ArgumentError(f"distribution: expected 'rademacher' or 'gaussian', got {distribution!r}.")

"""The step from one checkpoint to another."""

from collections.abc import Mapping

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.surfaces._checkpoints import checkpoint_vectors
from thalweg.surfaces._results import Directions

Checkpoint = Tensor | Mapping[str, Tensor] | Landscape


def update_direction(
    before: Checkpoint, after: Checkpoint, *, landscape: Landscape | None = None, label: str = "update"
) -> Directions:
    r"""Take the difference of two checkpoints, :math:`d = \theta' - \theta`, as a direction.

    It is not scaled: the coefficient 0 is the one, 1 the other, and ``norms`` says how far they are apart.

    Cost: none.

    Valid for: checkpoints of one model.

    Args:
        before: θ, a vector (P,), a landscape or a state dict.
        after: θ′.
        landscape: Says what of a state dict to take, and in which order.
        label: Name of the direction.

    Raises:
        ArgumentError: If they do not fit one another, are not finite, or are the same.

    Example:
        >>> print(update_direction(torch.tensor([1.0, 1.0]), torch.tensor([4.0, 5.0]), label="epoch 3"))
        epoch 3 (‖d‖ = 5)
    """
    first, second = checkpoint_vectors([before, after], landscape, "checkpoints", 2)
    difference = (second.double() - first.double()).to(first.dtype)
    length = float(torch.linalg.vector_norm(difference.double()))
    if length == 0:
        raise ArgumentError("after: expected another checkpoint than before, got the same point.")
    return Directions(difference.unsqueeze(1), (label,), (length,), "the difference of two checkpoints")

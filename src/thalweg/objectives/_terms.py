"""Cross-entropy a term, as all objectives over classes take it."""

from torch import Tensor
from torch.nn import functional

from thalweg.errors import ObjectiveError


def cross_entropy_terms(
    logits: Tensor, targets: Tensor, name: str, *, ignore_index: int, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of logits (N, C, ...), zero where masked.

    Raises:
        ObjectiveError: If a target is no class; on an accelerator, PyTorch stops by an error of its own.
    """
    try:
        return functional.cross_entropy(
            logits, targets, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
        )
    except IndexError as error:
        count = logits.shape[1]
        stray = targets[((targets < 0) | (targets >= count)) & (targets != ignore_index)]
        raise ObjectiveError(
            f"{name}: expected classes from 0 to {count - 1}, or {ignore_index} where masked, got {int(stray[0])}."
        ) from error

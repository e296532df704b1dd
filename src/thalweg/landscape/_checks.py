"""Questions asked once, before anything is measured: do the data and the model repeat themselves?"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset, IterableDataset

from thalweg.errors import ArgumentError, DataError, DeterminismError
from thalweg.landscape._survey import Survey

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_SUSPECTS = (
    "the forward pass is random or keeps a state. Look for torch.rand or functional dropout that ignores "
    "model.eval(), or a non-deterministic kernel (torch.use_deterministic_algorithms)"
)


def require_iterable(data: object) -> None:
    """Refuse what cannot be read twice, before it is read once.

    Raises:
        DataError: If ``data`` is a tensor, a dataset of single items, not iterable, or an iterator.
    """
    if isinstance(data, Tensor):
        raise DataError(
            f"data: expected batches that can be iterated over, got a tensor of shape {tuple(data.shape)}. "
            "Pass [(inputs, targets)] for a single batch."
        )
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise DataError(
            f"data: expected batches, got {type(data).__name__}, a dataset of single items. Wrap it in a DataLoader "
            "(with batch_size=None if its items are batches)."
        )
    # Only looked at: to ask a DataLoader for an iterator draws from the global random state.
    if isinstance(data, Iterator):
        raise DataError(
            f"data: expected batches that can be read many times, got {type(data).__name__}, which can be read only "
            "once. Pass list(data), or a DataLoader."
        )
    if not isinstance(data, Iterable) and not hasattr(data, "__getitem__"):
        raise DataError(f"data: expected batches that can be iterated over, got {type(data).__name__}.")


def compare(first: Survey, second: Survey) -> None:
    """Compare two thorough passes over the data.

    Raises:
        DeterminismError: If they disagree; the message names the cause.
        DataError: If the second pass had another number of batches.
    """
    if len(first.losses) != len(second.losses):
        raise DataError(
            f"data: expected the same batches in every pass, got {len(first.losses)} in the first and "
            f"{len(second.losses)} in the second. Data that can be read only once must be kept: pass list(data)."
        )
    if list(first.digests) != list(second.digests):
        pairs = zip(first.index, first.digests, second.digests, strict=True)
        batch = next(index for index, one, other in pairs if one != other)
        same = math.isclose(math.fsum(first.totals), math.fsum(second.totals), rel_tol=1e-7)
        cause = (
            "the same items came in another order. Build the loader with shuffle=False"
            if same
            else "the items themselves changed. Turn random augmentation off, or keep one draw: pass list(data)"
        )
        raise DeterminismError(f"data: expected the same batches in every pass, but in batch {batch} {cause}.")
    # Parallel reductions on some devices differ in the last digits; a random mask differs in the first.
    tolerance = math.sqrt(torch.finfo(first.gradient.dtype).eps)
    for batch, one, other in zip(first.index, first.losses, second.losses, strict=True):
        if not math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3):
            raise DeterminismError(
                f"model: expected the same loss for the same data, but in batch {batch} the summed loss was {one:.9g}, "
                f"then {other:.9g}; {_SUSPECTS}."
            )
    gap = float(torch.linalg.vector_norm(first.gradient - second.gradient))
    size = float(torch.linalg.vector_norm(first.gradient))
    if gap > 10 * tolerance * size + torch.finfo(first.gradient.dtype).tiny:
        raise DeterminismError(
            f"model: expected the same gradient for the same data, but two passes differ by {gap:.3g} "
            f"(norm {size:.3g}); {_SUSPECTS}."
        )


def refuse_by_mode(model: nn.Module, mode: str, *, check: bool) -> None:
    """Refuse what makes results depend on chance or, in eval mode, on how the data are cut.

    Raises:
        ArgumentError: As :func:`refuse_scaled_gradients`, and as :func:`refuse_batch_statistics` in eval mode.
        DeterminismError: As :func:`refuse_dropout`, with ``check``.
    """
    refuse_scaled_gradients(model)
    if check:
        refuse_dropout(model)
    if mode == "eval":
        refuse_batch_statistics(model)


def refuse_dropout(model: nn.Module) -> None:
    """Refuse dropout that is active: two passes may agree by chance where little is dropped.

    Raises:
        DeterminismError: If it is; the message names the modules.
    """
    dropout = active_dropout(model)
    if dropout:
        raise DeterminismError(
            f"model: expected a forward pass that repeats, but dropout is active in {named_once(dropout)}. "
            "Set its p to 0, or measure with mode='eval'."
        )


def refuse_scaled_gradients(model: nn.Module) -> None:
    """Refuse embeddings whose backward pass returns something else than the gradient of the loss.

    Raises:
        ArgumentError: If there is one; the message names the modules.
    """
    kinds = (nn.Embedding, nn.EmbeddingBag)
    found = [
        name or "model"
        for name, module in model.named_modules()
        if isinstance(module, kinds) and module.scale_grad_by_freq
    ]
    if found:
        raise ArgumentError(
            f"model: expected gradients of the loss, but {named_once(found)} divides its own by how often an index "
            "occurs in the batch. Set scale_grad_by_freq=False on it: its values stay what they are."
        )


def refuse_batch_statistics(model: nn.Module) -> None:
    """Refuse batch norm that normalises by the batch in eval mode, too: every result would depend on the batches.

    Raises:
        ArgumentError: If there is any; the message names the modules.
    """
    found = [
        name or "model"
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is None
    ]
    if found:
        raise ArgumentError(
            f"mode: expected 'train', got 'eval': {named_once(found)} has no running statistics and normalises by the "
            "batch, which is then the unit."
        )


def refuse_writes(before: Mapping[str, int], after: Mapping[str, int], mode: str) -> None:
    """Compare how often each tensor of the model had been written into.

    Raises:
        DeterminismError: If the forward pass writes into one that it must leave alone.
    """
    changed = [name for name, count in after.items() if count != before[name]]
    if changed:
        raise DeterminismError(
            f"model: expected parameters and buffers that stay the same in {mode} mode, but the forward pass writes "
            f"into {named_once(changed)}."
        )


def active_dropout(model: nn.Module) -> list[str]:
    """Name the modules that are in train mode and drop something."""
    return [
        f"{name or 'model'} ({type(module).__name__}, p={_dropped(module):g})"
        for name, module in model.named_modules()
        if module.training and _dropped(module) > 0
    ]


def _dropped(module: nn.Module) -> float:
    """The probability with which a module of torch's own drops what passes through it."""
    if isinstance(module, _DROPOUTS):
        return float(module.p)
    if isinstance(module, nn.MultiheadAttention) or (isinstance(module, nn.RNNBase) and module.num_layers > 1):
        return float(module.dropout)
    return 0.0


def named_once(names: Sequence[str], limit: int = 8) -> str:
    """List names, and how many more there are."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

"""Running statistics of batch norm, estimated anew at a point that was never trained."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.errors import ArgumentError, DataError
from thalweg.landscape._batches import Batch
from thalweg.landscape._checks import require_iterable
from thalweg.landscape._landscape import Landscape

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def reestimated_buffers(landscape: Landscape, data: Iterable[Batch] | None = None) -> dict[str, Tensor]:
    r"""Return the buffers of a landscape's model with the statistics of batch norm taken anew at its point.

    .. math:: \mu = \sum_b \frac{n_b}{N}\, \mu_b, \qquad \sigma^2 = \sum_b \frac{n_b}{N}\, s_b^2

    with the mean :math:`\mu_b` and the unbiased variance :math:`s_b^2` of batch b of :math:`n_b` items, in a pass in
    which batch norm normalises by the batch and all else, dropout too, is as in eval mode. For batches of one size
    that is what PyTorch's train mode leaves in fresh statistics with ``momentum=None``; ragged last batches
    count by what they hold. It is what interpolated networks need (Izmailov et al., 2018; Jordan et al., 2023), to be
    given to ``landscape.at(theta, buffers=...)``.

    Cost: one pass without gradients.

    Valid for: modules of PyTorch's batch norm that keep statistics; other buffers, and those of modules that the pass
    does not reach, are returned as they are, as is everything in a model without batch norm. The variance *between*
    batches is left out, as it is in training: large batches in random order make it small, batches of one class each
    do not. With ``microbatch=``, micro-batches are the batches.

    Args:
        landscape: In eval mode, at the point that is asked for; nothing of it is changed.
        data: Other batches to take them from; by default those of the landscape.

    Returns:
        All buffers of the model by name, as copies.

    Raises:
        ArgumentError: If the landscape is in train mode, where its loss does not depend on them.
        DataError: If there are no batches, or one of a single value a channel, which has no variance.

    Example:
        >>> import thalweg as tw
        >>> model = nn.BatchNorm1d(1)
        >>> objective = tw.objectives.mse()
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> landscape = tw.Landscape(model, objective, [(x, x)])
        >>> found = reestimated_buffers(landscape)
        >>> float(found["running_mean"]), float(found["running_var"])
        (2.0, 2.0)
    """
    if landscape.mode != "eval":
        raise ArgumentError(
            "landscape: expected one in eval mode, got train mode, in which the loss does not depend on running "
            "statistics."
        )
    buffers, model = landscape.buffers, landscape.model
    layers = _layers(model)
    if not layers:
        return buffers
    kept = {name: [f"{name}.{part}" if name else part for part in _STATISTICS] for name in layers}
    blank = buffers | {part: torch.zeros_like(buffers[part]) for parts in kept.values() for part in parts}
    source = landscape
    if data is not None:
        require_iterable(data)
        source = landscape.seen_as(landscape.objective, data)
        source = source if landscape.microbatch is None else source.in_pieces(landscape.microbatch)
    sums = {name: [torch.zeros_like(buffers[part], dtype=_wide(buffers[part])) for part in kept[name]] for name in kept}
    weights = dict.fromkeys(kept, 0)
    with source.reading(), torch.no_grad(), normalising_by_batch(model), _averaging(layers.values()):
        leaves = source.leaves(grad=False)
        seen = 0
        for _, batch in source.batches():
            seen += 1
            # Copies of its own, which the pass writes into: each batch begins with none.
            there = source.at(source.theta, buffers=blank)
            try:
                items = len(there.terms(leaves, batch).item_sums())
            except ValueError as error:
                if not str(error).startswith("Expected more than 1 value per channel"):
                    raise
                raise DataError(
                    "data: expected batches of more than one value a channel, which have a variance, got one of a "
                    "single item. Cut the data into larger batches."
                ) from error
            written = there.buffers
            for name, (mean, variance, count) in kept.items():
                if calls := int(written[count]):
                    sums[name][0] += items * written[mean].to(sums[name][0].dtype)
                    sums[name][1] += items * written[variance].to(sums[name][1].dtype)
                    sums[name][2] += calls
                    weights[name] += items
    if not seen:
        raise DataError("data: expected at least one batch, got none.")
    for name, (mean, variance, count) in kept.items():
        if weights[name]:
            buffers[mean] = (sums[name][0] / weights[name]).to(buffers[mean].dtype)
            buffers[variance] = (sums[name][1] / weights[name]).to(buffers[variance].dtype)
            buffers[count] = sums[name][2]
    return buffers


def has_statistics(model: nn.Module) -> bool:
    """Whether there is anything for :func:`reestimated_buffers` to estimate."""
    return bool(_layers(model))


def _layers(model: nn.Module) -> dict[str, _BatchNorm]:
    named = model.named_modules()
    return {name: layer for name, layer in named if isinstance(layer, _BatchNorm) and layer.running_mean is not None}


def _wide(statistic: Tensor) -> torch.dtype:
    if not statistic.is_floating_point():
        return statistic.dtype
    # MPS alone has no double.
    return torch.float32 if statistic.device.type == "mps" else torch.float64


@contextmanager
def normalising_by_batch(model: nn.Module) -> Iterator[None]:
    """Let batch norm normalise by the batch, and all else stay in its mode; inside ``reading()``, which restores modes.

    What it writes goes into the buffers that the model is run with: give it copies.
    """
    for layer in _layers(model).values():
        layer.training = True
    yield


@contextmanager
def _averaging(layers: Iterable[_BatchNorm]) -> Iterator[None]:
    """Let batch norm average what it sees, with equal weights."""
    momenta = [(layer, layer.momentum) for layer in layers]
    try:
        for layer, _ in momenta:
            layer.momentum = None
        yield
    finally:
        for layer, momentum in momenta:
            layer.momentum = momentum

"""The other side of the gradient covariance: inner products of the data items' gradients."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, split
from thalweg.landscape._gradients import gradients_of
from thalweg.memory import free_bytes
from thalweg.operators._covariance import require_items, warn_of_dependence
from thalweg.operators._require import require_landscape
from thalweg.operators.engines import cuttable


def gradient_gram(landscape: Landscape, *, memory: int | Literal["auto"] = "auto") -> Float[Tensor, "n n"]:
    r"""Return the Gram matrix of the centred gradients of the data items.

    .. math:: K_{ij} = \frac1N (g_i - \nabla L)^\top (g_j - \nabla L)

    It has the non-zero eigenvalues of Σ (:func:`gradient_covariance`), and is the smaller matrix for N < P.

    Cost: N gradients of one item while the memory holds them all; with room for m of them, about N/m times as many.
    Where batches cannot be cut, N gradients of a batch.

    Args:
        landscape: Where to differentiate; its objective lets single items be seen.
        memory: Bytes for gradients, or "auto" for half of what is free.

    Raises:
        ArgumentError: If ``memory`` is neither "auto" nor a number of bytes.
        MemoryBudgetError: If ``memory`` does not hold two gradients.
        ObjectiveError: If the objective is a black box.

    Warns:
        DependentItemsWarning: If the model has batch norm in train mode.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> inputs, targets = torch.ones(2, 1), torch.tensor([[1.0], [3.0]])
        >>> gradient_gram(tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)]))
        tensor([[ 0.5000, -0.5000],
                [-0.5000,  0.5000]])
    """
    require_landscape(landscape)
    require_items(landscape, "Gram matrix of gradients")
    warn_of_dependence(landscape)
    space, count = landscape.space, landscape.count
    if memory != "auto" and (isinstance(memory, bool) or not isinstance(memory, int) or memory < 0):
        raise ArgumentError(f"memory: expected 'auto' or a number of bytes, got {memory!r}.")
    budget = free_bytes(space.device) // 2 if memory == "auto" else memory
    each = space.local_size * torch.finfo(space.dtype).bits // 8
    fits = budget // each
    if fits < min(2, count):
        raise MemoryBudgetError(
            f"memory: expected room for at least two gradients, {2 * each:,} bytes, got {budget:,}. Raise it, or "
            "select fewer parameters."
        )
    step = count if fits >= count else int(fits // 2)
    gram = torch.empty(count, count, dtype=space.dtype, device=space.device)
    for first in range(0, count, step):
        rows = _rows(landscape, first, min(first + step, count))
        for second in range(0, first + 1, step):
            others = rows if second == first else _rows(landscape, second, second + step)
            part = space.gram(rows.mT, others.mT)
            gram[first : first + step, second : second + step] = part
            gram[second : second + step, first : first + step] = part.mT
    gram *= count / landscape.weight**2
    # What is subtracted from each gradient is their mean, so that rows and columns are centred.
    return gram - gram.mean(dim=0, keepdim=True) - gram.mean(dim=1, keepdim=True) + gram.mean()


def _rows(landscape: Landscape, start: int, stop: int) -> Tensor:
    """Gradients of the losses Σ wℓ of the items from ``start`` up to ``stop``, (n, P)."""
    space = landscape.space
    rows = torch.empty(stop - start, space.local_size, dtype=space.dtype, device=space.device)
    seen = 0
    with landscape.reading():
        leaves = landscape.leaves()
        for piece in _pieces(landscape):
            if seen >= stop:
                continue
            items = landscape.terms(leaves, piece).item_sums()
            for item in items:
                if start <= seen < stop:
                    parts = gradients_of(item, leaves, retain_graph=True)
                    landscape.layout.flatten(parts, space.zeros(1), out=rows[seen - start])
                seen += 1
    return rows


def _pieces(landscape: Landscape) -> Iterator[Batch]:
    """Yield single items where batches can be cut, so that a gradient is that of one item, and batches elsewhere."""
    for _, batch in landscape.batches():
        if cuttable(landscape, batch):
            yield from split(batch, 1)
        else:
            yield batch

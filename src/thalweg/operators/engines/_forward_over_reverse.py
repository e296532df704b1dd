"""Products by differentiating the gradient forward: no graph is kept, and the vectors of a block share one pass."""

import importlib
import re
import warnings

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, DifferentiationError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.memory import ran_out
from thalweg.operators._form import Form
from thalweg.operators.engines._elementary import elementary
from thalweg.operators.engines._explained import explained
from thalweg.operators.engines._tangents import one_by_one, together

_MISSING = re.compile(r"forward AD with (?:aten::)?(\w+) that does not support it")


class ForwardOverReverse:
    r"""Products :math:`Hv = \frac{d}{dh} \nabla L(\theta + hv)` at h = 0 by dual numbers, and :math:`J^\top M\, (Jv)`.

    The order is Pearlmutter's (1994). The tangents of all vectors of a block go through the model together, along
    with one pass of the values; a block of one vector goes alone, without the machinery. Where that cannot be
    vectorised (gradient checkpointing, a model that leaves PyTorch on the way, gradients inside the loss), the
    vectors of blocks go one by one too, see ``vectorised``.

    A product costs about 4 passes of the model a vector, 1 more a block, and holds the graph of a micro-batch with its
    tangents; nothing is held between products.

    Args:
        landscape: Where to differentiate.
        form: What to multiply with.
        chunk: Vectors that go together; ``None`` for whole blocks. Memory grows with it.

    Raises:
        ArgumentError: If ``chunk`` is not a positive number.
        DifferentiationError: From a product, if an operation of the model has no forward derivative, or no second one.
    """

    name = "forward-over-reverse"

    def __init__(self, landscape: Landscape, form: Form, *, chunk: int | None = None) -> None:
        if chunk is not None and (isinstance(chunk, bool) or chunk < 1):
            raise ArgumentError(f"chunk: expected at least 1, or None for whole blocks, got {chunk!r}.")
        self._landscape = landscape
        self._form = form
        self._chunk = chunk
        self._vectorised = True
        with warnings.catch_warnings():
            # What PyTorch loads for its forward mode compiles with what it has deprecated itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            importlib.import_module("torch._decomp.decompositions_for_jvp")

    @property
    def vectorised(self) -> bool:
        """Whether vectors of a block share passes; ``False`` once that failed."""
        return self._vectorised and self._chunk != 1

    def product(self, block: Tensor) -> Tensor:
        """Multiply the matrix with a block (P, k) whose columns are contiguous."""
        landscape, rows = self._landscape, block.mT
        total = torch.zeros(rows.shape, dtype=rows.dtype, device=rows.device)
        with landscape.reading(), elementary():
            for _, batch in landscape.batches():
                done = len(rows) > 1 and self.vectorised and self._add_together(total, rows, batch)
                if not done:
                    self._add_one_by_one(total, rows, batch)
                    # Only now is it known that vectorising was to blame.
                    self._vectorised = self._vectorised and len(rows) == 1
        return total.div_(landscape.weight).mT

    def _add_together(self, total: Tensor, rows: Tensor, batch: Batch) -> bool:
        """Add the products on one micro-batch, or nothing at all."""
        layout, size = self._landscape.layout, self._chunk or len(rows)
        try:
            multiply = together(self._form, self._landscape, batch)
            chunks = torch.split(rows, size)
            parts = [layout.flatten_stacked(multiply(layout.stacked_views(chunk)), chunk) for chunk in chunks]
        except RuntimeError as error:
            if ran_out(error):
                raise
            return False
        for target, part in zip(torch.split(total, size), parts, strict=True):
            target.add_(part)
        return True

    def _add_one_by_one(self, total: Tensor, rows: Tensor, batch: Batch) -> None:
        layout = self._landscape.layout
        multiply = one_by_one(self._form, self._landscape, batch)
        try:
            for target, row in zip(total, rows, strict=True):
                target.add_(layout.flatten(multiply(layout.views(row.contiguous())), target))
        except RuntimeError as error:
            reason = _explained(error)
            if reason is error:
                raise
            raise reason from error


def _explained(error: RuntimeError) -> Exception:
    text = str(error)
    if missing := _MISSING.search(text):
        who = f"{missing[1]} has none in PyTorch {torch.__version__}"
    elif "implement the jvp function" in text:
        who = "a torch.autograd.Function, of the model or of its gradient checkpointing, has no jvp"
    else:
        return explained(error)
    return DifferentiationError(
        f"product: expected operations with forward derivatives, but {who}. Replace it, or take "
        "engine='double-backward', or 'finite-differences' if there is no second derivative either."
    )

"""How much memory a graph holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Saved:
    """Bytes that graphs built inside :func:`saved_bytes` hold on to."""

    total: int = 0
    seen: set[int] = field(default_factory=set)

    def note(self, tensor: Tensor) -> Tensor:
        """Count the storage behind a saved tensor once.

        What is saved is an alias without a graph: a graph that held its own leaves here would never be freed.
        """
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor.detach()


@contextmanager
def saved_bytes() -> Iterator[Saved]:
    """Count the bytes that autograd saves for backward passes inside the body."""
    saved = Saved()
    with torch.autograd.graph.saved_tensors_hooks(saved.note, lambda tensor: tensor):
        yield saved

"""How much memory a graph holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from thalweg.landscape import Landscape


@dataclass
class Held:
    """Bytes that graphs built inside :func:`held_bytes` hold on to, beyond what is there already."""

    seen: set[int]
    total: int = 0
    # An address says which storage it is only while no other can take its place.
    alive: list[Tensor] = field(default_factory=list)

    def note(self, tensor: Tensor) -> Tensor:
        """Count the storage behind a saved tensor once.

        What is saved is an alias without a graph: a graph that held its own leaves here would never be freed.
        """
        alias = tensor.detach()
        storage = alias.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.total += storage.nbytes()
            self.alive.append(alias)
        return alias


@contextmanager
def held_bytes(landscape: Landscape) -> Iterator[Held]:
    """Count the bytes that autograd saves for backward passes inside the body; the landscape's own do not count."""
    held = Held({tensor.untyped_storage().data_ptr() for tensor in landscape.tensors()})
    with torch.autograd.graph.saved_tensors_hooks(held.note, lambda tensor: tensor):
        yield held
    held.alive.clear()

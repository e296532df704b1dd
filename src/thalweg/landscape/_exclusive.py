"""One thread at a time for each model."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

# A model has one lock, whatever landscapes it is in; it goes with the model.
_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_making = threading.Lock()


@contextmanager
def exclusive(model: nn.Module) -> Iterator[None]:
    """Let other threads wait that want to hold the same model: its tensors can be swapped by one only."""
    with _making:
        lock = _locks.setdefault(model, threading.RLock())
    with lock:
        yield

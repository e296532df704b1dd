"""Where a basis is held: on the operator's device, in the memory of the host, or in a file."""

import math
import os
import shutil
import tempfile
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import MemoryBudgetError
from thalweg.memory import free_bytes
from thalweg.vectors import VectorSpace

Place = Literal["device", "host", "disk"]
PLACES: tuple[Place, ...] = ("device", "host", "disk")


def room(space: VectorSpace, place: Place) -> int:
    """Return the bytes that a basis may take there: half of what is free."""
    if place == "disk":
        return shutil.disk_usage(tempfile.gettempdir()).free // 2
    return free_bytes(space.device if place == "device" else torch.device("cpu")) // 2


def bytes_per_vector(space: VectorSpace) -> int:
    """Return the memory that one vector takes here."""
    return space.local_size * torch.finfo(space.dtype).bits // 8


def require_room(space: VectorSpace, vectors: int, place: Place = "device") -> None:
    """Refuse a basis that would not fit.

    Raises:
        MemoryBudgetError: If it would take more than half of what is free there.
    """
    each, free = bytes_per_vector(space), room(space, place)
    if vectors * each > free:
        what = "disk" if place == "disk" else "memory"
        raise MemoryBudgetError(
            f"memory: {vectors} basis vectors of {space.size} entries take {vectors * each / 1e9:.3g} GB, and half of "
            f"the free {what} is {free / 1e9:.3g} GB, enough for {free // each}. Ask for fewer products or "
            "eigenvalues, or select fewer parameters; for eigenpairs give max_vectors, or basis='disk'."
        )


def allocate(space: VectorSpace, place: Place, rows: int) -> Tensor:
    """Return (rows, P) that holds anything.

    A file has no name from the start, so that nothing is left behind however the process ends.

    Raises:
        MemoryBudgetError: If the disk is full.
    """
    if place == "device" or (place == "host" and space.device.type == "cpu"):
        return space.empty(rows).mT
    shape = (rows, space.local_size)
    if place == "host":
        return torch.empty(shape, dtype=space.dtype)
    size = math.prod(shape) * space.dtype.itemsize
    with tempfile.TemporaryFile() as file:
        try:
            # Reserved now: writing to a mapped page that the disk has no room for ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            raise MemoryBudgetError(
                f"memory: {size / 1e9:.3g} GB of a basis do not fit into {tempfile.gettempdir()} ({error}). "
                "TMPDIR names another directory."
            ) from error
        mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,))
    return torch.from_numpy(mapped).view(space.dtype).view(shape)

"""What tells directions and points apart once they are in a result, which does not hold them."""

import hashlib

import torch
from torch import Tensor

# Entries at a time, so that nothing as large as the vector is made.
_PIECE = 1 << 20


def digest_of(vector: Tensor) -> str:
    """Return a digest of a vector's entries to single precision: the same in single and double, on any device."""
    digest = hashlib.blake2b(digest_size=8)
    for piece in torch.split(vector.detach().reshape(-1), _PIECE):
        # Zero has two signs.
        digest.update((piece.float().cpu() + 0.0).contiguous().numpy().data)
    return digest.hexdigest()


def digests_of(columns: Tensor) -> tuple[str, ...]:
    """Return a digest of each column."""
    return tuple(digest_of(column) for column in columns.mT)

"""Compute in the types that the numbers have."""

from contextlib import AbstractContextManager, nullcontext

import torch


def uncast(device: torch.device) -> AbstractContextManager[object]:
    """Inside, the caller's ``torch.autocast`` rests, which would round matrix products on this kind of device."""
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()

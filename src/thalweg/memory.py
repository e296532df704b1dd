"""How much memory is free, and whether it has run out."""

import os

import torch


def free_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device, a conservative 1 GiB where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 30


def ran_out(error: BaseException) -> bool:
    """Tell whether an error says that memory could not be allocated; on the processor torch has no type for it."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

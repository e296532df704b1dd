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


def keep_what_is_freed(device: torch.device) -> None:
    """Let the C library keep what tensors free for those that follow, up to 64 MiB.

    By glibc's rule a block that was mapped for itself and is freed, of up to 32 MiB, raises the size from which memory
    goes back to the system at once to its own, and what may lie idle to twice that. Any process that frees a large
    tensor gets there. Before that, the pages of every product come from the system anew, filled with zeros: up to a
    third of its time. Elsewhere, and where the user has set MALLOC_TRIM_THRESHOLD_, this does nothing.
    """
    if device.type == "cpu":
        torch.empty((32 << 20) - 8192, dtype=torch.uint8)


def ran_out(error: BaseException) -> bool:
    """Tell whether an error says that memory could not be allocated; on the processor torch has no type for it."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

"""Seconds of a call, on the processor or on a CUDA device, and of several in turn."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

Call = Callable[[], object]
Key = TypeVar("Key")


def seconds(call: Call, device: torch.device) -> float:
    """Time one call, all its kernels included."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize(device)
        return begin.elapsed_time(end) / 1e3
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turn(
    unit: Call, calls: Mapping[Key, Call], repeats: int, device: torch.device
) -> dict[Key, list[tuple[float, float]]]:
    """Time calls in turn, each between two calls of the unit, and start every round with another one.

    Returns:
        Pairs (seconds of the unit, the mean of the two, and seconds of the call), one a round. Their ratio is free of
        slow changes of the machine's speed.
    """
    unit()
    names = list(calls)
    pairs: dict[Key, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(repeats):
        start = turn % max(len(names), 1)
        for name in names[start:] + names[:start]:
            before, call, after = (seconds(timed, device) for timed in (unit, calls[name], unit))
            pairs[name].append(((before + after) / 2, call))
    return pairs

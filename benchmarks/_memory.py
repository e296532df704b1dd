"""Time and peak memory of products in a process of its own, so that nothing else is in the peak.

The peak is the largest resident size of the process, less what the same process had reached after one gradient:
what products hold beyond a gradient.
"""

import contextlib
import ctypes
import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _timing import seconds

import thalweg as tw

CPU = torch.device("cpu")
# Seconds of measuring after which a median stands.
SETTLED = 0.3


def measure(
    sizes: list[int], *, batch: int, batches: int = 1, repeats: int = 3, **options: object
) -> dict[str, float] | str:
    """Measure Hessian products of a perceptron in a new process.

    Args:
        sizes: Of its layers.
        batch: Items a batch.
        batches: How many.
        repeats: Of which the median counts.
        **options: For ``thalweg.hessian``.

    Returns:
        "parameters", "gradient" and "product" in seconds, and "memory" in bytes; the last line of what the process
        said if it failed.
    """
    job = {"sizes": sizes, "batch": batch, "batches": batches, "repeats": repeats, "options": options}
    ran = subprocess.run([sys.executable, __file__, json.dumps(job)], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        said = ran.stderr.strip().splitlines()
        return said[-1] if said else f"ended by signal {-ran.returncode}"
    return json.loads(ran.stdout)


def peak_bytes() -> int:
    """The largest resident size of this process so far."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        # Kilobytes, but bytes on macOS. On Linux it would count the parent's size at the fork, too.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let the peak start from what is used now, where the system allows it: imports peak above what they keep."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        # Hand back what was freed, or else products would live in it unseen.
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _median(call: Callable[[], object], repeats: int) -> float:
    """Of at least so many calls, and of more where they are short."""
    times = [seconds(call, CPU) for _ in range(repeats)]
    while sum(times) < SETTLED and len(times) < 100:
        times.append(seconds(call, CPU))
    return statistics.median(times)


def _run(job: dict) -> dict[str, float]:
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp(tuple(job["sizes"]), activation="tanh", generator=source)
    data = [
        (
            torch.randn(job["batch"], job["sizes"][0], generator=source),
            torch.randint(job["sizes"][-1], (job["batch"],), generator=source),
        )
        for _ in range(job["batches"])
    ]
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), data, check=False)
    vector = landscape.space.randn(source)
    # What PyTorch loads at its first use of forward mode, some 40 MiB, is not what a product holds.
    small = tw.Landscape(model, tw.objectives.cross_entropy(), [tuple(part[:2] for part in data[0])], check=False)
    _ = tw.hessian(small, engine="forward-over-reverse") @ vector
    del small
    forget_peak()
    # One, before anything is timed: what many leave behind in the allocator would hide what products take.
    landscape.gradient()
    before = peak_bytes()
    operator = tw.hessian(landscape, **job["options"])
    for _ in range(3):
        operator @ vector
    memory = peak_bytes() - before
    product = _median(lambda: operator @ vector, job["repeats"])
    gradient = _median(landscape.gradient, job["repeats"])
    return {
        "parameters": landscape.size,
        "gradient": gradient,
        "product": product,
        "memory": memory,
    }


if __name__ == "__main__":
    print(json.dumps(_run(json.loads(sys.argv[1]))))

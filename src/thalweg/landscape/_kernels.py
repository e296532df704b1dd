"""Say it in our own words when an operation has no kernel for the type of the tensors."""

import re

from thalweg.errors import ArgumentError

# In the words of kernels, of Fourier transforms, and of linear algebra.
_NO_KERNEL = re.compile(
    r"\"?([\w.]+)\"?(?: not implemented for '|: Low precision dtypes not supported. Got )(\w+)|Unsupported dtype (\w+)"
)


def missing_kernel(error: RuntimeError) -> ArgumentError | None:
    """Return the error to raise instead of PyTorch's, ``None`` where it is about something else."""
    found = _NO_KERNEL.search(str(error))
    if found is None:
        return None
    who, kind = (found[1], found[2]) if found[1] else ("one", found[3])
    return ArgumentError(
        f"dtype: expected one that every operation of the model has, but {who} has no kernel for {kind} here. "
        "Measure with Landscape(..., dtype=torch.float32), or on another device."
    )

"""Say it in our own words when an operation has no kernel that can be used here."""

import re

from thalweg.errors import ArgumentError, DeterminismError, ThalwegError

# In the words of kernels, of Fourier transforms, and of linear algebra.
_NO_KERNEL = re.compile(
    r"\"?([\w.]+)\"?(?: not implemented for '|: Low precision dtypes not supported. Got )(\w+)|Unsupported dtype (\w+)"
)


def unusable_kernel(error: RuntimeError) -> ThalwegError | None:
    """Return the error to raise instead of PyTorch's, ``None`` where it is about something else.

    An :class:`ArgumentError` names the type without a kernel, a :class:`DeterminismError` the kernel that does not
    repeat itself where ``torch.use_deterministic_algorithms`` asks for it.
    """
    first = (str(error).splitlines() or [""])[0]
    if "does not have a deterministic implementation" in first:
        return DeterminismError(
            "model: expected kernels that repeat themselves, as torch.use_deterministic_algorithms asks, but "
            f"{first} Take another operation, or allow it."
        )
    found = _NO_KERNEL.search(str(error))
    if found is None:
        return None
    who, kind = (found[1], found[2]) if found[1] else ("one", found[3])
    return ArgumentError(
        f"dtype: expected one that every operation of the model has, but {who} has no kernel for {kind} here. "
        "Measure with Landscape(..., dtype=torch.float32), or on another device."
    )

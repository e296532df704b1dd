"""Pickles of plain values and byte arrays, read without running anything that they name.

A pickle is a program. This reader knows the five names that the CIFAR batches use and gives each of them a
stand-in written here: not even NumPy's own constructors, whose ``__setstate__`` believes what it is told about
shapes and types, are within reach of a file.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError

# What a malformed program can end in, besides the reader's own error.
_MALFORMED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_pickle(content: bytes, source: str) -> Any:
    """Unpickle dictionaries, lists, numbers, strings and arrays of unsigned bytes, and nothing else.

    Byte strings of Python 2 stay bytes. Arrays may have been written under NumPy's old or new module names.

    Args:
        content: The pickle.
        source: Name of the file, for messages.

    Returns:
        The value, with each array as a read-only ``uint8`` array.

    Raises:
        DataError: If the pickle is malformed or names anything else.

    Example:
        >>> read_pickle(pickle.dumps({"labels": [3, 1]}), "example")
        {'labels': [3, 1]}
        >>> read_pickle(pickle.dumps(print), "example")
        Traceback (most recent call last):
        thalweg.errors.DataError: example: expected a pickle of plain values and byte arrays, got one that names
        builtins.print; it was not run.
    """
    try:
        _check_memo(content)
        return _plain(_Reader(io.BytesIO(content), encoding="bytes").load())
    except _RefusedError as error:
        raise DataError(f"{source}: expected a pickle of plain values and byte arrays, got {error}") from error
    except _MALFORMED as error:
        raise DataError(f"{source}: expected a complete pickle, got {type(error).__name__}: {error}") from error


def _check_memo(content: bytes) -> None:
    """Refuse places in the memo beyond any that the file can fill: the memo is an array, and taken at once."""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= len(content):
            raise _RefusedError(f"a memo of {argument} places.")


class _RefusedError(Exception):
    """The pickle asks for something that the format does not need."""


class _Global:
    """What a name in a pickle becomes: something to call, whose state cannot be set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any] | None = None) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        if self._call is None:
            raise _RefusedError("a call of a class that should only be named.")
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("a change to one of the names that it uses.")


class _ByteType:
    """The stand-in of ``numpy.dtype("u1")``."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subtype, names, fields, size, alignment, flags): all nothing for bytes.
        if not (isinstance(state, tuple) and state[1:] in _BYTE_STATES):
            raise _RefusedError("an array of something other than unsigned bytes.")


_BYTE_STATES = tuple((order, None, None, None, -1, -1, 0) for order in (b"|", "|"))


class _Array:
    """The stand-in of an array; its state is (version, shape, type, whether columns come first, bytes)."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: NDArray[np.uint8] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _ByteType) or not isinstance(content, bytes):
            raise _RefusedError("an array of something other than unsigned bytes.")
        if not (isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)):
            raise _RefusedError("an array without a shape.")
        if math.prod(shape) != len(content):
            raise _RefusedError(f"an array of shape {shape} with {len(content)} bytes.")
        self.value = np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _dtype(name: Any = None, *_: Any) -> _ByteType:
    if name not in ("u1", b"u1"):
        raise _RefusedError("an array of something other than unsigned bytes.")
    return _ByteType()


def _encode(text: Any, encoding: Any = None) -> bytes:
    # How Python 3 writes bytes in protocol 2.
    if not isinstance(text, str) or encoding != "latin1":
        raise _RefusedError("a text in an unknown encoding.")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _RefusedError(f"one that names {module}.{name}; it was not run.")
        return _Global(_KNOWN[module, name])


def _plain(value: Any) -> Any:
    """Replace the stand-ins by arrays, in a dictionary or alone; inside lists none is expected."""
    return {key: _finished(item) for key, item in value.items()} if isinstance(value, dict) else _finished(value)


def _finished(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise _RefusedError("an array without content.")
        return value.value
    if isinstance(value, (_Global, _ByteType)):
        raise _RefusedError("a class instead of a value.")
    return value

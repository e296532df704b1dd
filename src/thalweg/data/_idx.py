"""The IDX format of MNIST and its descendants."""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError

_UNSIGNED_BYTE = 0x08
_CHUNK = 1 << 20


def read_idx(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, raw or gzipped, shape (N, *item).

    The header, big-endian, is two zero bytes, the type, the number of dimensions, and 32 bits for each
    dimension (LeCun, Cortes, Burges, 1998). The content decides whether the file is gzipped, not its name. No more
    memory is taken than the file fills.

    Args:
        path: The file.
        item: Shape that each item must have, () for labels.

    Raises:
        DataError: If the file cannot be read, is of another format, or is shorter or longer than its header says.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if zipped:
                with gzip.open(raw) as stream:
                    return _parse(path, stream, item)
            return _parse(path, raw, item)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a readable IDX file, got {type(error).__name__}: {error}") from error


def _parse(path: Path, stream: io.BufferedIOBase, item: tuple[int, ...]) -> NDArray[np.uint8]:
    dimensions = 1 + len(item)
    magic = struct.pack(">HBB", 0, _UNSIGNED_BYTE, dimensions)
    found = stream.read(4)
    if found != magic:
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes with {dimensions} dimensions "
            f"(first bytes {magic.hex(' ')}), got {found.hex(' ') or 'an empty file'}."
        )
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: expected a header of {4 + 4 * dimensions} bytes, got {4 + len(header)}.")
    shape = struct.unpack(f">{dimensions}I", header)
    if shape[1:] != item:
        raise DataError(f"{path}: expected items of shape {item}, got {shape[1:]}.")
    expected = math.prod(shape)
    content = _read(stream, expected)
    if len(content) < expected:
        raise DataError(f"{path}: expected {expected} bytes after the header, got {len(content)}: it is truncated.")
    if stream.read(1):
        raise DataError(f"{path}: expected {expected} bytes after the header, got more.")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read(stream: io.BufferedIOBase, count: int) -> bytearray:
    """Read up to ``count`` bytes in pieces: a header that lies must not decide how much memory is taken."""
    content = bytearray()
    while len(content) < count:
        piece = stream.read(min(_CHUNK, count - len(content)))
        if not piece:
            break
        content += piece
    return content

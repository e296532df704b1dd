"""Files written by hand, and each way in which they can be wrong."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.files import idx
from thalweg.data._idx import read_idx
from thalweg.errors import DataError

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


@given(st.integers(0, 5), st.lists(st.integers(0, 4), max_size=3), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, count, item, zipped):
    array = np.random.default_rng(0).integers(0, 256, (count, *item), dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(array), mtime=0) if zipped else idx(array))
    np.testing.assert_array_equal(read_idx(path, tuple(item)), array)


def test_the_header_is_big_endian(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes.fromhex("00000801 00000002") + b"\x07\x03")
    assert read_idx(path, ()).tolist() == [7, 3]


WHOLE = idx(IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"images: expected an IDX file .* \(first bytes 00 00 08 03\), got an empty file\."),
        (b"\x89PNG....", r"images: expected an IDX file of unsigned bytes with 3 dimensions .*, got 89 50 4e 47\."),
        (WHOLE[:2] + b"\x0d" + WHOLE[3:], r"got 00 00 0d 03\."),
        (idx(IMAGES[0]), r"got 00 00 08 02\."),
        (WHOLE[:10], r"images: expected a header of 16 bytes, got 10\."),
        (idx(IMAGES.reshape(3, 5, 4)), r"images: expected items of shape \(4, 5\), got \(5, 4\)\."),
        (WHOLE[:-1], r"images: expected 60 bytes after the header, got 59: it is truncated\."),
        (WHOLE + b"x", r"images: expected 60 bytes after the header, got more\."),
        (gzip.compress(WHOLE, mtime=0)[:-12], r"images: expected a readable IDX file, got EOFError"),
        (gzip.compress(WHOLE, mtime=0)[:-8] + bytes(8), r"images: expected a readable IDX file, got BadGzipFile"),
        (b"\x1f\x8b" + bytes(30), r"images: expected a readable IDX file, got \w+"),
    ],
    ids=[
        "empty",
        "png",
        "floats",
        "one dimension less",
        "half a header",
        "other shape",
        "truncated",
        "longer",
        "gzip truncated",
        "gzip with a wrong checksum",
        "gzip of nothing",
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path, (4, 5))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing: expected a readable IDX file, got FileNotFoundError"):
        read_idx(tmp_path / "nothing", ())


def test_a_header_that_lies_takes_no_memory(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(struct.pack(">HBBIII", 0, 8, 3, 0xFFFFFFFF, 28, 28) + b"few")
    tracemalloc.start()
    with pytest.raises(DataError, match="expected 3367254359280 bytes after the header, got 3: it is truncated"):
        read_idx(path, (28, 28))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6

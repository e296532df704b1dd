"""Tiny data sets in their canonical formats, written by the tests."""

import gzip
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, zipped: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    """Write twelve training and five test images; return the arrays by file name."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = ((12, 28, 28), (12,), (5, 28, 28), (5,))
    arrays = {
        stem: random.integers(0, 256 if len(shape) > 1 else 10, shape, dtype=np.uint8)
        for stem, shape in zip(IDX, shapes, strict=True)
    }
    for stem, array in arrays.items():
        content = idx(array)
        (folder / f"{stem}.gz" if zipped else folder / stem).write_bytes(
            gzip.compress(content, mtime=0) if zipped else content
        )
    return arrays


def write_cifar(folder: Path, *, protocol: int = 2, seed: int = 0) -> dict[str, dict]:
    """Write six batches of four images into ``folder``; return their contents by name."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    batches = {
        name: {
            "data": random.integers(0, 256, (4, 3072), dtype=np.uint8),
            "labels": [int(label) for label in random.integers(0, 10, 4)],
        }
        for name in BATCHES
    }
    for name, batch in batches.items():
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    return batches


def pack(folder: Path, archive: Path, mode: str) -> None:
    """Pack ``folder`` into an archive, under its own name."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, mode) as tar:
        tar.add(folder, arcname=folder.name)

"""CIFAR-10: six pickled batches, in a folder or in an archive of it."""

import lzma
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.data._dataset import Dataset
from thalweg.data._folder import folders, not_found
from thalweg.data._pickle import read_pickle
from thalweg.data._standardise import Images, Labels, from_images
from thalweg.errors import DataError

_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_NAMES = (*_TRAIN, _TEST)
_PLACES = (f"cifar-10/{_FOLDER}", f"cifar10/{_FOLDER}", f"CIFAR10/{_FOLDER}", _FOLDER, "cifar-10", "cifar10", "CIFAR10")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_LARGEST = 1 << 27  # bytes in a batch; the real ones have 31 million
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(root: str | Path | None = None) -> Dataset:
    """Read CIFAR-10 (Krizhevsky, 2009): 50,000 and 10,000 colour images of 32 × 32 pixels.

    The batches of the Python version lie in a folder ``cifar-10-batches-py``, or in an archive of that
    folder (tar, gzipped or xz, of any name), which is read without unpacking it to disk. Folder or archive is in
    ``root/cifar-10``, ``root/cifar10`` or ``root`` itself. The pickles are read by a reader that runs nothing
    that they name.

    Args:
        root: The folder; ``None`` means the environment variable THALWEG_DATA.

    Returns:
        Images of shape (N, 3, 32, 32), float32 (740 MB), standardised by mean and standard deviation of each
        colour over the training images.

    Raises:
        DataError: If the files are missing, truncated, of another format, or name anything that the
            format does not need.
    """
    looked = folders("cifar-10", root, _PLACES)
    batches = _from_folders(looked) or _from_archives(looked)
    if batches is None:
        raise not_found("cifar-10", f"a folder {_FOLDER} with {', '.join(_NAMES)}, or an archive of it", looked)
    train = [batches[name] for name in _TRAIN]
    joined = np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train])
    return from_images("cifar-10", joined, batches[_TEST], _CLASSES)


def _from_folders(looked: list[Path]) -> dict[str, tuple[Images, Labels]] | None:
    for folder in looked:
        present = [name for name in _NAMES if (folder / name).is_file()]
        if len(present) == len(_NAMES):
            return {name: _batch(_content(folder / name), str(folder / name)) for name in _NAMES}
        if present:
            missing = [name for name in _NAMES if name not in present]
            raise DataError(f"cifar-10: expected the batches {', '.join(_NAMES)} in {folder}; missing {missing}.")
    return None


def _content(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path}: expected a batch of at most {_LARGEST} bytes, got {path.stat().st_size}.")
    return path.read_bytes()


def _from_archives(looked: list[Path]) -> dict[str, tuple[Images, Labels]] | None:
    failed: DataError | None = None
    for folder in looked:
        for path in sorted(path for path in folder.iterdir() if path.name.endswith(_ARCHIVES)):
            try:
                batches = _from_archive(path)
            except DataError as error:
                # Another archive may be the right one; the first failure is told if none is.
                failed = failed or error
                continue
            if batches is not None:
                return batches
    if failed is not None:
        raise failed
    return None


def _from_archive(path: Path) -> dict[str, tuple[Images, Labels]] | None:
    batches: dict[str, tuple[Images, Labels]] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                place = Path(member.name)
                if place.parent.name != _FOLDER or place.name not in _NAMES:
                    continue
                source = f"{path}:{member.name}"
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or member.size > _LARGEST:
                    raise DataError(f"{source}: expected a file of at most {_LARGEST} bytes, got {member.size}.")
                batches[place.name] = _batch(stream.read(), source)
                if len(batches) == len(_NAMES):
                    return batches
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: expected a readable archive, got {type(error).__name__}: {error}") from error
    if batches:
        missing = [name for name in _NAMES if name not in batches]
        raise DataError(f"{path}: expected the batches {', '.join(_NAMES)}; missing {missing}.")
    return None


def _batch(content: bytes, source: str) -> tuple[Images, Labels]:
    value = read_pickle(content, source)
    images, labels = _field(value, "data"), _field(value, "labels")
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != 3072:
        got = images.shape if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"{source}: expected 'data' to be bytes of shape (N, 3072), got {got}.")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 10 for label in labels):
        raise DataError(f"{source}: expected 'labels' to be a list of whole numbers from 0 to 9.")
    if len(labels) != len(images):
        raise DataError(f"{source}: expected one label an image, got {len(labels)} for {len(images)}.")
    return images.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.uint8)


def _field(value: Any, name: str) -> Any:
    """Look a key up that is bytes, as Python 2 wrote it, or text."""
    if not isinstance(value, Mapping):
        return None
    return value.get(name.encode(), value.get(name))

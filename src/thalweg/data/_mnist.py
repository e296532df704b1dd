"""MNIST and Fashion-MNIST: four IDX files each."""

from pathlib import Path

from thalweg.data._dataset import Dataset
from thalweg.data._folder import folders, not_found
from thalweg.data._idx import read_idx
from thalweg.data._standardise import Images, Labels, from_images
from thalweg.errors import DataError

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MNIST = ("mnist", "MNIST", "MNIST/raw")
_FASHION = ("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw")
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def mnist(root: str | Path | None = None) -> Dataset:
    """Read MNIST (LeCun, Cortes, Burges, 1998): 60,000 and 10,000 grey digits of 28 × 28 pixels.

    The four files are IDX, raw or gzipped (``train-images-idx3-ubyte`` or ``….gz``), in ``root/mnist``, in
    torchvision's ``root/MNIST/raw``, or in ``root`` itself.

    Args:
        root: The folder; ``None`` means the environment variable THALWEG_DATA.

    Returns:
        Images of shape (N, 1, 28, 28), float32 (220 MB), standardised by mean and standard deviation of the
        training pixels (0.1307 and 0.3081).

    Raises:
        DataError: If the files are missing, truncated, or of another format.
    """
    return _read("mnist", root, _MNIST, _FASHION, tuple(str(digit) for digit in range(10)))


def fashion_mnist(root: str | Path | None = None) -> Dataset:
    """Read Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 60,000 and 10,000 grey clothes of 28 × 28 pixels.

    The four files are IDX, raw or gzipped, in ``root/fashion-mnist``, in torchvision's
    ``root/FashionMNIST/raw``, or in ``root`` itself (unless that folder is named after MNIST, whose files
    have the same names).

    Args:
        root: The folder; ``None`` means the environment variable THALWEG_DATA.

    Returns:
        Images of shape (N, 1, 28, 28), float32 (220 MB), standardised by mean and standard deviation of the
        training pixels (0.2860 and 0.3530).

    Raises:
        DataError: If the files are missing, truncated, or of another format.
    """
    return _read("fashion-mnist", root, _FASHION, _MNIST, _FASHION_CLASSES)


def _read(
    name: str, root: str | Path | None, inside: tuple[str, ...], foreign: tuple[str, ...], classes: tuple[str, ...]
) -> Dataset:
    looked = folders(name, root, inside, foreign)
    for folder in looked:
        found = [_file(folder, stem) for stem in _FILES]
        present = [path for path in found if path is not None]
        if len(present) == len(_FILES):
            train_images, train_labels, test_images, test_labels = present
            return from_images(name, _pair(train_images, train_labels), _pair(test_images, test_labels), classes)
        if present:
            missing = [stem for stem, path in zip(_FILES, found, strict=True) if path is None]
            raise DataError(f"{name}: expected the four files {', '.join(_FILES)} in {folder}; missing {missing}.")
    raise not_found(name, f"the files {', '.join(_FILES)} (raw or .gz)", looked)


def _file(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)


def _pair(images: Path, labels: Path) -> tuple[Images, Labels]:
    pixels, targets = read_idx(images, (28, 28)), read_idx(labels, ())
    if len(pixels) != len(targets):
        raise DataError(
            f"{labels}: expected {len(pixels)} labels, one for each image of {images.name}, got {len(targets)}."
        )
    return pixels[:, None], targets

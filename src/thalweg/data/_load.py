"""Data sets by name."""

from collections.abc import Callable
from pathlib import Path

from thalweg.data._cifar import cifar10
from thalweg.data._dataset import Dataset
from thalweg.data._digits import digits
from thalweg.data._mnist import fashion_mnist, mnist
from thalweg.errors import ArgumentError

_FROM_FILES: dict[str, Callable[[str | Path | None], Dataset]] = {
    "cifar-10": cifar10,
    "fashion-mnist": fashion_mnist,
    "mnist": mnist,
}


def load(name: str, root: str | Path | None = None) -> Dataset:
    """Return the data set of that name.

    Args:
        name: "digits", which comes with scikit-learn, or "mnist", "fashion-mnist" or "cifar-10".
        root: Folder of the files of the last three; ``None`` means the environment variable THALWEG_DATA.
            The digits need none.

    Raises:
        ArgumentError: If there is no such data set.
        DataError: If its files are missing or cannot be used.
        MissingExtraError: If scikit-learn is needed and not installed.

    Example:
        >>> print(load("digits"))
        digits: 1438 train and 359 test items of shape (1, 8, 8), 10 classes
    """
    if name == "digits":
        return digits()
    if name not in _FROM_FILES:
        raise ArgumentError(f"name: expected one of {sorted(['digits', *_FROM_FILES])}, got {name!r}.")
    return _FROM_FILES[name](root)

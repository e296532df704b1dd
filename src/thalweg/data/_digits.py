"""Handwritten digits that need no files."""

import numpy as np
import torch

from thalweg.data._dataset import Dataset
from thalweg.data._standardise import from_images
from thalweg.errors import ArgumentError, MissingExtraError


def digits(*, test_fraction: float = 0.2, generator: torch.Generator | None = None) -> Dataset:
    """Return the 1,797 digits of 8 × 8 pixels that come with scikit-learn.

    They are the test part of the optical recognition data of Alpaydin and Kaynak (1998). The split is
    stratified: of each class, ``test_fraction`` (rounded) is held out. The training part is shuffled
    once, by the same generator.

    Args:
        test_fraction: Share held out, strictly between 0 and 1.
        generator: Chooses the split; ``None`` means seed 0.

    Returns:
        Images of shape (N, 1, 8, 8), float32, standardised by mean and standard deviation of the training pixels.

    Raises:
        ArgumentError: If ``test_fraction`` is out of range.
        MissingExtraError: If scikit-learn is not installed.

    Example:
        >>> print(digits())
        digits: 1438 train and 359 test items of shape (1, 8, 8), 10 classes
    """
    if not 0 < test_fraction < 1:
        raise ArgumentError(f"test_fraction: expected a number strictly between 0 and 1, got {test_fraction}.")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("digits needs scikit-learn: pip install 'thalweg[data]'.") from error
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    pixels, labels = load_digits(return_X_y=True)
    images = pixels.astype(np.uint8).reshape(-1, 1, 8, 8)
    order = _permutation(len(labels), generator)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        members = order[labels[order] == label]
        held_out[members[: max(1, round(test_fraction * len(members)))]] = True
    train, test = (order[held_out[order] == part] for part in (False, True))
    labels = labels.astype(np.uint8)
    names = tuple(str(label) for label in range(10))
    return from_images("digits", (images[train], labels[train]), (images[test], labels[test]), names, white=16)


def _permutation(count: int, generator: torch.Generator) -> np.ndarray:
    return torch.randperm(count, generator=generator, device=generator.device).cpu().numpy()

"""From bytes to standardised images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.data._dataset import Dataset
from thalweg.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def from_images(
    name: str,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    classes: tuple[str, ...],
    *,
    white: int = 255,
) -> Dataset:
    """Make a data set of images (N, channels, height, width) whose pixels run from 0 to ``white``.

    Pixels are divided by ``white`` and standardised by mean and standard deviation of each channel over
    the training images, (x − mean) / std.

    Raises:
        DataError: If a channel of the training images is constant, or counts do not match.
    """
    images = train[0]
    # Exact: counts of the few grey values, instead of floating-point sums over millions of pixels.
    levels = np.arange(256) / white
    counts = np.stack(
        [np.bincount(images[:, channel].reshape(-1), minlength=256) for channel in range(images.shape[1])]
    )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mean = share @ levels
    std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))
    if len(images) and not std.min() > 1e-6:
        raise DataError(f"{name}: expected training images that vary in each channel, got a constant channel.")
    channels = (torch.from_numpy(mean), torch.from_numpy(std))
    return Dataset(
        name=name,
        train_inputs=_standardised(images, white, *channels),
        train_targets=torch.from_numpy(train[1].astype(np.int64)),
        test_inputs=_standardised(test[0], white, *channels),
        test_targets=torch.from_numpy(test[1].astype(np.int64)),
        classes=classes,
        mean=channels[0].to(torch.float32),
        std=channels[1].to(torch.float32),
    )


def _standardised(images: Images, white: int, mean: Tensor, std: Tensor) -> Tensor:
    out = torch.from_numpy(images.astype(np.float32))
    shift, scale = (white * value[:, None, None].to(torch.float32) for value in (mean, std))
    return out.sub_(shift).div_(scale)

"""Data as a record of four tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int, Shaped
from torch import Tensor
from torch.nn import functional

from thalweg.errors import ArgumentError, DataError

SplitName = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and class indices for training and testing.

    Attributes:
        name: As :func:`load` knows it.
        train_inputs: Shape (N, …), floating point; images are (N, channels, height, width).
        train_targets: Shape (N,), int64, in [0, classes).
        test_inputs: Shape (M, …).
        test_targets: Shape (M,).
        classes: Names of the classes.
        mean: What was subtracted from each channel, shape (channels,), in units where white is 1.
        std: What each channel was then divided by, shape (channels,).

    Raises:
        DataError: At construction, if the shapes do not fit together, the training set is empty, or a target
            is no class.

    Example:
        >>> from thalweg.data import gaussian
        >>> data = gaussian(4, 100, 2, noise=0.0, separation=3.0, test_samples=20)
        >>> print(data)
        gaussian: 100 train and 20 test items of shape (4,), 2 classes
        >>> [tuple(x.shape) for x, y in data.batches("test", 8)]
        [(8, 4), (8, 4), (4, 4)]
    """

    name: str
    train_inputs: Shaped[Tensor, "n ..."]
    train_targets: Int[Tensor, "n"]
    test_inputs: Shaped[Tensor, "m ..."]
    test_targets: Int[Tensor, "m"]
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise DataError(
                f"{self.name}: expected training and test items of one shape, got "
                f"{tuple(self.train_inputs.shape[1:])} and {tuple(self.test_inputs.shape[1:])}."
            )
        if len(self.train_inputs) == 0:
            raise DataError(f"{self.name}: expected at least one training item, got none.")
        for split in ("train", "test"):
            inputs, targets = self.split(split)
            if len(inputs) != len(targets):
                raise DataError(
                    f"{self.name}: expected one target an item, got {len(targets)} for {len(inputs)} ({split})."
                )
            wrong = (targets < 0) | (targets >= len(self.classes))
            if wrong.any():
                first = int(wrong.nonzero()[0])
                raise DataError(
                    f"{self.name}: expected targets from 0 to {len(self.classes) - 1}, "
                    f"got {int(targets[first])} at position {first} ({split})."
                )

    def split(self, split: SplitName) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of "train" or "test".

        Raises:
            ArgumentError: If there is no such split.
        """
        if split == "train":
            return self.train_inputs, self.train_targets
        if split == "test":
            return self.test_inputs, self.test_targets
        raise ArgumentError(f"split: expected 'train' or 'test', got {split!r}.")

    def batches(
        self, split: SplitName, batch_size: int | None = None, limit: int | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Cut a split into batches, in order; they are views, so that this costs no memory.

        Args:
            split: "train" or "test".
            batch_size: Items a batch, the last one may have fewer; ``None`` makes one batch.
            limit: Use the first so many items only; ``None`` uses all.

        Returns:
            Pairs (inputs, targets), which can be read any number of times.

        Raises:
            ArgumentError: If an argument is out of range, or ``limit`` is larger than the split.
        """
        inputs, targets = self.split(split)
        if limit is not None:
            inputs, targets = inputs[: self._within("limit", limit, split)], targets[:limit]
        if batch_size is None:
            batch_size = max(len(inputs), 1)
        if batch_size < 1:
            raise ArgumentError(f"batch_size: expected at least 1, got {batch_size}.")
        return (
            list(zip(torch.split(inputs, batch_size), torch.split(targets, batch_size), strict=True))
            if len(inputs)
            else []
        )

    def subset(
        self, train: int | None = None, test: int | None = None, *, generator: torch.Generator | None = None
    ) -> "Dataset":
        """Keep so many training and test items: the first ones, or random ones in random order.

        Args:
            train: Items to keep for training; ``None`` keeps all, in their order.
            test: The same for testing.
            generator: Chooses the items, without replacement; with ``None`` they are the first ones.

        Raises:
            ArgumentError: If there are not so many.
        """

        def kept(split: SplitName, count: int | None) -> tuple[Tensor, Tensor]:
            inputs, targets = self.split(split)
            if count is None:
                return inputs, targets
            self._within(split, count, split)
            if generator is None:
                return inputs[:count], targets[:count]
            order = torch.randperm(len(inputs), generator=generator, device=generator.device)[:count].cpu()
            return inputs[order], targets[order]

        train_inputs, train_targets = kept("train", train)
        test_inputs, test_targets = kept("test", test)
        return replace(
            self,
            train_inputs=train_inputs,
            train_targets=train_targets,
            test_inputs=test_inputs,
            test_targets=test_targets,
        )

    def pooled(self, side: int) -> "Dataset":
        """Shrink square images to ``side`` × ``side`` by the mean over whole blocks of pixels.

        ``mean`` and ``std`` stay those of the full images: averaging commutes with the standardisation, but
        the variance of what comes out is below 1.

        Raises:
            ArgumentError: If the items are no square images, or ``side`` does not divide theirs.
        """
        shape = tuple(self.train_inputs.shape[1:])
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ArgumentError(f"side: expected square images to pool, got items of shape {shape}.")
        if side < 1 or shape[1] % side:
            raise ArgumentError(f"side: expected a divisor of {shape[1]}, got {side}.")
        return self._mapped(lambda inputs: functional.avg_pool2d(inputs, shape[1] // side))

    def to(self, dtype: torch.dtype) -> "Dataset":
        """Convert the inputs to another floating-point type."""
        return self._mapped(lambda inputs: inputs.to(dtype))

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> "Dataset":
        return replace(self, train_inputs=change(self.train_inputs), test_inputs=change(self.test_inputs))

    def _within(self, argument: str, count: int, split: SplitName) -> int:
        available = len(self.split(split)[1])
        least = 1 if split == "train" else 0
        if not least <= count <= available:
            raise ArgumentError(f"{argument}: expected from {least} to {available} items ({split}), got {count}.")
        return count

    def __str__(self) -> str:
        shape = tuple(self.train_inputs.shape[1:])
        return (
            f"{self.name}: {len(self.train_targets)} train and {len(self.test_targets)} test items "
            f"of shape {shape}, {len(self.classes)} classes"
        )

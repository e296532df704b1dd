"""What a training run leaves behind."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.record import Record


@dataclass(frozen=True)
class History(Record):
    """Curves of a training run, one entry an epoch (entry 0 is before the first step).

    Attributes:
        epoch: Shape (epochs + 1,).
        train_loss: Shape (epochs + 1,), in eval mode on the whole training set.
        train_accuracy: The same; ``None`` where the objective has no accuracy.
        test_loss: The same on the test set; ``None`` without one.
        test_accuracy: The same.
        learning_rate: In force at the end of each epoch.
        seconds: Wall-clock time of the run.
        settings: Every hyper-parameter of the run.
    """

    epoch: Tensor
    train_loss: Tensor
    train_accuracy: Tensor | None
    test_loss: Tensor | None
    test_accuracy: Tensor | None
    learning_rate: Tensor
    seconds: float
    settings: dict[str, float | int | str | bool | None]

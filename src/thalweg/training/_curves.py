"""The curves of a training run while they grow."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from thalweg.errors import NonFiniteError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._untouched import random_states_kept
from thalweg.objectives import Objective
from thalweg.training._results import History

OnEpoch = Callable[[int, Mapping[str, float]], None]


class Curves:
    """Measures a model that moves, through landscapes that are built once.

    Args:
        model: The model.
        objective: What is summed.
        train: Training batches.
        test: Test batches, or ``None``.
        on_epoch: Told of each entry, as ``on_epoch(epoch, entry)``.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Sequence[Batch],
        test: Sequence[Batch] | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        self._model = model
        self._on_epoch = on_epoch
        self._landscapes = {"train": Landscape(model, objective, train, check=False)}
        if test is not None:
            self._landscapes["test"] = Landscape(model, objective, test, check=False)
        self._entries: list[dict[str, float]] = []

    def measure(self, learning_rate: float) -> None:
        """Add an entry: losses, accuracies, and the learning rate in force.

        Raises:
            NonFiniteError: If a loss is not finite.
        """
        epoch = len(self._entries)
        entry = {"learning_rate": learning_rate}
        for name, landscape in self._landscapes.items():
            try:
                found = self._moved(landscape).evaluate()
            except NonFiniteError as error:
                raise NonFiniteError(f"{name} loss after epoch {epoch}: {error} Lower the learning rate.") from error
            entry[f"{name}_loss"] = found.loss.value
            if "accuracy" in found.metrics:
                entry[f"{name}_accuracy"] = found.metrics["accuracy"].value
        self._entries.append(entry)
        if self._on_epoch is not None:
            # What the callback draws must not change the training.
            with random_states_kept():
                self._on_epoch(epoch, dict(entry))

    def history(self, seconds: float, settings: dict[str, float | int | str | bool | None]) -> History:
        """Return the curves."""
        return History(
            epoch=torch.arange(len(self._entries)),
            train_loss=self._curve("train_loss"),
            train_accuracy=self._optional("train_accuracy"),
            test_loss=self._optional("test_loss"),
            test_accuracy=self._optional("test_accuracy"),
            learning_rate=self._curve("learning_rate"),
            seconds=seconds,
            settings=settings,
        )

    def _moved(self, landscape: Landscape) -> Landscape:
        parameters = dict(self._model.named_parameters())
        theta = torch.cat([parameters[name].detach().reshape(-1) for name in landscape.layout.names])
        return landscape.at(theta.to(landscape.space.dtype), buffers=dict(self._model.named_buffers()))

    def _curve(self, name: str) -> Tensor:
        return torch.tensor([entry[name] for entry in self._entries], dtype=torch.float64)

    def _optional(self, name: str) -> Tensor | None:
        return self._curve(name) if name in self._entries[0] else None

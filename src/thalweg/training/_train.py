"""Stochastic gradient descent, the plain loop."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from thalweg.errors import ArgumentError, DataError, NonFiniteError
from thalweg.landscape._batches import Batch, map_tensors
from thalweg.landscape._program import terms_of
from thalweg.landscape._untouched import random_states_kept
from thalweg.objectives import Objective
from thalweg.progress import Progress, track
from thalweg.training._curves import Curves, OnEpoch
from thalweg.training._results import History
from thalweg.training._schedule import Schedule, learning_rate
from thalweg.training._source import Items, source_of


def train(
    model: nn.Module,
    objective: Objective,
    data: Items | Sequence[Batch],
    *,
    epochs: int,
    lr: float,
    batch_size: int | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    schedule: Schedule = "cosine",
    generator: torch.Generator | None = None,
    test: Sequence[Batch] | None = None,
    on_epoch: OnEpoch | None = None,
    progress: bool | Progress = False,
) -> History:
    r"""Train a model by stochastic gradient descent; of all that Thalweg offers, this alone changes the model.

    Each step minimises the weighted mean :math:`\sum_j w_j \ell_j / \sum_j w_j` of a batch, in train mode, with
    ``torch.optim.SGD``: :math:`v \leftarrow \beta v + \nabla L + \lambda\theta,\ \theta \leftarrow \theta - \eta v`,
    over the parameters that require a gradient. Losses and accuracy are measured in eval mode before the first
    step and after each epoch; this does not influence the training.

    The order of the data, and what the model draws itself (dropout), are functions of ``generator`` alone; the same
    generator on the same machine gives the same bits. The global random states are left as they were, and so
    are the modes of the model's layers; gradients are cleared.

    Args:
        model: Trained in place, on the device where it is.
        objective: What is summed, from :mod:`thalweg.objectives`.
        data: A data set (:class:`thalweg.data.Dataset`), whose training items are shuffled and cut into batches
            anew each epoch; or a sequence of batches, which stay as they are and come in a new order each epoch.
        epochs: Passes over the data, at least 1.
        lr: Learning rate η, above 0.
        batch_size: Items a batch of a data set (the last one of an epoch may have fewer); ``None`` for
            ready-made batches.
        momentum: β, in [0, 1).
        weight_decay: λ, at least 0, for all parameters.
        schedule: "cosine" (from η to almost 0, step by step) or "constant".
        generator: ``None`` means a fresh one with seed 0.
        test: Batches to measure the test loss on; ``None`` means the test items of a data set, if it has any.
        on_epoch: Called as ``on_epoch(epoch, values)`` when an epoch has been measured, first with epoch 0.
        progress: Whether to show a bar on the terminal, or a reporter.

    Returns:
        The curves and every setting.

    Raises:
        ArgumentError: If an argument is out of range.
        DataError: If there are no data, or all terms of a batch are masked.
        NonFiniteError: If a loss is not finite; the model is then left as the last step made it.

    Example:
        >>> import torch
        >>> from thalweg.data import gaussian
        >>> from thalweg.models import mlp
        >>> from thalweg.objectives import cross_entropy
        >>> data = gaussian(4, 100, 2, noise=0.0, separation=6.0)
        >>> history = train(mlp((4, 8, 2)), cross_entropy(), data, epochs=5, batch_size=10, lr=0.1)
        >>> bool(history.train_loss[-1] < history.train_loss[0])
        True
    """
    _check(epochs, lr, momentum, weight_decay)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    source = source_of(data, batch_size, test)
    settings: dict[str, float | int | str | bool | None] = {
        "optimizer": "sgd",
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "seed": generator.initial_seed(),
    }
    started = time.perf_counter()
    curves = Curves(model, objective, source.train, source.test, on_epoch)
    steps = epochs * source.steps
    rate = learning_rate(schedule, lr, 0, steps)
    modes = [(layer, layer.training) for layer in model.modules()]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    device = parameters[0].device
    try:
        with (
            _seeded(generator, device),
            torch.enable_grad(),
            track(steps, "training", progress) as bar,
        ):
            curves.measure(rate)
            for epoch in range(1, epochs + 1):
                model.train()
                for index, batch in enumerate(source.shuffled(generator)):
                    rate = learning_rate(schedule, lr, (epoch - 1) * source.steps + index, steps)
                    optimizer.param_groups[0]["lr"] = rate
                    loss = _step(
                        model, objective, optimizer, map_tensors(lambda tensor: tensor.to(device), batch), epoch, index
                    )
                    bar.advance(note=f"epoch {epoch}/{epochs}, loss {loss:.4g}")
                curves.measure(rate)
    finally:
        optimizer.zero_grad(set_to_none=True)
        for layer, mode in modes:
            layer.training = mode
    return curves.history(time.perf_counter() - started, settings)


def _step(
    model: nn.Module, objective: Objective, optimizer: torch.optim.Optimizer, batch: Batch, epoch: int, index: int
) -> float:
    optimizer.zero_grad(set_to_none=True)
    terms = terms_of(objective, objective.outputs(model, batch), batch)
    total = terms.weights.sum()
    if not float(total) > 0:
        raise DataError(f"data: expected terms of positive total weight, got none in epoch {epoch}, step {index + 1}.")
    loss = terms.weighted_sum() / total
    value = float(loss.detach())
    if not math.isfinite(value):
        raise NonFiniteError(
            f"loss: expected a finite number, got {value} in epoch {epoch}, step {index + 1}. "
            "Lower the learning rate, or check the data."
        )
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step()
    return value


@contextmanager
def _seeded(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Seed what layers like dropout draw from, and give it back afterwards."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with random_states_kept():
        # Not torch.manual_seed: it would also seed devices that are not in use, and these are not given back.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _check(epochs: int, lr: float, momentum: float, weight_decay: float) -> None:
    if epochs < 1:
        raise ArgumentError(f"epochs: expected at least 1, got {epochs}.")
    if not 0 < lr < math.inf:
        raise ArgumentError(f"lr: expected a positive finite number, got {lr}.")
    if not 0 <= momentum < 1:
        raise ArgumentError(f"momentum: expected a number in [0, 1), got {momentum}.")
    if not 0 <= weight_decay < math.inf:
        raise ArgumentError(f"weight_decay: expected a finite number of at least 0, got {weight_decay}.")

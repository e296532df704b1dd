"""The settings that a diagnosis is about, checked."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape


@dataclass(frozen=True)
class Asked:
    """The settings that a diagnosis is about.

    Attributes:
        optimizer: "sgd" or "adam".
        rule: As the edge of stability names it.
        lr: η.
        momentum: β or β₁.
        beta: What momentum to compare optimizers at: the one given, else 0.9.
        batch: B.
        count: N.
        epsilon: Adam's ε.
    """

    optimizer: str
    rule: str
    lr: float
    momentum: float
    beta: float
    batch: int
    count: int
    epsilon: float

    @property
    def share(self) -> float:
        """What Σ is multiplied by for the covariance of a batch's gradient."""
        return 0.0 if self.batch == self.count else (self.count - self.batch) / (self.batch * (self.count - 1))


def checked(
    landscape: Landscape,
    lr: float,
    momentum: float | None,
    batch_size: int | None,
    optimizer: str,
    epsilon: float,
    *,
    nesterov: bool,
) -> Asked:
    """Return the settings, or refuse them.

    Raises:
        ArgumentError: If one has a wrong type or value.
    """
    for name, value in (("lr", lr), ("epsilon", epsilon)):
        _require_real(name, value)
        if not (math.isfinite(value) and value > 0):
            raise ArgumentError(f"{name}: expected a positive finite number, got {value}.")
    if optimizer not in ("sgd", "adam"):
        raise ArgumentError(f"optimizer: expected 'sgd' or 'adam', got {optimizer!r}.")
    beta = (0.9 if optimizer == "adam" else 0.0) if momentum is None else momentum
    _require_real("momentum", beta)
    if not 0 <= beta < 1:
        raise ArgumentError(f"momentum: expected a number from 0 to below 1, got {beta}.")
    if not isinstance(nesterov, bool):
        raise ArgumentError(f"nesterov: expected True or False, got {type(nesterov).__name__}.")
    if nesterov and (optimizer == "adam" or beta == 0):
        raise ArgumentError("nesterov: expected False without a momentum, or with optimizer='adam'.")
    count = landscape.count
    batch = count if batch_size is None else batch_size
    require_whole("batch_size", batch)
    if not 1 <= batch <= count:
        raise ArgumentError(f"batch_size: expected a number from 1 to the {count} data items, got {batch}.")
    if landscape.mode == "train" and any(isinstance(module, _BatchNorm) for module in landscape.model.modules()):
        raise ArgumentError(
            "landscape: expected one with mode='eval', got batch norm in train mode, where no item has a gradient of "
            "its own. Let some batches pass through the model in train mode first: its running statistics are then "
            "those of the data."
        )
    rule = "adam" if optimizer == "adam" else "nesterov" if nesterov else "heavy ball" if beta else "gradient descent"
    compared = 0.9 if momentum is None else float(momentum)
    return Asked(optimizer, rule, float(lr), float(beta), compared, batch, count, float(epsilon))


def _require_real(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        way = " Pass its .item()." if isinstance(value, Tensor) else ""
        raise ArgumentError(f"{name}: expected a real number, got {type(value).__name__}.{way}")

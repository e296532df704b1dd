"""Learning rates as closed forms of the step."""

import math
from typing import Literal

from thalweg.errors import ArgumentError

Schedule = Literal["cosine", "constant"]


def learning_rate(schedule: str, lr: float, step: int, steps: int) -> float:
    r"""Return the learning rate of a step, counted from 0 to ``steps`` − 1.

    "cosine" is :math:`\tfrac12 \mathrm{lr}\,(1 + \cos(\pi\,\mathrm{step}/\mathrm{steps}))` (Loshchilov and Hutter,
    2017, without restarts): lr at the first step, almost 0 at the last; "constant" is lr.

    Raises:
        ArgumentError: If there is no such schedule.
    """
    if schedule == "cosine":
        return lr * (1 + math.cos(math.pi * step / steps)) / 2
    if schedule == "constant":
        return lr
    raise ArgumentError(f"schedule: expected 'cosine' or 'constant', got {schedule!r}.")

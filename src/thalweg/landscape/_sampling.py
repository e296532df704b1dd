"""Loss, metrics and functions of the model at many points: the one loop behind paths, lines, planes and grids."""

import functools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.estimate import Cost
from thalweg.landscape._batches import Batch
from thalweg.landscape._landscape import Landscape
from thalweg.landscape._program import Outputs, Terms
from thalweg.landscape._statistics import collect, finished
from thalweg.progress import Progress, track

Functions = Mapping[str, Callable[[nn.Module, Any], Tensor | float]]
# Called with the parameters and the number of the micro-batch, entered around the model's pass.
Around = Callable[[list[Tensor], int], AbstractContextManager[object]]


@dataclass(frozen=True)
class Samples:
    """Loss and metrics at n points.

    Attributes:
        loss: Shape (n,), float64 on the processor; NaN where the loss of a batch is not finite.
        metrics: Each of shape (n,), NaN at the same points.
        cost: What they took.
    """

    loss: Float[Tensor, " n"]
    metrics: dict[str, Float[Tensor, " n"]]
    cost: Cost


class Table:
    """Values of n points as they come.

    Attributes:
        loss: Shape (n,), float64; NaN where there is none yet, or none that is finite.
        metrics: Each of shape (n,), NaN at the same points.
        done: Which points have been evaluated, shape (n,).
    """

    def __init__(self, count: int) -> None:
        self.loss = torch.full((count,), math.nan, dtype=torch.float64)
        self.metrics: dict[str, Tensor] = {}
        self.done = torch.zeros(count, dtype=torch.bool)

    def put(self, index: int, values: Mapping[str, float] | None) -> str:
        """Write down what :func:`values_at` has found at a point, and return a note of it."""
        for name, value in (values or {}).items():
            column = self.loss if name == "loss" else self.metrics.get(name)
            if column is None:
                column = self.metrics[name] = torch.full_like(self.loss, math.nan)
            column[index] = value
        # Last, in case an interruption comes in between.
        self.done[index] = True
        return "not finite" if values is None else f"loss {values['loss']:.4g}"


def sample(points: Iterable[Landscape], count: int, description: str, progress: bool | Progress = False) -> Samples:
    """Evaluate landscapes one after the other, in the order in which they come.

    A loss that is not finite becomes NaN at its place and the walk goes on; nothing is filled in for it.

    Args:
        points: The landscapes, each at its own point; made one at a time if this is a generator.
        count: Their number n.
        description: For the progress bar.
        progress: See :mod:`thalweg.progress`.
    """
    started, table = time.perf_counter(), Table(count)
    with track(count, description, progress) as bar:
        fill(table, enumerate(points), bar)
    return Samples(table.loss, table.metrics, Cost(losses=count, seconds=time.perf_counter() - started))


def fill(
    table: Table,
    points: Iterable[tuple[int, Landscape]],
    bar: Progress,
    evaluate: Callable[[Landscape], Mapping[str, float] | None] | None = None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Evaluate numbered points into a table, one after the other, and call ``after`` behind each."""
    for index, point in points:
        found = values_at(point) if evaluate is None else evaluate(point)
        bar.advance(note=table.put(index, found))
        after()


def values_at(
    point: Landscape, functions: Functions | None = None, around: Around | None = None
) -> dict[str, float] | None:
    """Return "loss", the objective's metrics and the functions' means at a point; ``None`` if the loss is not finite.

    Args:
        point: The landscape there.
        functions: Further quantities by name. Each is called as f(model, batch) with the model at this point and
            returns a number for the batch, one for each of its items, or one for each term; they are averaged with
            the weights that the loss has.
        around: Entered around the model's passes, not around the functions.

    Raises:
        ObjectiveError: If a function returns something else, or has the name of a metric.
    """
    part = -1

    def terms(leaves: list[Tensor], batch: Batch) -> Terms:
        nonlocal part
        part += 1
        found = point.terms_of(_outputs(point, leaves, batch, around, part), batch, metrics=True)
        if not functions:
            return found
        clashing = sorted(functions.keys() & {"loss", *found.metrics})
        if clashing:
            raise ObjectiveError(f"functions: expected names that are not taken, got {clashing[0]!r}, which is.")
        with torch.autocast(point.space.device.type, dtype=point.autocast, enabled=point.autocast is not None):
            returned = {name: f(point.model, batch) for name, f in functions.items()}
        more = {name: _by_term(value, found, name) for name, value in returned.items()}
        return replace(found, metrics={**found.metrics, **more})

    try:
        with point.reading(), torch.no_grad():
            leaves = point.leaves(grad=False)
            loss, others = collect(point.batches(), functools.partial(terms, leaves))
    except NonFiniteError:
        return None
    finish = point.objective.finish
    means = {name: finished(sums.mean(), None, finish.get(name))[0] for name, sums in others.items()}
    return {"loss": loss.mean(), **means}


def grid(span: tuple[float, float], points: int) -> Float[Tensor, " n"]:
    """Return equally spaced numbers in double precision.

    Both ends are met exactly, and so is 0 wherever it lies on the grid: entry i is
    (first·(n−1−i) + last·i) / (n−1), one rounding of a sum that vanishes, and no sum of steps.

    Raises:
        ArgumentError: If there are fewer than two points, or the span is not finite and increasing.

    Example:
        >>> grid((-0.5, 1.5), 61)[[0, 15, 45, 60]]
        tensor([-0.5000,  0.0000,  1.0000,  1.5000], dtype=torch.float64)
    """
    first, last = float(span[0]), float(span[1])
    if isinstance(points, bool) or points < 2:
        raise ArgumentError(f"points: expected at least 2, got {points}.")
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise ArgumentError(f"span: expected two finite numbers, the first below the second, got ({first}, {last}).")
    steps = torch.arange(points, dtype=torch.float64)
    values = (first * (points - 1 - steps) + last * steps) / (points - 1)
    values[0], values[-1] = first, last
    return values


def _outputs(point: Landscape, leaves: list[Tensor], batch: Batch, around: Around | None, part: int) -> Outputs:
    if around is None:
        return point.outputs(leaves, batch)
    with around(leaves, part):
        return point.outputs(leaves, batch)


def _by_term(value: Tensor | float, terms: Terms, name: str) -> Tensor:
    """Give every term the value of its batch or item, so that it is averaged as the terms are."""
    weights = terms.weights
    given = torch.as_tensor(value, device=weights.device).detach()
    if given.ndim == 0:
        return given.expand(weights.shape)
    if given.shape == weights.shape:
        return given
    if terms.sample is None and given.shape == weights.shape[:1]:
        return given.view(-1, *[1] * (weights.ndim - 1)).expand(weights.shape)
    count = len(weights)
    if terms.sample is not None:
        count = int(terms.sample.max()) + 1
        if given.shape == (count,):
            return given[terms.sample.to(given.device)]
    raise ObjectiveError(
        f"functions: expected {name} to return a number, one for each of {count} items, or one for each term, shape "
        f"{tuple(weights.shape)}, got shape {tuple(given.shape)}."
    )

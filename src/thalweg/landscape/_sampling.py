"""Loss, metrics and functions of the model at many points: the one loop behind paths, lines, planes and grids."""

import functools
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.estimate import Cost
from thalweg.landscape._batches import Batch
from thalweg.landscape._landscape import Landscape
from thalweg.landscape._program import Outputs, Program, Terms, run
from thalweg.landscape._statistics import collect, finished
from thalweg.landscape._untouched import random_states_kept
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
        fill(table, enumerate(map(values_at, points)), bar)
    return Samples(table.loss, table.metrics, Cost(losses=count, seconds=time.perf_counter() - started))


def fill(table: Table, values: Iterable[tuple[int, Mapping[str, float] | None]], bar: Progress) -> None:
    """Write numbered values into a table as they come."""
    for index, found in values:
        bar.advance(note=table.put(index, found))


def values_at(point: Landscape, functions: Functions | None = None) -> dict[str, float] | None:
    """Return "loss", the objective's metrics and the functions' means at a point; ``None`` if the loss is not finite.

    Args:
        point: The landscape there.
        functions: Further quantities by name. Each is called as f(model, batch) with the model at this point and
            returns a number for the batch, one for each of its items, or one for each term; they are averaged with
            the weights that the loss has.

    Raises:
        ObjectiveError: If a function returns something else, or has the name of a metric.
    """
    with point.reading(), torch.no_grad():
        leaves = point.leaves(grad=False)
        return _means(point, functools.partial(point.outputs, leaves), functions)


class Walker:
    """A model that is held while its parameters move; made by :func:`walking`.

    Attributes:
        theta: Where it stands, shape (P,), to be written into.
    """

    def __init__(self, landscape: Landscape) -> None:
        self.theta = landscape.theta
        self._landscape = landscape
        own = landscape.leaves(grad=False)
        self._views = [view.detach() for view in landscape.layout.views(self.theta)]
        # Parameters of other types than θ are copies of its parts, the others its parts themselves.
        self.leaves = [view if leaf.dtype is view.dtype else leaf for view, leaf in zip(self._views, own, strict=True)]

    def values(self, functions: Functions | None = None, around: Around | None = None) -> dict[str, float] | None:
        """Evaluate as :func:`values_at` does, with ``around`` entered around each pass of the model alone."""
        for view, leaf in zip(self._views, self.leaves, strict=True):
            if leaf is not view:
                leaf.copy_(view)
        part = -1

        def outputs(batch: Batch) -> Outputs:
            nonlocal part
            part += 1
            if around is None:
                return self._outputs(batch)
            with around(self.leaves, part):
                return self._outputs(batch)

        with random_states_kept():
            return _means(self._landscape, outputs, functions)

    def _outputs(self, batch: Batch) -> Outputs:
        # In train mode every pass has buffers of its own to write into.
        if self._landscape.mode == "train":
            return self._landscape.outputs(self.leaves, batch)
        with _casting(self._landscape):
            return run(Program(self._landscape.model, self._landscape.objective), None, batch)


@contextmanager
def walking(landscape: Landscape) -> Iterator[Walker]:
    """Hold the model for many evaluations: swapping its tensors for each takes longer than some passes."""
    walker = Walker(landscape)
    with landscape.reading(), torch.no_grad(), landscape.held(walker.leaves):
        yield walker


def grid(span: tuple[float, float], points: int) -> Float[Tensor, " n"]:
    """Return equally spaced numbers in double precision.

    Both ends are met exactly, and so is 0 wherever it lies on the grid: entry i is
    (first·(n−1−i) + last·i) / (n−1), one rounding of a sum that vanishes, and no sum of steps.

    Raises:
        ArgumentError: If there are fewer than two points, or not a whole number of them, or the span is not two finite
            and increasing numbers.

    Example:
        >>> grid((-0.5, 1.5), 61)[[0, 15, 45, 60]]
        tensor([-0.5000,  0.0000,  1.0000,  1.5000], dtype=torch.float64)
    """
    points = require_points(points)
    try:
        first, last = (float(end) for end in span)
    except (TypeError, ValueError):
        raise ArgumentError(f"span: expected two numbers, (first, last), got {span!r}.") from None
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise ArgumentError(f"span: expected two finite numbers, the first below the second, got ({first}, {last}).")
    steps = torch.arange(points, dtype=torch.float64)
    values = (first * (points - 1 - steps) + last * steps) / (points - 1)
    values[0], values[-1] = first, last
    return values


def require_points(points: Any) -> int:
    """Return a number of points of an axis.

    Raises:
        ArgumentError: If it is not a whole number of at least two.
    """
    try:
        count = operator.index(points)
    except TypeError:
        raise ArgumentError(f"points: expected a whole number of at least 2, got {points!r}.") from None
    if isinstance(points, bool) or count < 2:
        raise ArgumentError(f"points: expected at least 2, got {points}.")
    return count


def _means(
    point: Landscape, outputs: Callable[[Batch], Outputs], functions: Functions | None
) -> dict[str, float] | None:
    def terms(batch: Batch) -> Terms:
        found = point.terms_of(outputs(batch), batch, metrics=True)
        if not functions:
            return found
        clashing = sorted(functions.keys() & {"loss", *found.metrics})
        if clashing:
            raise ObjectiveError(f"functions: expected names that are not taken, got {clashing[0]!r}, which is.")
        with _casting(point):
            returned = {name: f(point.model, batch) for name, f in functions.items()}
        more = {name: _by_term(value, found, name) for name, value in returned.items()}
        return replace(found, metrics={**found.metrics, **more})

    try:
        loss, others = collect(point.batches(), terms)
    except NonFiniteError:
        return None
    finish = point.objective.finish
    means = {name: finished(sums.mean(), None, finish.get(name))[0] for name, sums in others.items()}
    return {"loss": loss.mean(), **means}


def _casting(point: Landscape) -> torch.autocast:
    return torch.autocast(point.space.device.type, dtype=point.autocast, enabled=point.autocast is not None)


def _by_term(value: Tensor | float, terms: Terms, name: str) -> Tensor:
    """Give every term the value of its batch or item, so that it is averaged as the terms are."""
    weights = terms.weights
    try:
        given = torch.as_tensor(value, device=weights.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise ObjectiveError(
            f"functions: expected {name} to return a number or a tensor, got {type(value).__name__}."
        ) from None
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

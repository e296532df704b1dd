"""In how small a random subspace can a network still be trained?"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.descent import Minibatches, Rule, adam, cosine, follow
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._crossing import bracket, crossing, interval_of
from thalweg.measures._dimension_results import IntrinsicDimension
from thalweg.measures._projection import Projection, ProjectionName, random_projection, require_dimension
from thalweg.measures._require import require_real
from thalweg.measures._subspace import Subspace
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track
from thalweg.vectors import VectorSpace, draw_seeds

RuleMaker = Callable[[int], Rule]
Draw = Callable[[VectorSpace, int, torch.Generator], Projection]
Metric = Callable[[Landscape], float]


def intrinsic_dimension(
    landscape: Landscape,
    dimensions: Sequence[int] | None = None,
    *,
    held_out: Landscape | None = None,
    metric: str | Metric | None = None,
    share: float = 0.9,
    baseline: float | None = None,
    projection: ProjectionName | Draw = "fastfood",
    seeds: int = 3,
    steps: int = 1000,
    batch_size: int | None = None,
    rule: RuleMaker | None = None,
    schedule: Literal["cosine", "constant"] = "cosine",
    resolution: float = 0.1,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> IntrinsicDimension:
    r"""Return the smallest d such that training in a random d-dimensional subspace comes near to training everything.

    .. math:: \theta = \theta_0 + P z, \qquad P \in \mathbb{R}^{P \times d} \text{ random}, \quad z_0 = 0

    Only z is trained. The intrinsic dimension at 90 % is the smallest d whose performance is 0.9 of the baseline's
    (Li, Farkhoor, Liu & Yosinski, 2018). An affine set of solutions of codimension c is met by almost every subspace of
    d ≥ c dimensions and by almost none of fewer, so that P − d measures the dimension of the set of solutions.

    With ``dimensions=None``, d is searched by bisection in log d on the mean performance over seeds, to a relative
    ``resolution`` or to the next whole number. A seed draws one P for each d, and the same order of minibatches; all
    seeds start at the landscape's point, which should be one of random initialisation.

    Performance is measured after the last step. It is the metric "accuracy" where the objective has it, and exp(−L)
    otherwise, as in the source's problems without classes.

    Valid for: an upper bound of what a better optimizer would need. A rule that does not converge in ``steps``
    makes the dimension too large; compare with twice as many. Where performance does not fall off steeply, somewhat
    fewer dimensions come near enough by luck of the draw: a larger ``share`` is stricter. Models are evaluated as
    the landscape says: running statistics are not trained.

    Cost: ``steps`` (mini-batch) gradients a seed and dimension, and as many a seed for the baseline; about
    log₂(ln P / ``resolution``) dimensions without a list.

    Args:
        landscape: What to train on; its point is θ₀.
        dimensions: Those to try; ``None`` searches.
        held_out: The same model on other data, where performance is measured; the landscape itself by default.
        metric: A metric of the objective by its name, "loss" for exp(−L), or a function of the landscape to measure,
            standing at the point reached, whose value is larger where the model is better, and positive.
        share: Of the baseline's performance that is asked for, in (0, 1].
        baseline: Performance of all parameters; ``None`` trains them by the same loop.
        projection: "fastfood", "sparse" or "dense" (:func:`random_projection`), or a function of the space, d and a
            generator that returns a :class:`Projection`.
        seeds: Trainings of each dimension.
        steps: Of each training.
        batch_size: Items a step; ``None`` for all of them.
        rule: Makes the rule of a training in d dimensions, such as ``lambda d: momentum(0.1)`` of
            :mod:`thalweg.descent`. By default
            Adam with the rate 1e-3·√(P/d), so that first steps are of one length in parameter space for all d.
        schedule: "cosine" lets the rate fall to 0, "constant" keeps it.
        resolution: Relative width of the bracket at which the search stops.
        generator: Of the seeds; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If an argument has a wrong value, or a performance is not a positive finite number.
        DataError: If minibatches are asked for and the data cannot be cut.
        MemoryBudgetError: If a projection would not fit.
        NonFiniteError: If a training diverges; the message says in how many dimensions.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.descent import momentum
        >>> class Sums(torch.nn.Module):  # 30 parameters in 2 groups, whose sums must be 1 and 2
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.theta = torch.nn.Parameter(torch.zeros(2, 15))
        ...     def forward(self, x):
        ...         return x @ self.theta.sum(dim=1, keepdim=True)
        >>> data = [(torch.eye(2), torch.tensor([[1.0], [2.0]]))]
        >>> landscape = tw.Landscape(Sums(), tw.objectives.squared_error(), data)
        >>> rule = lambda d: momentum(0.5 / d**0.5, 0.9)
        >>> found = intrinsic_dimension(landscape, [1, 2, 4], rule=rule, steps=200, share=0.95, projection="dense")
        >>> found.value
        2
    """
    require_landscape(landscape)
    draw = partial(_named, projection) if isinstance(projection, str) else projection
    measure, name = _measured(landscape if held_out is None else held_out, metric, landscape)
    _check(landscape, dimensions, share, baseline, seeds, steps, schedule, resolution)
    started = time.perf_counter()
    maker = partial(_adam, landscape.size) if rule is None else rule
    training = _Training(landscape, draw, maker, measure, steps, batch_size, schedule, draw_seeds(generator, seeds))
    with track(None, "intrinsic dimension", progress) as bar, landscape.reading():
        start = measure(landscape.theta)
        baselines = None if baseline is not None else training.runs(None, bar)
        whole = sum(baselines) / seeds if baselines is not None else float(baseline or 0.0)
        target = share * whole
        found = (
            {d: training.runs(d, bar) for d in sorted(set(dimensions))}
            if dimensions is not None
            else _searched(partial(training.runs, bar=bar), landscape.size, target, start, resolution)
        )
    tried = sorted(found)
    curve = [0, *tried]
    means = [start, *(sum(found[d]) / seeds for d in tried)]
    crossings = tuple(crossing(curve, [start, *(found[d][s] for d in tried)], target) for s in range(seeds))
    value = crossing(curve, means, target)
    share_of_data = 1.0 if batch_size is None else batch_size / landscape.count
    return IntrinsicDimension(
        value=value,
        interval=interval_of(crossings, value, landscape.size),
        crossings=crossings,
        bracket=bracket(curve, means, target),
        dimensions=tuple(tried),
        performances=torch.tensor([found[d] for d in tried], dtype=torch.float64).reshape(len(tried), seeds),
        start=start,
        baseline=whole,
        baselines=None if baselines is None else torch.tensor(baselines, dtype=torch.float64),
        share=float(share),
        target=target,
        metric=name,
        projection=projection if isinstance(projection, str) else getattr(projection, "__name__", "given"),
        size=landscape.size,
        steps=steps,
        cost=Cost(
            gradients=math.ceil(training.trained * steps * share_of_data),
            losses=training.trained + 1,
            seconds=time.perf_counter() - started,
        ),
        provenance=landscape.provenance(),
    )


class _Training:
    """Trains in a number of dimensions, once a seed."""

    def __init__(
        self,
        landscape: Landscape,
        draw: Draw,
        rule: RuleMaker,
        measure: Callable[[Tensor], float],
        steps: int,
        batch_size: int | None,
        schedule: str,
        seeds: list[int],
    ) -> None:
        self._landscape, self._draw, self._rule, self._measure = landscape, draw, rule, measure
        self._steps, self._batch_size, self._seeds = steps, batch_size, seeds
        self._schedule = cosine(steps) if schedule == "cosine" else None
        self.trained = 0

    def runs(self, dimension: int | None, bar: Progress) -> list[float]:
        """Return the performances after training, ``None`` for all parameters."""
        return [self._run(dimension, seed, bar) for seed in self._seeds]

    def _run(self, dimension: int | None, seed: int, bar: Progress) -> float:
        landscape = self._landscape
        # The order of the data is not that of the draw.
        directions, order = (torch.Generator().manual_seed(s) for s in draw_seeds(_seeded(seed), 2))
        batches = None if self._batch_size is None else Minibatches(landscape, self._batch_size, order)
        rule = self._rule(landscape.size if dimension is None else dimension)
        words = "all parameters" if dimension is None else f"{dimension} dimension{'s'[: dimension > 1]}"
        with bar.stage(words, self._steps) as steps:
            walk = partial(follow, rule=rule, steps=self._steps, schedule=self._schedule, bar=steps)
            try:
                if dimension is None:
                    point = walk(landscape.loss_and_gradient if batches is None else batches.slope, landscape.theta)
                else:
                    projection = self._draw(landscape.space, dimension, directions)
                    _require_projection(projection, landscape.size, dimension)
                    subspace = Subspace(landscape, projection, batches)
                    with subspace.walking() as slope:
                        point = subspace.point(walk(slope, subspace.start))
            except NonFiniteError as error:
                raise NonFiniteError(f"rule: expected one that converges in {words}, but at {error}") from error
        self.trained += 1
        return self._measure(point)


def _searched(
    runs: Callable[[int], list[float]], size: int, target: float, start: float, resolution: float
) -> dict[int, list[float]]:
    """Halve the bracket of the crossing in log d, on the mean over seeds."""
    found: dict[int, list[float]] = {}
    low, high = 0, size
    if start >= target:
        return found
    while high - low > max(1.0, resolution * high) or not found:
        middle = min(max(low + 1, round(math.sqrt(max(low, 1) * high))), max(high - 1, 1))
        found[middle] = runs(middle)
        if sum(found[middle]) / len(found[middle]) >= target:
            high = middle
        else:
            low = middle
    return found


def _named(kind: ProjectionName, space: VectorSpace, dimension: int, generator: torch.Generator) -> Projection:
    return random_projection(space, dimension, kind, generator)


def _adam(size: int, dimension: int) -> Rule:
    return adam(1e-3 * math.sqrt(size / dimension))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _measured(
    where: Landscape, metric: str | Metric | None, trained: Landscape
) -> tuple[Callable[[Tensor], float], str]:
    """Return the performance as a function of the point, and its name."""
    if not isinstance(where, Landscape) or where.layout != trained.layout or where.space != trained.space:
        raise ArgumentError("held_out: expected a landscape of the same parameters as the one to train, got another.")
    if callable(metric):
        return lambda theta: _positive(metric(where.at(theta))), getattr(metric, "__name__", "metric")
    known = where.evaluate().metrics
    name = metric if metric is not None else "accuracy" if "accuracy" in known else "loss"
    if name == "loss":
        return lambda theta: _positive(math.exp(-where.loss(theta))), "exp(−loss)"
    if name not in known:
        raise ArgumentError(
            f"metric: expected 'loss', a function of a landscape, or one of the objective's metrics "
            f"({', '.join(known) or 'it has none'}), got {metric!r}."
        )
    return lambda theta: _positive(where.evaluate(theta).metrics[name].value), name


def _positive(value: float) -> float:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
        raise ArgumentError(f"metric: expected performances that are finite and at least 0, got {value}.")
    return float(value)


def _require_projection(projection: Projection, size: int, dimension: int) -> None:
    if not isinstance(projection, Projection) or (projection.size, projection.dimension) != (size, dimension):
        raise ArgumentError(
            f"projection: expected one from {dimension} to {size} dimensions with forward and adjoint, got "
            f"{type(projection).__name__}."
        )


def _check(
    landscape: Landscape,
    dimensions: Any,
    share: float,
    baseline: float | None,
    seeds: int,
    steps: int,
    schedule: str,
    resolution: float,
) -> None:
    if dimensions is not None and (isinstance(dimensions, str) or not isinstance(dimensions, Sequence)):
        given = "a tensor, which its .tolist() makes one" if isinstance(dimensions, Tensor) else repr(dimensions)
        raise ArgumentError(f"dimensions: expected a sequence of whole numbers, got {given}.")
    if dimensions is not None and len(dimensions) == 0:
        raise ArgumentError("dimensions: expected at least one, got none.")
    for dimension in dimensions or ():
        require_dimension(dimension, landscape.size, "dimensions")
    for name, count in {"seeds": seeds, "steps": steps}.items():
        require_whole(name, count)
        if count < 1:
            raise ArgumentError(f"{name}: expected at least 1, got {count}.")
    if not 0 < require_real("share", share, "a number in (0, 1]") <= 1:
        raise ArgumentError(f"share: expected a number in (0, 1], got {share}.")
    if baseline is not None:
        wanted = "a positive finite performance"
        if not 0 < require_real("baseline", baseline, wanted) < math.inf:
            raise ArgumentError(f"baseline: expected {wanted}, got {baseline}.")
    if schedule not in ("cosine", "constant"):
        raise ArgumentError(f"schedule: expected 'cosine' or 'constant', got {schedule!r}.")
    if not 0 < require_real("resolution", resolution, "a number strictly between 0 and 1") < 1:
        raise ArgumentError(f"resolution: expected a number strictly between 0 and 1, got {resolution}.")

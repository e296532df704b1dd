"""Find a curve of low loss between two points."""

import math
import time
from contextlib import nullcontext
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches, Rule, adam, cosine, follow, momentum
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.landscape._reestimated import has_statistics, normalising_by_batch
from thalweg.landscape._require import require_vector
from thalweg.measures._require import require_radius
from thalweg.paths._alike import require_generator, require_labels, require_landscape, require_one_function
from thalweg.paths._along import require_curve
from thalweg.paths._curve import Curve, require_nodes, straight
from thalweg.paths._curve_results import TrainedCurve
from thalweg.paths._curve_slope import CurveObjective, CurveSlope
from thalweg.progress import Progress, track

_RATES = {"sgd": 0.03, "adam": 1e-3}


def train_curve(
    start: Landscape,
    end: Landscape | Float[Tensor, " p"],
    *,
    kind: Literal["bezier", "chain"] = "bezier",
    bends: int = 1,
    objective: CurveObjective = "mean",
    samples: int = 5,
    sharpness: float = 50.0,
    steps: int = 1000,
    batch_size: int | None = None,
    rule: Literal["sgd", "adam"] | Rule = "sgd",
    lr: float | None = None,
    schedule: Literal["cosine", "constant"] = "cosine",
    initial: Curve | None = None,
    labels: tuple[str, str] = ("A", "B"),
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> TrainedCurve:
    r"""Train the bends of a curve between two points until the loss along it is low.

    .. math:: \min_{p_1, \dots, p_{k-1}} \; \mathbb{E}_{t \sim U[0, 1]} L(\theta(t)) \;\text{("mean")}, \qquad
              \max_t L(\theta(t)) \;\text{("max")}, \qquad
              \tfrac{1}{\beta} \ln \mathbb{E}_t\, e^{\beta L(\theta(t))} \;\text{("logsumexp")}

    "mean" is the objective of Garipov et al. (2018) for uniform t: one random position a step. The others look at
    ``samples`` positions a step, one in each of as many equal parts of the curve, on the same minibatch: "max" takes
    the gradient at the highest of them, "logsumexp" weighs the gradients of all by softmax(β L). Since "max" sees a
    part of the curve at a time and is not smooth, give it small steps that decrease.

    The model is evaluated functionally; a step costs one gradient however many bends there are, since that by node i is
    :math:`w_i(t) \nabla L(\theta(t))`. Bends begin evenly spaced on the line. Exchanging the ends gives the same curve
    backwards, to rounding. In eval mode, batch norm normalises by the minibatch during training, as the running
    statistics of the ends do not belong to points between them; re-estimate them to look at the result.

    Cost: ``steps`` (mini-batch) gradients for "mean"; ``samples`` times as many for "logsumexp"; as many passes without
    gradients beside them for "max"; and two passes that check that ``end``, if it is a landscape, is one of the same
    function. Memory: ends, bends, and twice ("sgd") or three times ("adam") the bends.

    Valid for: any model. A curve of low loss is found or not found: that it was not found does not say that there is
    none. Measure the curve with :func:`curve_scan`, and its highest point with :func:`barrier`, on all data.

    Args:
        start: The landscape at t = 0; its model, data and objective are used all along.
        end: The landscape at t = 1, of the same architecture, data and objective; or its θ, shape (P,).
        kind: "bezier" or "chain" of straight segments.
        bends: Nodes between the ends; a Bezier curve of b bends has degree b + 1.
        objective: "mean", "max" or "logsumexp".
        samples: Positions a step for "max" and "logsumexp".
        sharpness: β of "logsumexp", in units of 1/loss.
        steps: How many.
        batch_size: Items a step; ``None`` for all of them, in one batch if the model has batch norm.
        rule: "sgd" with a heavy ball of 0.9, "adam", or a new rule of :mod:`thalweg.descent`.
        lr: Of the first two; by default 0.03 and 0.001. The weights of a node are below 1, so that a rate is gentler
            than it was for the network.
        schedule: "cosine" lets the rate fall to 0, "constant" keeps it.
        initial: A curve between these ends to begin with; its kind and bends count.
        labels: Names of the two ends.
        generator: Of positions and minibatches; ``None`` is a fresh one of seed 0.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Raises:
        ArgumentError: If the ends do not have the same parameters, type, mode or samples, if the loss of start's model
            and data is another one at ``end``, or an argument has a wrong value.
        DataError: If minibatches are asked for and the data cannot be cut.
        NonFiniteError: If the training diverges; the message says at which step. Or if the loss of ``end`` is not
            finite.

    Example:
        >>> import thalweg as tw
        >>> class Ring(torch.nn.Module):  # whose minima are the unit circle
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.xy = torch.nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))
        ...     def forward(self, x):
        ...         return x * self.xy.square().sum()
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(Ring(), tw.objectives.squared_error(), [(one, one)])
        >>> found = train_curve(landscape, torch.tensor([0.0, 1.0], dtype=torch.float64), steps=500)
        >>> bool((found.curve.point(0.5).norm() - 1).abs() < 0.02)
        True
    """
    _check(kind, bends, objective, samples, sharpness, steps, schedule)
    require_landscape("start", start)
    require_labels(labels)
    require_generator(generator)
    started = time.perf_counter()
    last, checked = _end(start, end)
    if initial is not None:
        require_nodes(initial, "initial")
    curve = straight(start.theta, last, bends=bends, kind=kind, labels=labels) if initial is None else initial
    require_curve(curve, start, end if isinstance(end, Landscape) else start.at(last))
    if curve.bends < 1:
        raise ArgumentError("initial: expected a curve with at least one bend, got the straight line.")
    mover, settings = _rule(rule, lr)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    seed = generator.initial_seed()
    order = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    # With buffers of its own, for batch norm to write into.
    landscape = start.at(start.theta, buffers=start.buffers)
    by_batch = start.mode == "eval" and has_statistics(start.model)
    # What normalises by the batch needs all data as one.
    size = start.count if by_batch and batch_size is None else batch_size
    minibatches = None if size is None else Minibatches(landscape, size, order)
    slope = CurveSlope(curve, landscape, minibatches, objective, samples, float(sharpness), generator)
    history: list[float] = []
    with (
        track(steps, f"curve {labels[0]} → {labels[1]}", progress) as bar,
        landscape.reading(),
        normalising_by_batch(start.model) if by_batch else nullcontext(),
        slope.walking() as evaluate,
    ):
        found = follow(
            evaluate,
            curve.nodes[1:-1].reshape(-1),
            mover,
            steps,
            schedule=cosine(steps) if schedule == "cosine" else None,
            watch=lambda _, value, __: history.append(value),
            bar=bar,
        )
    share = 1.0 if batch_size is None else batch_size / start.count
    return TrainedCurve(
        curve=Curve(torch.cat([curve.nodes[:1], found.view(curve.bends, -1), curve.nodes[-1:]]), curve.kind, labels),
        objective=objective,
        history=torch.tensor(history, dtype=torch.float64),
        positions=torch.tensor(slope.positions, dtype=torch.float64),
        settings={
            **settings,
            "steps": steps,
            "batch_size": batch_size,
            "schedule": schedule,
            "seed": seed,
            "samples": 1 if objective == "mean" else samples,
            "sharpness": float(sharpness) if objective == "logsumexp" else None,
        },
        cost=Cost(
            gradients=math.ceil(slope.gradients * share),
            losses=math.ceil(slope.losses * share) + checked.losses,
            seconds=time.perf_counter() - started,
        ),
        provenance=start.provenance(),
    )


def _end(start: Landscape, end: Any) -> tuple[Tensor, Cost]:
    if isinstance(end, Landscape):
        return end.theta, require_one_function(start, end)
    return require_vector(start.space, end, "end").clone(), Cost()


def _rule(rule: Any, lr: float | None) -> tuple[Rule, dict[str, float | int | str | bool | None]]:
    if isinstance(rule, str):
        if rule not in _RATES:
            raise ArgumentError(f"rule: expected 'sgd', 'adam' or a rule of thalweg.descent, got {rule!r}.")
        rate = _RATES[rule] if lr is None else require_radius("lr", lr)
        return (momentum if rule == "sgd" else adam)(rate, in_place=True), {"rule": rule, "lr": rate}
    if not callable(rule):
        raise ArgumentError(f"rule: expected 'sgd', 'adam' or a rule of thalweg.descent, got {type(rule).__name__}.")
    if lr is not None:
        raise ArgumentError(f"lr: expected None with a rule, which has its own, got {lr}.")
    return rule, {"rule": "given", "lr": None}


def _check(kind: str, bends: int, objective: str, samples: int, sharpness: float, steps: int, schedule: str) -> None:
    words = {
        "kind": (kind, ("bezier", "chain")),
        "objective": (objective, ("mean", "max", "logsumexp")),
        "schedule": (schedule, ("cosine", "constant")),
    }
    for name, (given, allowed) in words.items():
        if given not in allowed:
            *others, last = map(repr, allowed)
            raise ArgumentError(f"{name}: expected {', '.join(others)} or {last}, got {given!r}.")
    for name, count in {"bends": bends, "samples": samples, "steps": steps}.items():
        require_whole(name, count)
        if count < 1:
            raise ArgumentError(f"{name}: expected at least 1, got {count}.")
    require_radius("sharpness", sharpness)

"""The sharpness of small groups of the data, on average."""

import math
import time
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._ascent import require_climb, require_nothing
from thalweg.measures._dealt import hands, weightless
from thalweg.measures._require import require_radius
from thalweg.measures._sharpness import sharpness
from thalweg.measures._sharpness_results import GroupSharpness
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track


def m_sharpness(
    landscape: Landscape,
    rho: float,
    m: int,
    method: Literal["one-step", "ascent"] = "one-step",
    *,
    groups: int | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> GroupSharpness:
    r"""Return the m-sharpness (Foret et al., 2021), the mean largest rise of the loss of m data items at a time.

    .. math:: \frac{1}{|G|} \sum_{B \in G} \max_{\|\delta\| \le \rho} L_B(\theta + \delta) - L_B(\theta)

    over a random division G of the data into groups of m, each with a δ of its own; groups count by their weight, and
    those whose items are all masked not at all.
    It is at least S_ρ of all data (the maximum is convex in the loss), and falls towards it as m grows to N. In SAM,
    training with small m is what helps generalisation, by measurements of Foret et al.

    A lower bound for this division, since each group's rise is one: by one step or by ascent, as
    :func:`thalweg.sharpness` does. It is never below zero: a step that overshoots counts as none.

    Cost: one gradient and two passes without over the data for "one-step", and up to 1 + ``steps`` × starts gradients
    for "ascent"; less where only some groups are looked at, but for one of the passes. A copy of the data.

    Args:
        landscape: In eval mode, its batches free to be cut.
        rho: Radius ρ > 0 in parameter space.
        m: Items a group, from 1 to N. Where m does not divide N, the sizes of the ⌈N/m⌉ groups are equal up to one, so
            that none has more than m, and maybe none as many; ``sizes`` of the result has them.
        method: "one-step" or "ascent".
        groups: How many groups to look at, at least 2, chosen at random; all by default.
        steps: Most gradients a start, for "ascent" alone.
        restarts: Random starts, for "ascent" alone.
        generator: Of the division, and then of the random starts; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every group to.

    Raises:
        ArgumentError: If an argument is out of range or has no effect with this method, or the landscape is in train
            mode, where a batch is not the sum of its items.
        DataError: If batches cannot be cut between their items.
        NonFiniteError: If the loss or gradient of a group is not finite somewhere in the ball.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> x = torch.ones(2, 1, dtype=torch.float64)
        >>> y = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
        >>> minimum = tw.Landscape(model, tw.objectives.squared_error(), [(x, y)])  # ½(w − 1)² and ½(w + 1)² at 0
        >>> print(m_sharpness(minimum, 0.1, 1))  # each item alone: ½·1.1² − ½
        1-sharpness S_0.1 ≥ 0.105 (one-step, 2 groups)
    """
    require_landscape(landscape)
    rho = require_radius("rho", rho)
    require_whole("m", m)
    if not 1 <= m <= landscape.count:
        raise ArgumentError(f"m: expected between 1 and the {landscape.count} data items, got {m}.")
    if method == "one-step":
        require_nothing(method, steps=steps, restarts=restarts)
    elif method == "ascent":
        require_climb(1 if steps is None else steps, 0 if restarts is None else restarts)
    else:
        raise ArgumentError(f"method: expected 'one-step' or 'ascent', got {method!r}.")
    total = math.ceil(landscape.count / m)
    _chosen(groups, total)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    # The division is random, so that the first groups are a random sample of them.
    dealt = hands(landscape, total, source)
    # What weighs nothing adds nothing to either sum.
    weighted = [part for part in dealt if not weightless(landscape, part)]
    total = len(weighted)
    parts = [landscape.on(part) for part in weighted[: _chosen(groups, total)]]
    climbing = source if method == "ascent" else None
    values, weights, spent = [], [], [0, 0]
    with track(len(parts), f"{m}-sharpness", progress) as bar:
        for part in parts:
            found = sharpness(part, rho, method, steps=steps, restarts=restarts, generator=climbing)
            values.append(found.value)
            weights.append(part.weight)
            spent[0] += found.cost.gradients * part.count
            spent[1] += found.cost.losses * part.count
            bar.advance()
    # Each part was read once more to be counted.
    gradients, losses = (math.ceil(count / landscape.count) for count in spent)
    cost = Cost(gradients=gradients, losses=losses + 1, seconds=time.perf_counter() - started)
    rises = torch.tensor(values, dtype=torch.float64)
    mean = _mean(rises, torch.tensor(weights, dtype=torch.float64), total, cost, landscape)
    sizes = tuple(part.count for part in parts)
    return GroupSharpness(mean, rises, sizes, rho, m, total, method, lower_bound=True, cost=cost)


def _chosen(groups: int | None, total: int) -> int:
    if groups is None:
        return total
    require_whole("groups", groups)
    if not 2 <= groups <= total:
        raise ArgumentError(f"groups: expected between 2 and the {total} groups that there are, got {groups}.")
    return groups


def _mean(values: Tensor, weights: Tensor, total: int, cost: Cost, landscape: Landscape) -> Estimate:
    """The ratio estimate Σ w r / Σ w, and its errors with and without the groups that were left out (Cochran, 1977)."""
    count, value = len(values), float((weights * values).sum() / weights.sum())
    provenance = landscape.provenance()
    if count == 1:
        return Estimate(value, 0.0, cost=cost, provenance=provenance)
    spread = float((weights * (values - value)).square().sum() / (count - 1)) ** 0.5 / float(weights.mean())
    error = spread / math.sqrt(count)
    return Estimate(
        value,
        error * math.sqrt(1 - count / total),
        None if count == total else count - 1,
        data_error=error,
        cost=cost,
        provenance=provenance,
    )

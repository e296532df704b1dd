"""Put the hidden units of many networks in one order."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.paths._activation_matching import match_activations
from thalweg.paths._align import Method, require_counts, require_method, require_one_architecture, shared_symmetry
from thalweg.paths._alignment_results import JointAlignment
from thalweg.paths._alike import require_generator
from thalweg.paths._layout import identity, moved
from thalweg.paths._permutation_results import PermutationSymmetry
from thalweg.paths._permuted import permuted, require_same_function
from thalweg.paths._weight_matching import Matcher, match_weights
from thalweg.progress import Progress, track


def align_many(
    landscapes: Sequence[Landscape],
    *,
    method: Method = "weights",
    symmetry: PermutationSymmetry | None = None,
    sweeps: int = 50,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> JointAlignment:
    r"""Permute the hidden units of many networks so that all stand alike, their functions unchanged.

    .. math:: \min_{P_1, \dots, P_m} \sum_k \Big\lVert P_k\theta_k - \frac{1}{m} \sum_j P_j\theta_j \Big\rVert^2

    First each is aligned with the first; then, in random order, each with the mean of the others, until none changes
    (MergeMany of Ainsworth et al., 2023). The sum never rises. No network is the reference: the first alone keeps its
    order at the start. With ``method="activations"`` each is put in the order of the first by what its units do, as
    :func:`align` does, and nothing is iterated: the first stays.

    Cost: "weights" none on data, except for tracing and checking; each sweep matches every network's weights once.
    "activations" runs the first network m − 1 times on its data, and each of the others once.

    Valid for: networks of one architecture; a local optimum, as :func:`align`.

    Args:
        landscapes: At least two.
        method: "weights" or "activations".
        symmetry: From :func:`permutations`; found anew by default.
        sweeps: At most so many passes through all networks.
        generator: Of the order of turns; ``None`` is a fresh one of seed 0.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Raises:
        ArgumentError: As :func:`align`, or if there are fewer than two networks.

    Example:
        >>> import thalweg as tw
        >>> data = [(torch.ones(4, 2), torch.zeros(4, 1))]
        >>> landscape = tw.Landscape(tw.models.mlp((2, 5, 1)), tw.objectives.mse(), data)
        >>> orders = [torch.tensor(order) for order in ([0, 1, 2, 3, 4], [3, 0, 4, 1, 2], [4, 3, 2, 1, 0])]
        >>> symmetry = tw.paths.permutations(landscape)
        >>> found = align_many([permuted(landscape, symmetry, {"1.0.weight": order}) for order in orders])
        >>> found.history[-1], found.converged
        (0.0, True)
    """
    started = time.perf_counter()
    require_counts(sweeps=sweeps)
    require_method(method)
    require_generator(generator)
    if not isinstance(landscapes, Sequence):
        raise ArgumentError(f"landscapes: expected a list of at least 2, got {type(landscapes).__name__}.")
    if len(landscapes) < 2:
        raise ArgumentError(f"landscapes: expected at least 2, got {len(landscapes)}.")
    require_one_architecture(landscapes)
    symmetry = shared_symmetry(landscapes, symmetry)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    weights = [landscape.split(landscape.theta) for landscape in landscapes]
    if method == "weights":
        orders, history, converged = _merged(weights, symmetry, sweeps, source, progress)
    else:
        found = [match_activations(landscapes[0], other, symmetry) for other in landscapes[1:]]
        orders, converged = [identity(symmetry), *found], True
        history = [_spread(weights, orders, symmetry)]
    aligned = [permuted(one, symmetry, order) for one, order in zip(landscapes, orders, strict=True)]
    return JointAlignment(
        permutations=tuple(orders),
        symmetry=symmetry,
        history=tuple(history),
        converged=converged,
        deviation=max(require_same_function(*pair, symmetry) for pair in zip(landscapes, aligned, strict=True)),
        cost=Cost(
            losses=2 * (len(landscapes) - 1) if method == "activations" else 0, seconds=time.perf_counter() - started
        ),
    )


def _merged(
    weights: list[dict[str, Tensor]],
    symmetry: PermutationSymmetry,
    sweeps: int,
    source: torch.Generator,
    progress: bool | Progress,
) -> tuple[list[dict[str, Tensor]], list[float], bool]:
    """Return an order for each network, the spread after each sweep, and whether none moved in the last."""
    matches = [
        match_weights(weights[0], theirs, symmetry, restarts=2, sweeps=sweeps, generator=source)
        for theirs in weights[1:]
    ]
    orders = [identity(symmetry), *(match.order for match in matches)]
    history, converged = [_spread(weights, orders, symmetry)], False
    with track(sweeps, "aligning networks", progress) as bar:
        for _ in range(sweeps):
            changed = False
            for turn in torch.randperm(len(weights), generator=source).tolist():
                placed = [moved(one, symmetry, order) for one, order in zip(weights, orders, strict=True)]
                rest = [one for place, one in enumerate(placed) if place != turn]
                mean = {name: torch.stack([one[name] for one in rest]).mean(0) for name in weights[0]}
                matcher = Matcher(mean, weights[turn], symmetry)
                before = {name: value.clone() for name, value in orders[turn].items()}
                matcher.descend(orders[turn], sweeps, source)
                changed |= any(bool((before[name] != value).any()) for name, value in orders[turn].items())
            bar.advance()
            if not changed:
                converged = True
                break
            history.append(_spread(weights, orders, symmetry))
    return orders, history, converged


def _spread(weights: list[dict[str, Tensor]], orders: list[dict[str, Tensor]], symmetry: PermutationSymmetry) -> float:
    placed = [moved(one, symmetry, order) for one, order in zip(weights, orders, strict=True)]
    total = 0.0
    for name in weights[0]:
        values = torch.stack([one[name].double() for one in placed])
        total += float((values - values.mean(0)).square().sum())
    return math.sqrt(total / len(weights))

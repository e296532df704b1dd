"""A landscape whose targets were drawn from the model itself."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from thalweg.errors import ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._program import Outputs
from thalweg.memory import ran_out
from thalweg.objectives import Objective
from thalweg.operators.engines import halved
from thalweg.vectors import draw_seeds


class Paired:
    """The batches of a landscape, each with the targets that were drawn for it."""

    def __init__(self, data: Iterable[Batch], targets: list[Tensor]) -> None:
        self._data = data
        self._targets = targets

    def __iter__(self) -> Iterator[Batch]:
        yield from zip(self._data, self._targets, strict=True)


def with_drawn_targets(landscape: Landscape, draws: int, generator: torch.Generator | None) -> Landscape:
    """Draw targets once for all terms; the terms of the result have one more axis, the draws.

    Weights stay those of the data, so that masked terms stay masked.

    Raises:
        ObjectiveError: If the objective cannot score other targets than the data's.
    """
    objective = landscape.objective
    seed, passes = draw_seeds(generator, 1)[0], landscape
    while True:
        try:
            targets = [torch.cat(parts) for parts in _drawn(passes, draws, seed)]
            break
        except RuntimeError as error:
            size = halved(passes) if ran_out(error) else None
            if size is None:
                raise
            passes = landscape.in_pieces(size)
    return landscape.seen_as(_under_draws(objective, draws), Paired(landscape.data, targets))


def _drawn(landscape: Landscape, draws: int, seed: int) -> Iterator[list[Tensor]]:
    """Yield the targets of each batch, in micro-batches, draws along the second axis."""
    draw = landscape.objective.draw
    assert draw is not None  # noqa: S101 - checked by the caller
    source = torch.Generator(landscape.space.device).manual_seed(seed)
    parts, last = list[Tensor](), 0
    with landscape.reading(), torch.no_grad():
        leaves = landscape.leaves(grad=False)
        for index, batch in landscape.batches():
            if index != last:
                yield parts
                parts, last = [], index
            outputs = landscape.outputs(leaves, batch)
            parts.append(torch.stack([draw(outputs, source) for _ in range(draws)], dim=1))
    yield parts


def _under_draws(objective: Objective, draws: int) -> Objective:
    score = objective.score
    if score is None:
        raise ObjectiveError(
            f"objective: expected one that can score drawn targets, and {objective.name} declares draw without score."
        )

    def terms(outputs: Outputs, batch: Batch) -> Tensor:
        # Divided so that the sum of squares over draws is their mean.
        return torch.stack([score(outputs, targets) for targets in batch[1].unbind(1)], dim=-1) / math.sqrt(draws)

    def spread(of_batch: Callable[[Batch], Tensor] | None) -> Callable[[Batch], Tensor] | None:
        if of_batch is None:
            return None

        def repeated(batch: Batch) -> Tensor:
            value = of_batch(batch[0])
            return value.unsqueeze(-1).expand(*value.shape, draws)

        return repeated

    return replace(
        objective,
        name=f"{objective.name} of drawn targets",
        outputs=lambda model, batch: objective.outputs(model, batch[0]),
        terms=terms,
        weights=spread(objective.weights),
        sample_of=spread(objective.sample_of),
        draw=None,
        score=None,
        metrics=None,
    )

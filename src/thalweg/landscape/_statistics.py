"""A weighted mean over data items and its standard error."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import finite
from thalweg.landscape._program import Terms


class ItemSums:
    """Collects Σ wx and Σ w of every data item for one quantity x."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []
        self._weights: list[Tensor] = []

    def add(self, terms: Terms, values: Tensor) -> None:
        """Add the terms of one batch."""
        weights = terms.weights
        # What is masked may be anything, NaN included.
        weighted = torch.where(weights == 0, 0.0, weights * values.detach().to(weights.dtype))
        if terms.sample is None:
            self._values.append(weighted.reshape(len(weighted), -1).sum(dim=1))
            self._weights.append(weights.reshape(len(weights), -1).sum(dim=1))
            return
        index = terms.sample.reshape(-1).to(weights.device)
        empty = weights.new_zeros(int(index.max()) + 1)
        self._values.append(empty.index_add(0, index, weighted.reshape(-1)))
        self._weights.append(empty.index_add(0, index, weights.reshape(-1)))

    def mean(self) -> float:
        """Return Σ a_i / Σ b_i over items, with the bits of :meth:`mean_and_error`."""
        return float(torch.cat(self._values).sum() / torch.cat(self._weights).sum())

    def mean_and_error(self) -> tuple[float, float | None]:
        r"""Return m = Σ a_i / Σ b_i over items and the standard error of this ratio.

        The error is :math:`\sqrt{\frac{N}{N-1} \sum_i (a_i - m b_i)^2} / \sum_i b_i` (Cochran, 1977, ch. 6);
        ``None`` for a single item.
        """
        values, weights = torch.cat(self._values), torch.cat(self._weights)
        total = weights.sum()
        mean = values.sum() / total
        if len(values) < 2:
            return float(mean), None
        spread = (values - mean * weights).square().sum() * len(values) / (len(values) - 1)
        return float(mean), float(spread.sqrt() / total)


def collect(
    batches: Iterable[tuple[int, Batch]], evaluate: Callable[[Batch], Terms]
) -> tuple[ItemSums, dict[str, ItemSums]]:
    """Sum the loss, and each metric by its name, over all batches.

    Raises:
        NonFiniteError: If the loss of a batch is not finite.
    """
    loss, metrics = ItemSums(), dict[str, ItemSums]()
    for index, batch in batches:
        terms = evaluate(batch)
        finite(terms.weighted_sum(), index)
        loss.add(terms, terms.values)
        for name, values in terms.metrics.items():
            metrics.setdefault(name, ItemSums()).add(terms, values)
    return loss, metrics


@dataclass(frozen=True)
class Average:
    """Turns sums over data items into estimates, all from one pass.

    Attributes:
        finish: What is done to the mean of each name.
        cost: Of the pass.
        provenance: How it was made.
    """

    finish: Mapping[str, Callable[[float], float]]
    cost: Cost
    provenance: Provenance

    def of(self, sums: ItemSums, name: str | None = None) -> Estimate:
        """Return the finished mean, exact for these data, with the error that the data leave."""
        mean, error = finished(*sums.mean_and_error(), None if name is None else self.finish.get(name))
        return Estimate(mean, standard_error=0.0, data_error=error, cost=self.cost, provenance=self.provenance)


def finished(mean: float, error: float | None, finish: Callable[[float], float] | None) -> tuple[float, float | None]:
    """Carry a mean and its error through a monotone function, the error to first order."""
    if finish is None:
        return mean, error
    if error is None:
        return finish(mean), None
    carried = abs(finish(mean + error) - finish(mean - error)) / 2
    return finish(mean), carried if math.isfinite(carried) else None

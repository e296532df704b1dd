"""The first passes over the data: what they hold, and whether they repeat."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from thalweg.errors import ArgumentError, DataError
from thalweg.landscape._batches import Batch, fingerprint
from thalweg.landscape._gradients import finite, gradients_of, nodes_of
from thalweg.landscape._point import Point
from thalweg.landscape._program import Terms


@dataclass
class Survey:
    """What one pass over the data found.

    Attributes:
        gradient: Of Σ wℓ over all batches; zero in a pass without gradients.
        reached: Whether the loss depends on each parameter.
        index: Of the batch that each entry below belongs to; several entries a batch with micro-batches.
        digests: Checksums of the exact bits of each batch.
        totals: An order-independent sum for each batch.
        losses: Σ wℓ for each batch.
        weight: Σ w over all terms.
        samples: Data items.
        terms: Terms of positive weight.
    """

    gradient: Tensor
    reached: list[bool]
    index: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    weight: float = 0.0
    samples: int = 0
    terms: int = 0

    @property
    def batches(self) -> int:
        """How many batches there were."""
        return self.index[-1] + 1 if self.index else 0

    def require_terms(self) -> None:
        """Check that there is something to average.

        Raises:
            DataError: If there are no batches, or all terms have weight zero.
        """
        if not self.losses:
            raise DataError("data: expected at least one batch, got none.")
        if not self.weight > 0:
            raise DataError(
                f"data: expected terms of positive total weight, got {self.weight:g}: "
                "there are none, or all are masked."
            )

    def tally(self, terms: Terms, batch: int) -> None:
        """Count what a batch holds.

        Raises:
            DataError: If a weight is negative or not finite.
        """
        weights = terms.weights
        if not bool((weights >= 0).all()) or not math.isfinite(float(weights.sum())):
            raise DataError(f"weights: expected finite numbers that are not negative, got another in batch {batch}.")
        self.weight += float(weights.sum())
        self.terms += int((weights > 0).sum())
        if terms.sample is None:
            self.samples += len(weights)
        elif terms.sample.numel():
            self.samples += int(terms.sample.max()) + 1


def survey(
    batches: Iterable[tuple[int, Batch]],
    evaluate: Callable[[Batch], Terms],
    leaves: list[Tensor],
    point: Point,
    *,
    thorough: bool,
) -> Survey:
    """Read the data once; a thorough pass takes the gradient and the fingerprints too.

    Args:
        batches: Pairs of a batch's index and a micro-batch.
        evaluate: Runs the model at the leaves.
        leaves: The parameters.
        point: Where they are taken.
        thorough: Whether to do more than count.

    Raises:
        ArgumentError: If the model uses a parameter of its own in a place where no other can take its place.
        NonFiniteError: If the loss of a batch is not finite.
        DataError: If a weight is negative or not finite.
    """
    like = point.theta
    found = Survey(torch.zeros_like(like), [False] * len(leaves))
    for index, batch in batches:
        if thorough:
            digest, total = fingerprint(batch)
            found.digests.append(digest)
            found.totals.append(total)
        with torch.set_grad_enabled(thorough):
            terms = evaluate(batch)
            value = terms.weighted_sum()
        found.index.append(index)
        found.losses.append(finite(value, index))
        found.tally(terms, index)
        if thorough:
            if len(found.index) == 1:
                _refuse_strays(value, point.originals)
            parts = gradients_of(value, leaves)
            found.reached = [known or part is not None for known, part in zip(found.reached, parts, strict=True)]
            found.gradient += point.layout.flatten(parts, like)
    return found


def _refuse_strays(value: Tensor, originals: Mapping[int, str]) -> None:
    """Refuse a model that reads a parameter where it is not registered: it would stay what it is, and have no gradient.

    Raises:
        ArgumentError: If there is one; the message names it.
    """
    variables = [node.variable for node in nodes_of([value]) if hasattr(node, "variable")]
    strays = sorted({originals[id(variable)] for variable in variables if id(variable) in originals})
    if strays:
        raise ArgumentError(
            f"model: expected parameters that are read as attributes of their modules, but {', '.join(strays)} is also "
            "read through something else, such as a list that holds it, where no other value can take its place. "
            "Read it through its module."
        )

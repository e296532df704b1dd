"""The gradient of a landscape on random minibatches of its data."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge

from thalweg.errors import ArgumentError, DataError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, joined, rows_of, taken
from thalweg.landscape._cuttable import require_cuttable
from thalweg.landscape._gradients import finite, gradients_of


class Minibatches:
    r"""Loss and gradient on random items, each as often as every other, in passes over the data.

    .. math:: \hat L(\theta) = \frac{N}{B} \sum_{i \in B} \sum_{j \in i} w_j \ell_j(\theta) \Big/ \sum_j w_j

    It is an unbiased estimate of L for any weights, since the denominator is that of all data.

    Use :meth:`slope` inside the landscape's ``reading()``, once for many steps.

    Args:
        landscape: Where; its data are copied to its device, joined.
        size: Items B of a minibatch, at most N; the last of a pass is left out where it has fewer.
        generator: Of the order; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If there are fewer items than ``size``.
        DataError: If batches cannot be joined and cut between their items.
    """

    def __init__(self, landscape: Landscape, size: int, generator: torch.Generator | None = None) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= landscape.count:
            raise ArgumentError(
                f"batch_size: expected a whole number from 1 to the {landscape.count} data items, got {size!r}."
            )
        if not landscape.objective.splits:
            raise DataError(
                f"landscape: expected an objective whose batches can be cut, and {landscape.objective.name} sees a "
                "batch as a whole."
            )
        with landscape.reading():
            batches = [batch for _, batch in landscape.batches()]
        for batch in batches:
            require_cuttable(batch, landscape.objective)
        whole = joined(batches)
        if len(whole) != 1 or rows_of(whole[0], "landscape") != landscape.count:
            raise DataError("landscape: expected batches that can be joined, of the same shape but for their length.")
        self._landscape, self._data, self.size = landscape, whole[0], size
        self._generator = torch.Generator().manual_seed(0) if generator is None else generator
        self._order = torch.empty(0, dtype=torch.long)
        self._batch: Batch = None

    @property
    def steps(self) -> int:
        """Minibatches of one pass over the data."""
        return self._landscape.count // self.size

    def advance(self) -> None:
        """Take the next minibatch, for :meth:`again` and what repeats."""
        self._batch = taken(self._data, self._next())

    def slope(self, theta: Float[Tensor, " p"], *, repeat: bool = False) -> tuple[float, Float[Tensor, " p"]]:
        """Return loss and gradient at θ on the next minibatch; raises as :meth:`Landscape.gradient` does.

        Args:
            theta: Where.
            repeat: Whether to take the last minibatch once more.
        """
        return self.slope_of(self._landscape.leaves(theta), theta, repeat=repeat)

    def slope_of(
        self,
        leaves: list[Tensor],
        like: Float[Tensor, " p"],
        *,
        places: list[GradientEdge] | None = None,
        out: Float[Tensor, " p"] | None = None,
        repeat: bool = False,
    ) -> tuple[float, Float[Tensor, " p"]]:
        """Return loss and gradient at leaves on the next minibatch; raises as :meth:`slope` does.

        Args:
            leaves: Where.
            like: Has the type that the gradient is given in.
            places: Of the leaves in the graph, where the model holds them already, by the landscape's ``held()``, and
                needs nothing else.
            out: Where to write the gradient.
            repeat: Whether to take the last minibatch once more.
        """
        landscape = self._landscape
        if not repeat:
            self.advance()
        free = places is not None
        outputs = (
            landscape.objective.outputs(landscape.model, self._batch)
            if free
            else landscape.outputs(leaves, self._batch)
        )
        value = landscape.terms_of(outputs, self._batch).weighted_sum()
        number = finite(value, 0) * self._scale
        parts = gradients_of(value * self._scale, leaves, places=places)
        return number, landscape.layout.flatten(parts, like, out=out)

    def again(self, theta: Float[Tensor, " p"]) -> float:
        """Return the loss at another θ on the last minibatch; raises as that does."""
        landscape = self._landscape
        with torch.no_grad():
            value = landscape.terms(landscape.leaves(theta, grad=False), self._batch).weighted_sum()
        return finite(value, 0) * self._scale

    @property
    def _scale(self) -> float:
        return self._landscape.count / self.size / self._landscape.weight

    def _next(self) -> Tensor:
        if len(self._order) < self.size:
            count = self._landscape.count
            order = torch.randperm(count, generator=self._generator, device=self._generator.device)
            self._order = order.to(self._landscape.space.device)
        index, self._order = self._order[: self.size], self._order[self.size :]
        return index

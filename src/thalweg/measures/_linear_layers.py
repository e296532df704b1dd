"""Gradients of single items, with those of linear layers as the two factors that they are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch, map_tensors
from thalweg.landscape._gradients import gradients_of

_Linear = Callable[[int, Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Use:
    """One call of a linear layer whose weight is a parameter.

    Attributes:
        weight: Which of the parameters.
        bias: Which of them; ``None`` for none.
        shape: Of the output for one item.
        dtype: Of the output.
    """

    weight: int
    bias: int | None
    shape: torch.Size
    dtype: torch.dtype


@dataclass(frozen=True)
class Factored:
    """What linear layers do to the items of one shape.

    Attributes:
        uses: Their calls, in the order that they come in.
        weights: Parameters whose every gradient comes from these calls, so that the factors tell all of it.
        biases: The same for the biases.
        others: The parameters whose gradients must be formed.
    """

    uses: tuple[Use, ...]
    weights: frozenset[int]
    biases: frozenset[int]
    others: tuple[int, ...]


class _Watched(TorchFunctionMode):
    """Hands calls of ``linear`` with a parameter as the weight to somebody else."""

    def __init__(self, leaves: list[Tensor], call: _Linear) -> None:
        super().__init__()
        self._place = {id(leaf): place for place, leaf in enumerate(leaves)}
        self._call = call

    def place(self, tensor: Tensor | None) -> int | None:
        """Which parameter a tensor is."""
        return self._place.get(id(tensor))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is functional.linear:
            x, weight, bias = _arguments(*args, **(kwargs or {}))
            place = self.place(weight)
            # One vector with no axis before it has no items of its own either.
            if place is not None and x.ndim > 1:
                return self._call(place, x, weight, bias)
        return func(*args, **(kwargs or {}))


def _arguments(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:  # noqa: A002 - torch's name
    return input, weight, bias


def factored(landscape: Landscape, item: Batch) -> Factored:
    """Look at one item, in a batch of its own, by one gradient; use inside :meth:`Landscape.reading`."""
    leaves, uses, hidden = landscape.leaves(), list[Use](), set[int]()

    def seen(place: int, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        of_bias = watched.place(bias)
        # Without its gradient: what the parameter gets all the same comes from elsewhere.
        kept = bias if bias is None or of_bias is None else bias.detach()
        result = functional.linear(x, weight.detach(), kept)
        uses.append(Use(place, of_bias, result.shape, result.dtype))
        hidden.update({place} if of_bias is None else {place, of_bias})
        # A way on for the gradient where x has none.
        return result + torch.zeros_like(result).requires_grad_()

    watched = _Watched(leaves, seen)
    with watched:
        value = landscape.terms(leaves, item).weighted_sum()
    parts = gradients_of(value, leaves)
    alone = {place for place in hidden if parts[place] is None}
    weights = frozenset(use.weight for use in uses) & alone
    biases = (frozenset(use.bias for use in uses if use.bias is not None) & alone) - weights
    others = tuple(place for place in range(len(leaves)) if place not in weights | biases)
    return Factored(tuple(uses), weights, biases, others)


@dataclass(frozen=True)
class ItemGradients:
    """Gradients of n items of one shape.

    Attributes:
        formed: By parameter, shape (n, …).
        factors: By parameter, what the gradients of weights are made of: Σ_t δ_t a_tᵀ of δ, shape (n, T, out), and a,
            shape (n, T, in).
    """

    formed: dict[int, Tensor]
    factors: dict[int, tuple[Tensor, Tensor]]


def item_gradients(landscape: Landscape, found: Factored, batch: Batch, rows: list[Tensor]) -> ItemGradients:
    """Differentiate each item's loss, all of them together; use inside :meth:`Landscape.reading`.

    Args:
        landscape: Where.
        found: What :func:`factored` said of items of this shape.
        batch: The items' structure.
        rows: The tensors in it, the items along their first axis.

    Raises:
        RuntimeError: From PyTorch, where an operation cannot be vectorised.
    """
    plain = landscape.leaves(grad=False)

    def loss(live: list[Tensor], shifts: list[Tensor], *item: Tensor) -> tuple[Tensor, list[Tensor]]:
        leaves = list(plain)
        for place, leaf in zip(found.others, live, strict=True):
            leaves[place] = leaf
        inputs = list[Tensor]()

        def shifted(place: int, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            del place
            shift = shifts[len(inputs)]
            inputs.append(x.detach())
            return functional.linear(x, weight, bias) + shift

        parts = iter([tensor.unsqueeze(0) for tensor in item])
        with _Watched(leaves, shifted):
            value = landscape.terms(leaves, map_tensors(lambda _: next(parts), batch)).weighted_sum()
        if len(inputs) != len(shifts):
            raise RuntimeError("the model calls its layers in another way for some items")
        return value, inputs

    gradient = torch.func.grad(loss, argnums=(0, 1), has_aux=True)
    vectorised = torch.func.vmap(gradient, in_dims=(None, None, *(0 for _ in rows)), randomness="same")
    live = [plain[place] for place in found.others]
    shifts = [torch.zeros(use.shape, dtype=use.dtype, device=landscape.space.device) for use in found.uses]
    (formed, slopes), inputs = vectorised(live, shifts, *rows)
    return _sorted(found, len(rows[0]), formed, slopes, inputs)


def _sorted(
    found: Factored, count: int, formed: list[Tensor], slopes: list[Tensor], inputs: list[Tensor]
) -> ItemGradients:
    """Give every parameter what belongs to it."""
    parts = dict(zip(found.others, formed, strict=True))
    left, right = dict[int, list[Tensor]](), dict[int, list[Tensor]]()
    for use, slope, given in zip(found.uses, slopes, inputs, strict=True):
        slope = slope.reshape(count, -1, slope.shape[-1])
        if use.weight in found.weights:
            left.setdefault(use.weight, []).append(slope)
            right.setdefault(use.weight, []).append(given.reshape(count, -1, given.shape[-1]).to(slope.dtype))
        if use.bias in found.biases:
            total = slope.sum(dim=1)
            parts[use.bias] = parts[use.bias] + total if use.bias in parts else total
    return ItemGradients(parts, {place: (torch.cat(left[place], 1), torch.cat(right[place], 1)) for place in left})

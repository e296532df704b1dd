"""A form multiplied on one micro-batch in forward mode: one vector by dual numbers, several by vectorised ones."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import CheckpointError

from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._gradients import backward, edges, gradients_of
from thalweg.operators._form import Congruence, Form, SecondDerivative, Values

Parts = Sequence[Tensor | None]
Multiplier = Callable[[list[Tensor]], Parts]


def one_by_one(form: Form, landscape: Landscape, batch: Batch) -> Multiplier:
    """Return what multiplies one tangent, a tensor a leaf; each pays for its own pass through the model."""
    if isinstance(form, SecondDerivative):
        return lambda tangents: _second_derivative(form, landscape, batch, tangents)
    return lambda tangents: _congruence(form, landscape, batch, tangents)


def together(form: Form, landscape: Landscape, batch: Batch) -> Multiplier:
    """Return what multiplies several tangents, stacked along a first axis; they share the pass through the model."""
    plain = tuple(landscape.leaves(grad=False))

    def pushed(function: Callable[[tuple[Tensor, ...]], Values], tangents: list[Tensor]) -> Values:
        def along(*one: Tensor) -> Values:
            return torch.func.jvp(function, (plain,), (one,))[1]  # type: ignore[no-any-return]  # torch leaves it untyped

        typed = [tangent.to(leaf.dtype) for tangent, leaf in zip(tangents, plain, strict=True)]
        with warnings.catch_warnings():
            # An operation without a rule of its own is looped over, as everything would be without vectorising.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            # A landscape is deterministic: what its model draws comes from generators that repeat.
            return torch.func.vmap(along, randomness="same")(*typed)

    if isinstance(form, SecondDerivative):
        gradient = torch.func.grad(lambda leaves: form.scalar(list(leaves), batch))
        return lambda tangents: pushed(gradient, tangents)

    leaves = landscape.leaves()
    values = form.values(leaves, batch)
    middle = torch.func.vmap(form.middle(_detached(values), batch))

    def multiplied(tangents: list[Tensor]) -> Parts:
        images = middle(pushed(lambda leaves: form.values(list(leaves), batch), tangents))
        return _pulled(values, images, leaves, batched=True)

    return multiplied


def _second_derivative(form: SecondDerivative, landscape: Landscape, batch: Batch, tangents: list[Tensor]) -> Parts:
    with forward_ad.dual_level():
        duals = _duals(landscape.leaves(), tangents)
        # Formulas that are faster, and cannot be differentiated again, are taken where no graph is asked for.
        with landscape.held(duals):
            parts = gradients_of(form.scalar(duals, batch), duals, create_graph=True)
        moved = [None if part is None else _unpacked(part)[1] for part in parts]
    return [None if part is None else part.detach() for part in moved]


def _congruence(form: Congruence, landscape: Landscape, batch: Batch, tangents: list[Tensor]) -> Parts:
    leaves = landscape.leaves()
    with forward_ad.dual_level():
        pairs = [_unpacked(value) for value in form.values(_duals(leaves, tangents), batch)]
    # Outside the level the graph has no tangents, which the way back does not need.
    values = tuple(value for value, _ in pairs)
    pushed = tuple(torch.zeros_like(value) if part is None else part.detach() for value, part in pairs)
    images = form.middle(_detached(values), batch)(pushed)
    try:
        return _pulled(values, images, leaves)
    except CheckpointError:
        # Layers that run again on the way back save less than before, for lack of tangents.
        return _pulled(form.values(leaves, batch), images, leaves)


def _duals(leaves: list[Tensor], tangents: list[Tensor]) -> list[Tensor]:
    pairs = zip(leaves, tangents, strict=True)
    return [forward_ad.make_dual(leaf, tangent.to(leaf.dtype)) for leaf, tangent in pairs]  # type: ignore[no-untyped-call]  # torch's


def _unpacked(dual: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return value and tangent, ``None`` for zero."""
    return forward_ad.unpack_dual(dual)  # type: ignore[no-untyped-call, no-any-return]  # torch leaves it untyped


def _detached(values: Values) -> Values:
    return tuple(value.detach() for value in values)


def _pulled(values: Values, images: Values, leaves: list[Tensor], *, batched: bool = False) -> Parts:
    """Return Jᵀ of the images; values that do not move lead nowhere."""
    moving = [(value, image) for value, image in zip(values, images, strict=True) if value.requires_grad]
    if not moving:
        return [None] * len(leaves)
    weights = [image.to(value.dtype) for value, image in moving]
    # A block may come in chunks, each of which goes back through the same graph.
    return backward(
        edges([value for value, _ in moving]), edges(leaves), weights, retain_graph=batched, batched=batched
    )

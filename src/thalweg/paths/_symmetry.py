"""The permutations of hidden units that a network does not notice."""

import dataclasses
import time

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.paths._layout import identity, moved, shuffled
from thalweg.paths._permutation_results import AxisUnits, FrozenUnits, PermutationSymmetry
from thalweg.paths._propagation import propagate
from thalweg.paths._trace import trace


def permutations(
    landscape: Landscape, *, check: bool = True, generator: torch.Generator | None = None
) -> PermutationSymmetry:
    r"""Find the groups of hidden units that may trade places without changing the network's function.

    .. math:: f_{P\theta}(x) = f_\theta(x) \quad \text{for all } x

    The model is traced with :mod:`torch.fx` on the landscape's first batch, down to elementary operations, and the units
    along every axis are followed through them: additions tie axes, so that all layers that write to a residual stream
    share one group; flattening multiplies units by pixels; group normalisation keeps groups of channels together;
    chunks of a fused layer are told apart; heads may trade places, and so may the units within a head, the same in
    queries and keys, and the same in values and the output. Nothing is known of any architecture. Input and
    output keep their order, and so do units that flow into an operation that is not understood: they are listed.

    Cost: three passes over one batch, two of them for the check.

    Valid for: any model that PyTorch can trace. The graph is that of the first batch; control flow that depends on the
    input's values may hide another one, which ``check`` does not see either. All that is found is a symmetry; there may be
    more than is found.

    Args:
        landscape: Its model and first batch. Parameters that are not selected are not moved.
        check: Whether to permute all groups at random and compare the outputs. A group that changes them, which
            would be an error of this function, is put among the frozen.
        generator: Draws the permutations of the check.

    Raises:
        ArgumentError: If the model cannot be traced; the message says where tracing stopped.

    Example:
        >>> import thalweg as tw
        >>> model = tw.models.mlp((2, 3, 1))
        >>> landscape = tw.Landscape(model, tw.objectives.mse(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> found = permutations(landscape)
        >>> print(found)
        3 interchangeable units in 1 groups
        >>> print(*found.axes, sep="; ")
        1.weight[0]: 1.weight; 1.bias[0]: 1.weight; 3.weight[1]: 1.weight
    """
    return traced(landscape, check=check, generator=generator)


def traced(
    landscape: Landscape, *, check: bool = True, generator: torch.Generator | None = None
) -> PermutationSymmetry:
    """Return what :func:`permutations` does."""
    started = time.perf_counter()
    with landscape.reading():
        batch = first_batch(landscape)
        found = trace(landscape, batch)
    groups, axes, frozen, _ = propagate(found, [*landscape.layout.names, *landscape.buffers])
    symmetry = PermutationSymmetry(groups, axes, frozen)
    if check and groups:
        source = torch.Generator().manual_seed(0) if generator is None else generator
        symmetry = _checked(landscape, symmetry, batch, source)
    return dataclasses.replace(symmetry, cost=Cost(seconds=time.perf_counter() - started))


def first_batch(landscape: Landscape) -> Batch:
    """Return the first batch, cut as the landscape cuts it; use inside ``landscape.reading()``."""
    return next(landscape.batches())[1]


def permuted(landscape: Landscape, symmetry: PermutationSymmetry, order: dict[str, Tensor]) -> Landscape:
    """Return the landscape of the network with its hidden units in another order, at θ and buffers that follow.

    It computes the same function if ``symmetry`` is that of its model; :func:`require_same_function` looks.

    Args:
        landscape: Where to start from.
        symmetry: From :func:`permutations`.
        order: For each group which unit comes to stand at each place, shape (size,), or (copies, size) for a group
            within another; groups that are left out stay.

    Raises:
        ArgumentError: If an order is no permutation of its group, or there is no such group.
    """
    given = {**identity(symmetry), **order}
    _require_permutations(symmetry, given)
    tensors = moved({**landscape.split(landscape.theta), **landscape.buffers}, symmetry, given)
    theta = landscape.layout.flatten([tensors[name] for name in landscape.layout.names], landscape.theta)
    return landscape.at(theta, buffers={name: tensors[name] for name in landscape.buffers})


def require_same_function(one: Landscape, other: Landscape) -> float:
    """Return the largest difference between two networks' outputs on the first batch, as a share of the largest output.

    Raises:
        ArgumentError: If it is more than rounding.
    """
    with one.reading():
        batch = first_batch(one)
    found = _deviation(one, other, batch)
    if not found <= _tolerance(one):
        raise ArgumentError(
            f"permutations: expected the same function after them, got outputs that differ by {found:.3g} of the largest. "
            "Is the symmetry that of this model?"
        )
    return found


def _checked(
    landscape: Landscape, symmetry: PermutationSymmetry, batch: Batch, generator: torch.Generator
) -> PermutationSymmetry:
    order = shuffled(symmetry, generator)
    found = _deviation(landscape, permuted(landscape, symmetry, order), batch)
    if found <= _tolerance(landscape):
        return dataclasses.replace(symmetry, deviation=found)
    wrong = set[str]()
    for group in symmetry.groups:
        alone = {group.name: order[group.name]}
        if not _deviation(landscape, permuted(landscape, symmetry, alone), batch) <= _tolerance(landscape):
            wrong.add(group.name)
    if not wrong:
        raise ArgumentError(
            f"landscape: expected outputs that stay within rounding of each other, got {found:.3g} under permutations of "
            "units, each of which alone leaves them. Use a landscape with dtype=torch.float64."
        )
    return _checked(landscape, _without(symmetry, wrong), batch, generator)


def _without(symmetry: PermutationSymmetry, wrong: set[str]) -> PermutationSymmetry:
    wrong |= {group.name for group in symmetry.groups if group.within in wrong}
    sizes = {group.name: str(group.size) for group in symmetry.groups if group.name in wrong}

    def written(text: str) -> str:
        words = [(word.strip("()"), word) for word in text.split(" ")]
        return " ".join(word.replace(bare, sizes[bare]) if bare in sizes else word for bare, word in words)

    lost = [FrozenUnits("the check", group.name, group.size * group.copies) for group in symmetry.groups if group.name in wrong]
    return dataclasses.replace(
        symmetry,
        groups=tuple(group for group in symmetry.groups if group.name not in wrong),
        axes=tuple(AxisUnits(axis.tensor, axis.axis, written(axis.units)) for axis in symmetry.axes),
        frozen=(*symmetry.frozen, *lost),
    )


def _deviation(one: Landscape, other: Landscape, batch: Batch) -> float:
    ours, theirs = (_outputs(landscape, batch) for landscape in (one, other))
    largest = max((float(value.abs().max()) for value in ours if value.numel()), default=0.0)
    apart = max(
        (float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True) if a.numel()),
        default=0.0,
    )
    return apart / largest if largest else apart


def _outputs(landscape: Landscape, batch: Batch) -> list[Tensor]:
    with landscape.reading(), torch.no_grad():
        leaves = pytree.tree_leaves(landscape.outputs(landscape.leaves(grad=False), batch))
    return [leaf.double() for leaf in leaves if isinstance(leaf, Tensor)]


def _tolerance(landscape: Landscape) -> float:
    # Sums in another order differ by a few roundings; a wrong permutation by a good part of the outputs.
    return landscape.precision ** (2 / 3) * 10


def _require_permutations(symmetry: PermutationSymmetry, order: dict[str, Tensor]) -> None:
    groups = {group.name: group for group in symmetry.groups}
    for name, given in order.items():
        group = groups.get(name)
        if group is None:
            raise ArgumentError(f"order: expected groups of the symmetry, {sorted(groups)}, got {name!r}.")
        shape = (group.size,) if group.within is None else (group.copies, group.size)
        whole = isinstance(given, Tensor) and tuple(given.shape) == shape and not given.is_floating_point()
        if not whole or not bool((given.sort(-1).values == torch.arange(group.size, device=given.device)).all()):
            raise ArgumentError(f"order: expected a permutation of shape {shape} for {name}, got {given!r}.")

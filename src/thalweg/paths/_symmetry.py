"""The permutations of hidden units that a network does not notice."""

import dataclasses
import time

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.paths._layout import shuffled
from thalweg.paths._permutation_results import AxisUnits, FrozenUnits, PermutationSymmetry
from thalweg.paths._permuted import deviation, first_batch, permuted, tolerance
from thalweg.paths._propagation import propagate
from thalweg.paths._trace import coarsest, movable, trace


def permutations(
    landscape: Landscape, *, check: bool = True, generator: torch.Generator | None = None
) -> PermutationSymmetry:
    r"""Find the groups of hidden units that may trade places without changing the network's function.

    .. math:: f_{P\theta}(x) = f_\theta(x) \quad \text{for all } x

    The model is traced with :mod:`torch.fx` on the landscape's first batch, down to elementary operations, and the
    units along every axis are followed through them: additions tie axes, so that all layers that write to a
    residual stream share one group; flattening multiplies units by pixels; group normalisation keeps groups of
    channels together; chunks of a fused layer are told apart; heads may trade places, and so may the units within a
    head, the same in queries and keys, and the same in values and the output. Nothing is known of any architecture.
    Input and output keep their order, and so do units that flow into an operation that is not understood: they are
    listed.

    Cost: three passes over one batch, two of them for the check.

    Valid for: any model that PyTorch can trace. The graph is that of the first batch; control flow that depends on the
    input's values may hide another one, which ``check`` does not see either. All that is found is a symmetry;
    there may be more than is found.

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
        3 interchangeable units in 1 group
        >>> print(*found.axes, sep="; ")
        1.0.weight[0]: 1.0.weight; 1.0.bias[0]: 1.0.weight; 2.weight[1]: 1.0.weight
    """
    started = time.perf_counter()
    with landscape.reading():
        batch = first_batch(landscape)
        found = trace(landscape, batch)
    groups, axes, frozen, _ = propagate(found, movable(landscape))
    symmetry = PermutationSymmetry(groups, axes, frozen, precision=coarsest(found))
    if check and groups:
        source = torch.Generator().manual_seed(0) if generator is None else generator
        symmetry = _checked(landscape, symmetry, batch, source)
    return dataclasses.replace(symmetry, cost=Cost(seconds=time.perf_counter() - started))


def _checked(
    landscape: Landscape, symmetry: PermutationSymmetry, batch: Batch, generator: torch.Generator
) -> PermutationSymmetry:
    order = shuffled(symmetry, generator)
    found = deviation(landscape, permuted(landscape, symmetry, order), batch)
    if found <= tolerance(symmetry):
        return dataclasses.replace(symmetry, deviation=found)
    wrong = set[str]()
    for group in symmetry.groups:
        alone = {group.name: order[group.name]}
        if not deviation(landscape, permuted(landscape, symmetry, alone), batch) <= tolerance(symmetry):
            wrong.add(group.name)
    if not wrong:
        raise ArgumentError(
            f"landscape: expected outputs that stay within rounding of each other, got {found:.3g} under permutations "
            "of units, each of which alone leaves them. Use a landscape with dtype=torch.float64."
        )
    return _checked(landscape, _without(symmetry, wrong), batch, generator)


def _without(symmetry: PermutationSymmetry, wrong: set[str]) -> PermutationSymmetry:
    wrong |= {group.name for group in symmetry.groups if group.within in wrong}
    sizes = {group.name: str(group.size) for group in symmetry.groups if group.name in wrong}

    def written(text: str) -> str:
        words = [(word.strip("()"), word) for word in text.split(" ")]
        return " ".join(word.replace(bare, sizes[bare]) if bare in sizes else word for bare, word in words)

    lost = [
        FrozenUnits("the check", group.name, group.size * group.copies)
        for group in symmetry.groups
        if group.name in wrong
    ]
    return dataclasses.replace(
        symmetry,
        groups=tuple(group for group in symmetry.groups if group.name not in wrong),
        axes=tuple(AxisUnits(axis.tensor, axis.axis, written(axis.units)) for axis in symmetry.axes),
        frozen=(*symmetry.frozen, *lost),
    )

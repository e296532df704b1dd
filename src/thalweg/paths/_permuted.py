"""A network with its hidden units in another order."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.paths._layout import identity, moved
from thalweg.paths._permutation_results import PermutationSymmetry


def permuted(landscape: Landscape, symmetry: PermutationSymmetry, order: Mapping[str, Tensor]) -> Landscape:
    r"""Return the landscape of the network with its hidden units in another order, at θ and buffers that follow.

    .. math:: \theta \mapsto P\theta, \qquad f_{P\theta} = f_\theta

    Cost: none on data; the weights are copied once for each axis that is permuted.

    Valid for: the symmetry of this model; :func:`align` checks that the function stays, this does not.

    Args:
        landscape: Where to start from.
        symmetry: From :func:`permutations`.
        order: For each group which unit comes to stand at each place, shape (size,), or (copies, size) for a group
            within another; groups that are left out stay.

    Raises:
        ArgumentError: If an order is no permutation of its group, or there is no such group.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2, bias=False), torch.nn.Linear(2, 1, bias=False))
        >>> data = [(torch.ones(3, 1), torch.zeros(3, 1))]
        >>> start = tw.Landscape(model, tw.objectives.mse(), data).at(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        >>> permuted(start, tw.permutations(start), {"0.weight": torch.tensor([1, 0])}).theta
        tensor([2., 1., 4., 3.])
    """
    given = {**identity(symmetry), **order}
    _require_permutations(symmetry, given)
    tensors = moved({**landscape.split(landscape.theta), **landscape.buffers}, symmetry, given)
    theta = landscape.layout.flatten([tensors[name] for name in landscape.layout.names], landscape.theta)
    return landscape.at(theta, buffers={name: tensors[name] for name in landscape.buffers})


def require_same_function(one: Landscape, other: Landscape, symmetry: PermutationSymmetry) -> float:
    """Return the largest difference between two networks' outputs on the first batch, as a share of the largest output.

    Raises:
        ArgumentError: If it is more than rounding.
    """
    with one.reading():
        batch = first_batch(one)
    found = deviation(one, other, batch)
    if not found <= tolerance(symmetry):
        raise ArgumentError(
            f"permutations: expected the same function after them, got outputs that differ by "
            f"{found:.3g} of the largest. Is the symmetry that of this model?"
        )
    return found


def first_batch(landscape: Landscape) -> Batch:
    """Return the first batch, cut as the landscape cuts it; use inside ``landscape.reading()``."""
    return next(landscape.batches())[1]


def deviation(one: Landscape, other: Landscape, batch: Batch) -> float:
    """Return the largest difference between two networks' outputs as a share of the largest output."""
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


def tolerance(symmetry: PermutationSymmetry) -> float:
    """Return the deviation up to which outputs are the same."""
    # Sums in another order differ by a few roundings; a wrong permutation by a good part of the outputs.
    return 10 * math.cbrt(symmetry.precision) ** 2


def _require_permutations(symmetry: PermutationSymmetry, order: Mapping[str, Tensor]) -> None:
    groups = {group.name: group for group in symmetry.groups}
    for name, given in order.items():
        group = groups.get(name)
        if group is None:
            raise ArgumentError(f"order: expected groups of the symmetry, {sorted(groups)}, got {name!r}.")
        shape = (group.size,) if group.within is None else (group.copies, group.size)
        whole = isinstance(given, Tensor) and tuple(given.shape) == shape and not given.is_floating_point()
        if not whole or not bool((given.sort(-1).values == torch.arange(group.size, device=given.device)).all()):
            raise ArgumentError(f"order: expected a permutation of shape {shape} for {name}, got {given!r}.")

"""The best order of one group of units, given how well each would stand in the place of each."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from thalweg.paths._permutation_results import HiddenUnits, PermutationSymmetry


@dataclass
class Gains:
    """What is gained by putting units of one network in the places of another's.

    Attributes:
        group: The group that is put in order.
        inner: The groups within it, which are put in order with it.
        direct: Entry (i, j): unit j in place i, shape (n, n).
        nested: For each inner group entry (i, j, k, l): unit l of unit j in place k of place i, shape (n, n, m, m).
    """

    group: HiddenUnits
    inner: tuple[HiddenUnits, ...]
    direct: Tensor
    nested: dict[str, Tensor]


def blocks(symmetry: PermutationSymmetry) -> list[tuple[HiddenUnits, tuple[HiddenUnits, ...]]]:
    """List the groups that are put in order together: one, and those within it."""
    return [
        (group, tuple(one for one in symmetry.groups if one.within == group.name))
        for group in symmetry.groups
        if group.within is None
    ]


def no_gains(group: HiddenUnits, inner: tuple[HiddenUnits, ...]) -> Gains:
    """Return gains of zero."""
    size = group.size
    nested = {one.name: torch.zeros(size, size, one.size, one.size, dtype=torch.float64) for one in inner}
    return Gains(group, inner, torch.zeros(size, size, dtype=torch.float64), nested)


def best_order(gains: Gains) -> dict[str, Tensor]:
    """Return the orders with the largest total gain: assignments of units within assignments of groups.

    The gain of unit j in place i is that of its own and the best that the units within it can do there, so that the
    optimum over both levels is found. Cost: one assignment of n units, and n² of those within for each inner group.
    """
    size = gains.group.size
    total = gains.direct.numpy().copy()
    inside = dict[str, np.ndarray]()
    for one in gains.inner:
        table = gains.nested[one.name].numpy()
        inside[one.name] = np.empty((size, size, one.size), dtype=np.int64)
        for i in range(size):
            for j in range(size):
                order = linear_sum_assignment(table[i, j], maximize=True)[1]
                inside[one.name][i, j] = order
                total[i, j] += table[i, j, np.arange(one.size), order].sum()
    outer = linear_sum_assignment(total, maximize=True)[1]
    found = {gains.group.name: torch.from_numpy(outer.astype(np.int64))}
    for name, orders in inside.items():
        found[name] = torch.from_numpy(orders[np.arange(size), outer])
    return found


def add_products(gains: Gains, names: tuple[str | None, ...], ours: Tensor, theirs: Tensor) -> None:
    """Add the inner products of what two networks have on one run of an axis.

    Args:
        gains: Where to add.
        names: Of the run; one of them is the group.
        ours: Values of the first network, shape (one axis for each of ``names``, the rest).
        theirs: Those of the second, in its own order.
    """
    place = names.index(gains.group.name)
    within = next((k for k, name in enumerate(names) if name in gains.nested), None)
    front = [place] if within is None else [place, within]
    a, b = (value.movedim(front, list(range(len(front)))).double() for value in (ours, theirs))
    if within is None:
        a, b = a.reshape(gains.group.size, -1), b.reshape(gains.group.size, -1)
        gains.direct += (a @ b.T).cpu()
        return
    name = names[within]
    a, b = (value.reshape(*value.shape[:2], -1) for value in (a, b))
    gains.nested[str(name)] += torch.einsum("ikm,jlm->ijkl", a, b).cpu()

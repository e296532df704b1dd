"""Put the hidden units of one network in the order of another's."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.paths._activation_matching import match_activations
from thalweg.paths._alignment_results import NetworkAlignment
from thalweg.paths._alike import require_generator, require_landscape
from thalweg.paths._layout import identity, runs
from thalweg.paths._permutation_results import HiddenUnits, PermutationSymmetry
from thalweg.paths._permuted import permuted, require_same_function
from thalweg.paths._symmetry import permutations
from thalweg.paths._weight_matching import match_weights

Method = Literal["weights", "activations"]


def align(
    reference: Landscape,
    other: Landscape,
    *,
    method: Method = "weights",
    symmetry: PermutationSymmetry | None = None,
    restarts: int = 3,
    sweeps: int = 100,
    generator: torch.Generator | None = None,
) -> NetworkAlignment:
    r"""Permute the hidden units of a network so that they stand as those of another, its function unchanged.

    .. math:: P^* = \arg\min_P \lVert \theta_A - P\theta_B \rVert^2 \quad\text{(weights)}, \qquad
        P_g^* = \arg\max_{P_g} \sum_i \operatorname{corr}\big(a_i, (P_g b)_i\big) \quad\text{(activations)}

    "weights" is the coordinate descent of Ainsworth et al. (2023): one group of units after the other is put in its
    best order, the others held, which is a linear assignment; heads are assigned by what the units within them can
    reach, so that both levels are optimal together. It starts from the order in which units are recognised by what
    does not depend on the order of the others (their sorted weights), from where they stand, and from random
    orders, and keeps the best. The distance never rises, and a network that was only permuted is recognised
    exactly. "activations" correlates what layers read and write on the reference's data (Li et al., 2015); units
    between which that does not decide, as dead ones, stand in the order of their weights.

    Cost: "weights" none on data, except one pass over one batch of each network to trace it and four to check; each
    sweep permutes the weights once and solves an assignment, O(n³), for every group. "activations" traces and runs
    both networks once on all data.

    Valid for: networks of one architecture. The problem is hard, so that the distance found is an upper bound on that
    of the best order; so is a barrier on the line between.

    Args:
        reference: The network that stays.
        other: The network whose units are put in order.
        method: "weights" or "activations".
        symmetry: From :func:`permutations`; found anew by default.
        restarts: Number of starts for "weights".
        sweeps: At most so many passes through all groups from each start.
        generator: Of random orders; ``None`` is a fresh one of seed 0.

    Returns:
        The alignment; ``alignment.apply(other)`` is the landscape of the aligned network.

    Raises:
        ArgumentError: If the networks are not of one architecture, which layers differ is said; if the model cannot be
            traced; or if the aligned network does not compute what ``other`` does.

    Example:
        >>> import thalweg as tw
        >>> data = [(torch.ones(4, 2), torch.zeros(4, 1))]
        >>> model = tw.models.mlp((2, 5, 1))
        >>> landscape = tw.Landscape(model, tw.objectives.mse(), data)
        >>> symmetry = permutations(landscape)
        >>> planted = permuted(landscape, symmetry, {"1.0.weight": torch.tensor([3, 0, 4, 1, 2])})
        >>> found = align(landscape, planted)
        >>> found.permutations["1.0.weight"], found.after
        (tensor([1, 3, 4, 0, 2]), 0.0)
    """
    started = time.perf_counter()
    require_method(method)
    require_counts(restarts=restarts, sweeps=sweeps)
    require_generator(generator)
    require_one_architecture([reference, other], ("reference", "other"))
    symmetry = shared_symmetry([reference, other], symmetry)
    ours, theirs = (landscape.split(landscape.theta) for landscape in (reference, other))
    before = float(torch.linalg.vector_norm((reference.theta - other.theta).double()))
    if method == "weights":
        source = torch.Generator().manual_seed(0) if generator is None else generator
        match = match_weights(ours, theirs, symmetry, restarts=restarts, sweeps=sweeps, generator=source)
        order, history = match.order, tuple(value**0.5 for value in match.history)
    else:
        order, history = match_activations(reference, other, symmetry), ()
    aligned = permuted(other, symmetry, order)
    after = float(torch.linalg.vector_norm((reference.theta - aligned.theta).double()))
    passes = 2 if method == "activations" else 0
    return NetworkAlignment(
        method=method,
        permutations=order,
        symmetry=symmetry,
        before=before,
        after=after,
        history=history or (after,),
        moved=share_moved(symmetry, order),
        deviation=require_same_function(other, aligned, symmetry),
        cost=Cost(losses=passes, seconds=time.perf_counter() - started),
    )


def share_moved(symmetry: PermutationSymmetry, order: Mapping[str, Tensor]) -> float:
    """Return the share of units that do not stay where they are."""
    still = identity(symmetry)
    total = sum(value.numel() for value in still.values())
    return sum(int((order[name] != value).sum()) for name, value in still.items()) / total if total else 0.0


def shared_symmetry(landscapes: Sequence[Landscape], symmetry: PermutationSymmetry | None) -> PermutationSymmetry:
    """Find the symmetry of networks of one architecture, unless it is given.

    Raises:
        ArgumentError: If their layers are connected in different ways, or the symmetry given is of another network.
    """
    if symmetry is not None:
        _require_fitting(symmetry, landscapes[0])
        return symmetry
    found = permutations(landscapes[0])
    models = {id(landscapes[0].model)}
    for landscape in landscapes[1:]:
        if id(landscape.model) in models:
            continue
        models.add(id(landscape.model))
        ours, theirs = _connections(found), _connections(permutations(landscape, check=False))
        if not any(one.operation == "the check" for one in found.frozen) and ours != theirs:
            differing = [key[0] for key in ours | theirs if ours.get(key) != theirs.get(key)]
            raise ArgumentError(
                f"other: expected layers connected as those of reference, got others around {_listed(differing)}."
            )
    return found


def require_one_architecture(landscapes: Sequence[Landscape], names: Sequence[str] = ()) -> None:
    """Refuse networks whose parameters or buffers do not have the same names, shapes, type and device.

    Raises:
        ArgumentError: If one is no landscape, or they differ; the message lists the layers that do.
    """
    for landscape, name in zip(landscapes, names or _numbered(landscapes), strict=True):
        require_landscape(name, landscape)
    first = landscapes[0]
    shapes = _shapes(first)
    for other in landscapes[1:]:
        theirs = _shapes(other)
        differing = [name for name in shapes | theirs if shapes.get(name) != theirs.get(name)]
        if differing:
            told = [f"{name} ({_shape(shapes.get(name))}, {_shape(theirs.get(name))})" for name in differing]
            raise ArgumentError(f"other: expected the architecture of reference, but they differ in {_listed(told)}.")
        if (first.space.dtype, first.space.device) != (other.space.dtype, other.space.device):
            raise ArgumentError(
                f"other: expected {first.space.dtype} on {first.space.device}, "
                f"got {other.space.dtype} on {other.space.device}."
            )


def _require_fitting(symmetry: Any, landscape: Landscape) -> None:
    if not isinstance(symmetry, PermutationSymmetry):
        raise ArgumentError(f"symmetry: expected what permutations returns, got {type(symmetry).__name__}.")
    shapes, sizes = _shapes(landscape), {group.name: group.size for group in symmetry.groups}
    for axis in symmetry.axes:
        units = sum(run.places.numel() for run in runs(axis.units, sizes))
        shape = shapes.get(axis.tensor)
        if shape is not None and (axis.axis >= len(shape) or shape[axis.axis] != units):
            raise ArgumentError(
                f"symmetry: expected one of this network, got {units} units on axis {axis.axis} of {axis.tensor}, "
                f"which is {_shape(shape)}."
            )


def _connections(symmetry: PermutationSymmetry) -> dict[tuple[str, int], tuple[str, tuple[HiddenUnits, ...]]]:
    """Return what stands along each axis: as many units in another number of heads have the same names."""
    return {
        (axis.tensor, axis.axis): (
            axis.units,
            tuple(group for group in symmetry.groups if group.name in _words(axis.units)),
        )
        for axis in symmetry.axes
    }


def _words(units: str) -> set[str]:
    return set(units.replace("(", "").replace(")", "").split(" "))


def require_method(method: str) -> None:
    """Refuse what is no way of matching units.

    Raises:
        ArgumentError: If it is none.
    """
    if method not in ("weights", "activations"):
        raise ArgumentError(f"method: expected 'weights' or 'activations', got {method!r}.")


def require_counts(**counts: int) -> None:
    """Refuse what is no positive whole number.

    Raises:
        ArgumentError: If one is not.
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError(f"{name}: expected a whole number of at least 1, got {value!r}.")


def _numbered(landscapes: Sequence[Landscape]) -> list[str]:
    return [f"landscapes[{place}]" for place in range(len(landscapes))]


def _shapes(landscape: Landscape) -> dict[str, tuple[int, ...]]:
    own = zip(landscape.layout.names, landscape.layout.shapes, strict=True)
    return {name: tuple(shape) for name, shape in (*own, *((n, b.shape) for n, b in landscape.buffers.items()))}


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else "×".join(map(str, shape)) or "a number"


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - 5} more" if len(unique) > 5 else ""
    return ", ".join(unique[:5]) + more

"""Parameters in groups: by layer, one by one, or as somebody else sorts them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from thalweg.errors import ArgumentError
from thalweg.landscape._parameters import Layout, select

Members = str | Sequence[str] | Callable[[str, nn.Parameter], bool]
Grouping = Literal["layer", "parameter"] | Mapping[str, Members] | Callable[[str], str]

ROOT = "(root)"


def grouped(layout: Layout, by: Grouping, dtype: torch.dtype) -> dict[str, tuple[str, ...]]:
    """Return names of parameters by group; every parameter is in one group, and no group is empty.

    Args:
        layout: The parameters.
        by: "layer", the module that holds the parameter (of tied ones the first); "parameter", each on its own; a
            mapping from names of groups to what ``Landscape(params=)`` takes; or a function that returns the name of
            its group for the name of a parameter. Groups come in the order of the mapping, or of the model.
        dtype: Of the stand-ins that predicates are shown.

    Raises:
        ArgumentError: If ``by`` is something else, a group is empty, two share a parameter, or one is left over.
    """
    if isinstance(by, Mapping):
        return _mapped(layout, by, dtype)
    if by == "parameter":
        return {name: (name,) for name in layout.names}
    if by == "layer":
        return _sorted(layout, layer_of)
    if callable(by) and not isinstance(by, nn.Module):
        return _sorted(layout, by)
    raise ArgumentError(
        "by: expected 'layer', 'parameter', a mapping from groups to parameters, or a function from a parameter's "
        f"name to its group's, got {by!r}."
    )


def layer_of(name: str) -> str:
    """Return the module that holds a parameter.

    Example:
        >>> layer_of("blocks.0.mlp.weight"), layer_of("head.parametrizations.weight.original0"), layer_of("token")
        ('blocks.0.mlp', 'head', '(root)')
    """
    # A parametrised weight belongs to the module that it is the weight of.
    owner = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
    return owner or ROOT


def _sorted(layout: Layout, group_of: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for name in layout.names:
        group: Any = group_of(name)
        if not isinstance(group, str) or not group:
            raise ArgumentError(f"by: expected the name of a group for {name}, got {group!r}.")
        groups[group] = (*groups.get(group, ()), name)
    return groups


def _mapped(layout: Layout, by: Mapping[str, Members], dtype: torch.dtype) -> dict[str, tuple[str, ...]]:
    parameters, owner = layout.stand_ins(dtype), dict[str, str]()
    groups: dict[str, tuple[str, ...]] = {}
    for group, members in by.items():
        if not isinstance(group, str) or not group:
            raise ArgumentError(f"by: expected names of groups, got {group!r}.")
        if members is None:
            raise ArgumentError(f"by: expected parameters for the group {group!r}, got None.")
        groups[group] = select(parameters, members, f"by[{group!r}]").names
        for name in groups[group]:
            if name in owner:
                raise ArgumentError(f"by: expected disjoint groups, got {name} in {owner[name]!r} and in {group!r}.")
            owner[name] = group
    left = [name for name in layout.names if name not in owner]
    if left:
        raise ArgumentError(
            f"by: expected a group for every parameter, got none for {', '.join(left)}. Add one, or leave them out "
            "with Landscape(params=)."
        )
    return groups

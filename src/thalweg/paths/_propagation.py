"""Follow the units of a traced network through all of its operations."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, fx

from thalweg.paths._axes import (
    Axis,
    Blocks,
    Family,
    Fixed,
    Product,
    Unit,
    chosen,
    members,
    outer_units,
    resolved,
    walks,
)
from thalweg.paths._contractions import NotUnderstood, argument_names
from thalweg.paths._operations import rule_for
from thalweg.paths._permutation_results import AxisUnits, FrozenUnits, HiddenUnits
from thalweg.paths._trace import Trace
from thalweg.paths._units import Units

Axes = list[Axis]


def propagate(
    trace: Trace, movable: Sequence[str]
) -> tuple[tuple[HiddenUnits, ...], tuple[AxisUnits, ...], tuple[FrozenUnits, ...], dict[str, list[str | None]]]:
    """Return the groups of units, the axes that they stand on, and what had to be frozen.

    Args:
        trace: Of the network.
        movable: Names of the parameters and buffers that may be permuted.

    Returns:
        Groups, axes, frozen units, and the axes of the result of every operation, written in the same way; ``None``
        where they cannot be written.
    """
    units, labels = Units(), dict[str, Any]()
    inputs, frozen = trace.inputs(), list[FrozenUnits]()
    names = {node: name for name, node in inputs.items()}

    def axes(node: Any) -> Axes:
        return list(labels[node.name])

    for node in trace.graph.graph.nodes:
        units.lost = 0
        if node.op == "placeholder":
            free = names[node] in movable and bool(node.users)
            labels[node.name] = [units.new(size) if free else Fixed(size) for size in node.meta["val"].shape]
        elif node.op == "get_attr":
            value = getattr(trace.graph, node.target)
            node.meta.setdefault("val", value)
            labels[node.name] = list(map(Fixed, value.shape)) if isinstance(value, Tensor) else []
        elif node.op == "output":
            for result in node.all_input_nodes:
                for axis in labels[result.name]:
                    units.fix(axis)
        else:
            labels[node.name] = _followed(units, node, labels, axes)
            if units.lost:
                frozen.append(FrozenUnits(_named(node), trace.modules[node.name], units.lost))
    parameters = {name: axes(inputs[name]) for name in trace.names}
    while True:
        settled = _settle(units, list(labels.values()), parameters)
        called = _name(parameters, settled)
        wrong = [(tensor, axis) for tensor, axes in parameters.items() for axis in axes if _text(axis, called) is None]
        if not wrong:
            break
        units.lost = 0
        for _, axis in wrong:
            units.freeze(axis)
        frozen.append(FrozenUnits(f"the axes of {wrong[0][0]}", "", units.lost))
    found = {name: value for name, value in labels.items() if all(not isinstance(one, list) for one in value)}
    groups, written = _written(parameters, settled, called)
    return groups, written, tuple(frozen), {name: [_text(axis, called) for axis in one] for name, one in found.items()}


def _followed(units: Units, node: Any, labels: Mapping[str, Any], axes: Callable[[Any], Axes]) -> Any:
    if node.target is operator.getitem:
        return labels[node.args[0].name][node.args[1]]
    rule = rule_for(node.target)
    if rule is not None:
        given = list(node.args)
        for name in argument_names(node.target)[len(given) :]:
            if name not in node.kwargs:
                break
            given.append(node.kwargs[name])
        try:
            return rule(units, given, node, axes)
        except NotUnderstood:
            pass
    for argument in node.all_input_nodes:
        _freeze(units, labels[argument.name])
    value = node.meta.get("val")
    if isinstance(value, Tensor):
        return list(map(Fixed, value.shape))
    if isinstance(value, (list, tuple)):
        return [list(map(Fixed, one.shape)) if isinstance(one, Tensor) else [] for one in value]
    return []


def _freeze(units: Units, found: Any) -> None:
    for one in found:
        if isinstance(one, list):
            _freeze(units, one)
        else:
            units.freeze(one)


def _named(node: fx.Node) -> str:
    return str(node.target)


def _settle(units: Units, labels: list[Any], parameters: Mapping[str, Axes]) -> list[Unit]:
    """Take back what units vary with until it holds everywhere; return the units of the parameters in order."""
    tensors = [one for value in labels for one in (value if value and isinstance(value[0], list) else [value])]
    single = [[axis] for axes in parameters.values() for axis in axes]
    while sum(units.carried(axes) for axes in (*tensors, *single)):
        pass
    order = dict[Unit, None]()
    for axis in (axis for axes in parameters.values() for axis in axes):
        for walk in walks(axis):
            order.update(dict.fromkeys(walk))
    listed = list(order)
    for unit in listed:
        unit.within = frozenset(outer for outer in outer_units(unit) if outer in order)
    # One level is kept: units within a group that is not itself within another.
    for unit in listed:
        free = [outer for outer in listed if outer in (unit.within or ()) and not outer.within]
        unit.within = frozenset(free[:1])
    return listed


def _written(
    parameters: Mapping[str, Axes], listed: list[Unit], names: Mapping[Unit, str]
) -> tuple[tuple[HiddenUnits, ...], tuple[AxisUnits, ...]]:
    groups = list[HiddenUnits]()
    for unit in listed:
        outer = next(iter(unit.within or ()), None)
        within, copies = (None, 1) if outer is None else (names[outer], outer.size)
        groups.append(HiddenUnits(names[unit], unit.size, within, copies))
    written = [
        AxisUnits(tensor, place, text)
        for tensor, axes in parameters.items()
        for place, axis in enumerate(axes)
        if members(axis) and (text := _text(axis, names)) is not None
    ]
    return tuple(groups), tuple(written)


def _name(parameters: Mapping[str, Axes], listed: list[Unit]) -> dict[Unit, str]:
    """Name each group after the first parameter that has it."""
    names = dict[Unit, str]()
    for tensor, axes in parameters.items():
        count = 0
        for unit in (unit for axis in axes for walk in walks(axis) for unit in walk):
            if unit not in names and unit in listed:
                count += 1
                names[unit] = tensor if count == 1 else f"{tensor}#{count}"
    return names


def _text(axis: Axis, names: Mapping[Unit, str]) -> str | None:
    """Write the units along an axis, ``None`` if they cannot be written so."""
    axis = resolved(axis)
    if isinstance(axis, Fixed):
        return str(axis.size)
    if isinstance(axis, Unit):
        return names.get(axis)
    if isinstance(axis, Family):
        return None
    separator, parts = " + ", axis.parts
    if isinstance(axis, Product):
        first, rest = resolved(parts[0]), Product(parts[1:])
        if isinstance(first, Blocks) and first.key is not None:
            parts = tuple(Product((part, chosen(rest, {first.key: at}))) for at, part in enumerate(first.parts))
        else:
            separator, parts = " × ", (first, rest)
    texts = [text for part in parts if (text := _text(part, names)) is not None]
    if len(texts) < len(parts):
        return None
    return separator.join(f"({text})" if separator == " × " and " + " in text else text for text in texts)

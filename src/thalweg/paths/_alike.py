"""Whether what is given are the two ends of a path."""

import math
from typing import Any

import torch

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape


def require_landscape(name: str, given: Any) -> None:
    """Refuse what is no landscape.

    Raises:
        ArgumentError: If it is something else; the message says what.
    """
    if not isinstance(given, Landscape):
        raise ArgumentError(
            f"{name}: expected a Landscape, got {type(given).__name__}. Build one: Landscape(model, objective, data)."
        )


def require_labels(labels: Any) -> None:
    """Refuse what is no pair of names.

    Raises:
        ArgumentError: If it is something else.
    """
    if not isinstance(labels, (tuple, list)) or len(labels) != 2 or not all(isinstance(one, str) for one in labels):
        raise ArgumentError(f"labels: expected the names of the two ends, got {labels!r}.")


def require_generator(generator: Any) -> None:
    """Refuse what is neither a generator nor ``None``.

    Raises:
        ArgumentError: If it is something else.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ArgumentError(
            f"generator: expected a torch.Generator or None, got {type(generator).__name__}. Make one: "
            "torch.Generator().manual_seed(0)."
        )


def require_alike(start: Landscape, end: Landscape) -> None:
    """Compare parameters, buffers, types, modes and the number of samples.

    Raises:
        ArgumentError: If one of them differs; the message names the first that does.
    """
    require_landscape("start", start)
    require_landscape("end", end)
    theirs = {
        "parameters": (
            dict(zip(start.layout.names, start.layout.shapes, strict=True)),
            dict(zip(end.layout.names, end.layout.shapes, strict=True)),
        ),
        "buffers": (
            {name: buffer.shape for name, buffer in start.buffers.items()},
            {name: buffer.shape for name, buffer in end.buffers.items()},
        ),
    }
    for kind, (ours, others) in theirs.items():
        if ours != others:
            different = sorted(name for name in ours.keys() | others.keys() if ours.get(name) != others.get(name))
            raise ArgumentError(
                f"end: expected the {kind} of start, got others at {different[0]}"
                + (f" and {len(different) - 1} more." if len(different) > 1 else ".")
            )
    for kind, one, other in (
        ("type and device", f"{start.space.dtype} on {start.space.device}", f"{end.space.dtype} on {end.space.device}"),
        ("mode", start.mode, end.mode),
        ("number of samples", start.count, end.count),
    ):
        if one != other:
            raise ArgumentError(f"end: expected the {kind} of start, {one}, got {other}.")


def require_arrival(found: float | Landscape, end: Landscape) -> None:
    """Compare the loss at the end of a path with that of the landscape there. Cost: one pass, two of a landscape.

    Raises:
        ArgumentError: If they differ by more than other micro-batches explain.
        NonFiniteError: If the loss of ``end`` is not finite.
    """
    expected = end.loss()
    if isinstance(found, Landscape):
        try:
            found = found.loss()
        except NonFiniteError:
            found = math.nan
    # Other micro-batches sum in another order; other data differ in the first digits.
    tolerance = math.sqrt(torch.finfo(end.space.dtype).eps)
    if not math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-3):
        raise ArgumentError(
            f"end: expected the loss of start's model and data at α = 1, {found:.9g}, got {expected:.9g}. The two ends "
            "must share their data, their objective, and the values of all parameters that are not selected."
        )


def require_one_function(start: Landscape, end: Landscape) -> Cost:
    """Check that the model, data and objective of ``start`` give the loss of ``end`` where that one stands.

    Returns:
        What it took: two passes.

    Raises:
        ArgumentError: If the parameters or buffers are other ones, or the losses differ.
        NonFiniteError: If the loss of ``end`` is not finite.
    """
    require_alike(start, end)
    require_arrival(start.at(end.theta, buffers=end.buffers), end)
    return Cost(losses=2)

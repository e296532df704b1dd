"""Whether two landscapes are ends of one path."""

import math

import torch

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape


def require_alike(start: Landscape, end: Landscape) -> None:
    """Compare parameters, buffers, types, modes and the number of samples.

    Raises:
        ArgumentError: If one of them differs; the message names the first that does.
    """
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


def require_arrival(found: float, end: Landscape) -> None:
    """Compare the loss at the end of a path with that of the landscape there. Cost: one pass.

    Raises:
        ArgumentError: If they differ by more than other micro-batches explain.
        NonFiniteError: If the loss of ``end`` is not finite.
    """
    expected = end.loss()
    # Other micro-batches sum in another order; other data differ in the first digits.
    tolerance = math.sqrt(torch.finfo(end.space.dtype).eps)
    if not math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-3):
        raise ArgumentError(
            f"end: expected the loss of start's model and data at α = 1, {found:.9g}, got {expected:.9g}. The two ends "
            "must share their data, their objective, and the values of all parameters that are not selected."
        )

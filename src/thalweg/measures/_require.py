"""What numbers and vectors must be to be computed with at all."""

import math
from numbers import Real
from typing import Any

from torch import Tensor, nn

from thalweg.errors import ArgumentError


def require_real(name: str, value: Any, wanted: str = "a number") -> float:
    """Return a real number of any type, NumPy's for instance, as a float; it may be infinite or no number.

    Raises:
        ArgumentError: If it is something else; the message says what.
    """
    if isinstance(value, bool):
        raise ArgumentError(f"{name}: expected {wanted}, got {value}.")
    if not isinstance(value, Real):
        advice = " Take its number by .item()." if isinstance(value, Tensor) and value.numel() == 1 else ""
        given = repr(value) if isinstance(value, str) else type(value).__name__
        raise ArgumentError(f"{name}: expected {wanted}, got {given}.{advice}")
    return float(value)


def require_radius(name: str, value: Any) -> float:
    """Return a radius.

    Raises:
        ArgumentError: If it is not a positive finite number.
    """
    radius = require_real(name, value, "a positive finite number")
    if not (math.isfinite(radius) and radius > 0):
        raise ArgumentError(f"{name}: expected a positive finite number, got {value}.")
    return radius


def how_to_flatten(point: Any) -> str:
    """Say how a vector is made of what holds parameters, or nothing."""
    if isinstance(point, nn.Module):
        return " Make it a vector by torch.nn.utils.parameters_to_vector(model.parameters()), or take landscape.theta."
    if isinstance(point, dict):
        return (
            " Load it into the model and take landscape.theta, or "
            "torch.nn.utils.parameters_to_vector(model.parameters())."
        )
    return ""

"""The switches that all architectures share: names turned into layers, widths into whole numbers."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from thalweg.errors import ArgumentError

Activation = Literal["relu", "tanh", "gelu"]
Norm = Literal["batch", "layer"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
_NORMS = ("batch", "layer", None)


def activation_layer(activation: str) -> nn.Module:
    """Return a new layer; never an in-place one, which function transforms cannot differentiate."""
    if activation not in _ACTIVATIONS:
        raise ArgumentError(f"activation: expected one of {sorted(_ACTIVATIONS)}, got {activation!r}.")
    return _ACTIVATIONS[activation]()


def norm_layers(norm: str | None, features: int, *, images: bool) -> list[nn.Module]:
    """Return the normalisation of ``features`` channels as a list of one layer, or of none.

    The layer norm of an image is ``GroupNorm(1, C)``: over channels and pixels of each sample.
    """
    if norm is None:
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(features) if images else nn.BatchNorm1d(features)]
    if norm == "layer":
        return [nn.GroupNorm(1, features) if images else nn.LayerNorm(features)]
    raise ArgumentError(f"norm: expected one of {_NORMS}, got {norm!r}.")


def widened(features: int, width: float) -> int:
    """Multiply a number of features by ``width``, rounded (half to even), at least 1."""
    if not 0 < width < float("inf"):
        raise ArgumentError(f"width: expected a positive finite number, got {width}.")
    return max(1, round(features * width))


def positive(name: str, value: int, least: int = 1) -> int:
    """Return ``value`` if it is at least ``least``."""
    if value < least:
        raise ArgumentError(f"{name}: expected a whole number of at least {least}, got {value}.")
    return value

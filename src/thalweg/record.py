"""Results as frozen dataclasses that turn into plain dictionaries and back."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from thalweg.errors import ArgumentError

_NATIVE = {torch.float64, torch.int64, torch.bool}


class Record:
    """The one thing that all results share: ``to_dict`` and ``from_dict``.

    A record is a frozen dataclass whose fields are numbers, strings, tensors, tuples, string-keyed
    dictionaries, ``None``, or other records. Non-finite numbers become ``None`` on the way out, since
    JSON has no word for them; inside tensors they come back as NaN, elsewhere as ``None``.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of numbers, strings, lists and dictionaries that ``json`` can write."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            out[field.name] = encode(getattr(self, field.name))
        return out

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild the record that :meth:`to_dict` wrote.

        Raises:
            ArgumentError: If ``plain`` is of another type of record, or a field is missing or unknown.
        """
        named = plain.get("type", cls.__name__)
        if named != cls.__name__:
            raise ArgumentError(f"plain: expected a dictionary of type {cls.__name__!r}, got {named!r}.")
        hints = typing.get_type_hints(cls)
        fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # as above
        given = set(plain) - {"type"}
        if given != fields:
            raise ArgumentError(
                f"plain: expected the fields of {cls.__name__}; missing {sorted(fields - given)}, "
                f"unknown {sorted(given - fields)}."
            )
        return cls(**{name: decode(plain[name], hints[name]) for name in fields})


def encode(value: Any) -> Any:
    """Turn a field into JSON's own types."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Tensor):
        data, dtype = _nested(value.detach().cpu().tolist()), str(value.dtype).removeprefix("torch.")
        if value.numel() == 0:
            return {"dtype": dtype, "shape": list(value.shape), "data": data}
        return data if value.dtype in _NATIVE else {"dtype": dtype, "data": data}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decode(plain: Any, hint: Any) -> Any:
    """Turn JSON's types back into what the field's annotation asks for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if plain is None:
            return None
        options = [option for option in arguments if option is not type(None)]
        return decode(plain, _matching(plain, options))
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_dict(plain)
    if isinstance(hint, type) and issubclass(hint, Tensor):
        return _tensor(plain)
    if origin is tuple:
        kinds = arguments[:1] * len(plain) if arguments[-1] is Ellipsis else arguments
        if len(plain) != len(kinds):
            raise ArgumentError(f"plain: expected {len(kinds)} entries for {hint}, got {len(plain)}.")
        return tuple(decode(item, kind) for item, kind in zip(plain, kinds, strict=True))
    if origin in (dict, Mapping) or hint is dict:
        return {key: decode(item, arguments[1] if arguments else Any) for key, item in plain.items()}
    return float(plain) if hint is float and plain is not None else plain


def _matching(plain: Any, options: list[Any]) -> Any:
    if isinstance(plain, Mapping) and "type" in plain:
        for option in options:
            if isinstance(option, type) and option.__name__ == plain["type"]:
                return option
    return type(plain) if type(plain) in options else options[0]


def _nested(values: Any) -> Any:
    if isinstance(values, list):
        return [_nested(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _tensor(plain: Any) -> Tensor:
    dtype = None
    if isinstance(plain, Mapping):
        dtype = getattr(torch, plain["dtype"])
        if "shape" in plain:
            return torch.empty(plain["shape"], dtype=dtype)
        plain = plain["data"]
    leaves = _leaves(plain)
    if dtype is None:
        if leaves and all(isinstance(leaf, bool) for leaf in leaves):
            dtype = torch.bool
        elif leaves and all(isinstance(leaf, int) for leaf in leaves):
            dtype = torch.int64
        else:
            dtype = torch.float64
    return torch.tensor(_filled(plain), dtype=dtype)


def _leaves(values: Any) -> list[Any]:
    return [leaf for value in values for leaf in _leaves(value)] if isinstance(values, list) else [values]


def _filled(values: Any) -> Any:
    if isinstance(values, list):
        return [_filled(value) for value in values]
    return math.nan if values is None else values

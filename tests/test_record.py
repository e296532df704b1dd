"""Every result type of the package turns into JSON and back."""

import dataclasses
import importlib
import json
import math
import pkgutil
import typing
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import thalweg
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.record import Record, decode, encode


def result_types() -> list[type[Record]]:
    """Every record that the package defines, found by importing all of it that needs no extra."""
    for module in pkgutil.walk_packages(thalweg.__path__, "thalweg."):
        if module.name.rpartition(".")[2] in ("_results", "_evaluation", "_verify", "estimate"):
            importlib.import_module(module.name)

    def below(kind: type) -> list[type]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    found = [kind for kind in below(Record)[1:] if kind.__module__.startswith("thalweg.")]
    return sorted(set(found), key=lambda kind: kind.__name__)


def made_up(hint: Any, seed: int = 1) -> Any:
    """Some value of an annotated type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Record):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: made_up(hints[field.name], seed + 1) for field in dataclasses.fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Tensor):
        return torch.linspace(-seed, seed, 4, dtype=torch.float64)
    if origin is tuple:
        return tuple(made_up(kind, seed) for kind in (arguments[:1] * 2 if arguments[-1] is Ellipsis else arguments))
    if origin in (dict, Mapping):
        return {"first": made_up(arguments[1], seed), "second": made_up(arguments[1], seed + 1)}
    if arguments:
        return made_up(next(kind for kind in arguments if kind is not type(None)), seed)
    samples = {float: 1.5 * seed, int: seed, str: "name", bool: True}
    return samples[hint]


def same(one: Any, other: Any) -> bool:
    """Equality with tensors compared bit by bit, dtype included."""
    if isinstance(one, Record):
        fields = dataclasses.fields(one)
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields)
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return type(other) is tuple and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("kind", result_types(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("filled", [True, False], ids=["filled", "none"])
def test_every_result_round_trips_through_json(kind, filled):
    record = made_up(kind)
    if not filled:
        hints = typing.get_type_hints(kind)
        empty = [field.name for field in dataclasses.fields(kind) if type(None) in typing.get_args(hints[field.name])]
        record = dataclasses.replace(record, **dict.fromkeys(empty))
    text = json.dumps(record.to_dict(), allow_nan=False)
    assert same(kind.from_dict(json.loads(text)), record)


@pytest.mark.parametrize("kind", result_types(), ids=lambda kind: kind.__name__)
def test_every_result_is_frozen_and_says_what_its_fields_are(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made_up(kind), dataclasses.fields(kind)[0].name, None)
    documented = kind.__doc__ or ""
    if "Attributes:" in documented:
        for field in dataclasses.fields(kind):
            assert f"{field.name}:" in documented, f"{kind.__name__} does not say what {field.name} is"


@dataclasses.dataclass(frozen=True)
class Sample(Record):
    """One field of each kind."""

    tensor: Tensor
    number: float | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[Cost, ...] = ()
    settings: dict[str, float | int | str | bool | None] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1.0, 2.0], dtype=torch.float64),
        torch.tensor([1.5, 2.0], dtype=torch.float32),
        torch.tensor([1.5, 2.0], dtype=torch.bfloat16),
        torch.tensor([[1, 2], [3, 4]]),
        torch.tensor([True, False]),
        torch.tensor(3.0, dtype=torch.float64),
        torch.tensor(3, dtype=torch.int32),
        torch.zeros(0, dtype=torch.bool),
        torch.zeros(0, 3, dtype=torch.int64),
        torch.zeros(3, 0, dtype=torch.float64),
    ],
    ids=lambda tensor: f"{tensor.dtype}-{tuple(tensor.shape)}",
)
def test_tensors_keep_dtype_shape_and_bits(tensor):
    text = json.dumps(Sample(tensor).to_dict(), allow_nan=False)
    assert same(Sample.from_dict(json.loads(text)).tensor, tensor)


def test_a_tensor_with_a_graph_or_another_layout_is_written_by_value():
    tensor = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).mT.requires_grad_()
    assert Sample(tensor).to_dict()["tensor"] == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_no_word_for_what_is_not_finite(number):
    tensor = torch.tensor([1.0, number], dtype=torch.float64)
    record = Sample(tensor, number, (number, 1.0), settings={"rho": number})
    text = json.dumps(record.to_dict(), allow_nan=False)
    back = Sample.from_dict(json.loads(text))
    assert back.number is None
    assert back.pair == (None, 1.0)
    assert back.settings == {"rho": None}
    assert back.tensor[0] == 1.0
    assert bool(back.tensor[1].isnan())
    # A required number comes back as None too, as promised, and not as an error.
    plain = json.loads(json.dumps(Estimate(number).to_dict(), allow_nan=False))
    with unchecked():
        assert Estimate.from_dict(plain).value is None


settings = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(settings, st.lists(st.integers(0, 9), max_size=4))
def test_settings_keep_their_types(given_settings, counts):
    record = Sample(torch.zeros(1), 0.5, (1.0, 2.0), tuple(Cost(matvecs=n) for n in counts), given_settings)
    assert same(Sample.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False))), record)


def test_a_whole_number_becomes_the_float_that_is_asked_for():
    assert same(decode(2, float), 2.0)
    assert same(Sample.from_dict({**Sample(torch.zeros(1)).to_dict(), "number": 2}).number, 2.0)


def test_keys_that_are_no_strings_are_written_as_strings():
    assert encode({1: 2.0}) == {"1": 2.0}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"type": "Estimate"}, r"plain: expected a dictionary of type 'Cost', got 'Estimate'\."),
        ({"type": "Cost", "matvecs": 1}, r"missing \['gradients', 'losses', 'seconds'\], unknown \[\]\."),
        ({**Cost().to_dict(), "joules": 1}, r"expected the fields of Cost; missing \[\], unknown \['joules'\]\."),
    ],
)
def test_a_wrong_dictionary_is_named(plain, message):
    with pytest.raises(ArgumentError, match=message):
        Cost.from_dict(plain)


def test_a_tuple_of_the_wrong_length_is_named():
    plain = {**Sample(torch.zeros(1)).to_dict(), "pair": [1.0]}
    with pytest.raises(ArgumentError, match=r"plain: expected 2 entries for tuple\[float, float\], got 1\."):
        Sample.from_dict(plain)

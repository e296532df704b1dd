"""Batches of every nesting: walked, moved, cut and recognised."""

import collections
import dataclasses
import types
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import thalweg as tw
from tests.landscape.models import classes, mlp, randn
from thalweg.landscape._batches import fingerprint, map_tensors, split, tensors_of


class Named(NamedTuple):
    inputs: torch.Tensor
    targets: torch.Tensor


@dataclasses.dataclass
class Plain:
    inputs: torch.Tensor
    targets: torch.Tensor
    note: str = "kept"
    count: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.count = len(self.inputs)


@dataclasses.dataclass(frozen=True)
class Frozen:
    inputs: torch.Tensor
    targets: torch.Tensor


class Encoding(collections.UserDict):
    """What a tokenizer of transformers returns: no dict, but a mapping with more than its items."""

    def __init__(self, data: dict[str, Any] | None = None, extra: str = "encodings") -> None:
        super().__init__(data)
        self.extra = extra


def default(inputs: torch.Tensor, targets: torch.Tensor) -> collections.defaultdict:
    return collections.defaultdict(list, inputs=inputs, targets=targets)


def by_key(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return batch["inputs"], batch["targets"]


def by_name(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return batch.inputs, batch.targets


KINDS = {
    "tuple": (lambda x, y: (x, y), lambda b: (b[0], b[1])),
    "list": (lambda x, y: [x, y], lambda b: (b[0], b[1])),
    "nested": (lambda x, y: {"data": [(x, {"y": y})]}, lambda b: (b["data"][0][0], b["data"][0][1]["y"])),
    "dict": (lambda x, y: {"inputs": x, "targets": y, "name": "text"}, by_key),
    "ordered dict": (lambda x, y: collections.OrderedDict(inputs=x, targets=y), by_key),
    "default dict": (default, by_key),
    "user dict": (lambda x, y: Encoding({"inputs": x, "targets": y}, extra="other"), by_key),
    "mapping proxy": (lambda x, y: types.MappingProxyType({"inputs": x, "targets": y}), by_key),
    "named tuple": (Named, by_name),
    "dataclass": (Plain, by_name),
    "frozen dataclass": (Frozen, by_name),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("microbatch", [None, 2])
def test_any_structure_gives_the_same_numbers(kind, microbatch):
    wrap, unwrap = KINDS[kind]
    cross = tw.objectives.cross_entropy()
    objective = dataclasses.replace(
        cross,
        outputs=lambda model, batch: model(unwrap(batch)[0]),
        terms=lambda outputs, batch: cross.terms(outputs, unwrap(batch)),
        weights=lambda batch: cross.weights(unwrap(batch)),
        metrics=None,
    )
    pairs = list(zip(randn(7, 4).split(4), classes(7).split(4), strict=True))
    model = mlp()
    batches = [wrap(x, y) for x, y in pairs]
    landscape = tw.Landscape(model, objective, batches, microbatch=microbatch)
    reference = tw.Landscape(model, cross, pairs)
    assert landscape.loss() == pytest.approx(reference.loss(), rel=1e-14)
    torch.testing.assert_close(landscape.gradient(), reference.gradient(), rtol=1e-12, atol=1e-15)
    # The type is kept, in another precision too, and the user's batch stays as it was.
    moved = map_tensors(lambda t: t.to(torch.float32 if t.is_floating_point() else None), batches[0])
    assert type(moved) is type(batches[0])
    assert unwrap(moved)[0].dtype == torch.float32
    assert unwrap(batches[0])[0] is pairs[0][0]


def test_what_is_no_tensor_is_kept():
    moved = map_tensors(lambda t: t + 1, Plain(torch.zeros(3), torch.zeros(3), note="mine"))
    assert (moved.note, moved.count) == ("mine", 3)
    moved = map_tensors(lambda t: t + 1, Encoding({"x": torch.zeros(1), "text": ["a", None, 3]}, extra="mine"))
    assert moved.extra == "mine"
    assert moved["text"] == ["a", None, 3]
    moved = map_tensors(lambda t: t, default(torch.zeros(1), torch.zeros(1)))
    assert moved.default_factory is list


def test_packed_sequences_pass_through():
    """They are named tuples of tensors; a model of them can be measured, though not cut."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRU(4, 3)

        def forward(self, batch: PackedSequence):
            return self.cell(batch)[1][0]

    cross = tw.objectives.cross_entropy()
    objective = dataclasses.replace(cross, outputs=lambda model, batch: model(batch[0]))
    batch = (pack_sequence([randn(3, 4), randn(2, 4, seed=1)]), classes(2))
    landscape = tw.Landscape(Packed().double(), objective, [batch])
    assert tw.verify(tw.hessian(landscape)).passed
    with pytest.raises(tw.errors.DataError, match="share their first axis"):
        tw.Landscape(Packed().double(), objective, [batch], microbatch=1)


def test_parts_put_together_are_the_whole():
    batch = {"x": randn(7, 2), "more": (classes(7), Named(randn(7), randn(7, 1, 1)))}
    for size in (1, 2, 3, 7, 100):
        parts = list(split(batch, size))
        assert [len(part["x"]) for part in parts] == [min(size, 7 - start) for start in range(0, 7, size)]
        for whole, pieces in zip(tensors_of(batch), zip(*map(tensors_of, parts), strict=True), strict=True):
            assert torch.equal(torch.cat(pieces), whole)


VARIANTS = {
    "values": lambda x, y: (x + 1e-12, y),
    "order of the items": lambda x, y: (x.flip(0), y.flip(0)),
    "order of the pairing": lambda x, y: (x, y.flip(0)),
    "shape": lambda x, y: (x.reshape(3, 8), y),
    "precision": lambda x, y: (x.float(), y),
    "sign of zero": lambda x, y: (x * 1, y * 1, torch.tensor(-0.0)),
}


@pytest.mark.parametrize("change", VARIANTS)
def test_a_fingerprint_sees_every_bit(change):
    x, y = randn(6, 4), torch.arange(6)
    reference = fingerprint((x, y, torch.tensor(0.0)) if change == "sign of zero" else (x, y))
    assert fingerprint(VARIANTS[change](x, y))[0] != reference[0]


def test_a_fingerprint_is_of_values_and_not_of_storage():
    x = randn(6, 4)
    assert fingerprint(x) == fingerprint(x.mT.contiguous().mT) == fingerprint(x.clone().requires_grad_())
    sparse = torch.eye(3)
    assert fingerprint(sparse.to_sparse()) == fingerprint(sparse)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.0),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j, 3j]),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.uint8),
        torch.tensor(5),
    ],
    ids=lambda tensor: str(tensor.dtype),
)
def test_every_kind_of_tensor_has_a_fingerprint(tensor):
    checksum, total = fingerprint(tensor)
    assert (checksum, total) == fingerprint(tensor.clone())
    other = tensor.reshape(1, *tensor.shape) if tensor.numel() == 0 else tensor.logical_not().to(tensor.dtype)
    assert checksum != fingerprint(other)[0]
    assert total >= 0


def test_single_items_cut_from_a_column_have_a_fingerprint():
    table = torch.randint(3, (8, 2), generator=torch.Generator().manual_seed(0))
    single = table[2:3, 1]
    assert single.stride() == (2,)
    assert fingerprint(single) == fingerprint(torch.tensor([int(single)]))


def test_the_total_tells_another_order_from_other_items():
    x, y = randn(6, 4), torch.arange(6)
    total = fingerprint((x, y))[1]
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    assert fingerprint((x[order], y[order]))[1] == pytest.approx(total, rel=1e-12)
    halves = [fingerprint((x[part], y[part]))[1] for part in (slice(0, 2), slice(2, 6))]
    assert sum(halves) == pytest.approx(total, rel=1e-12)
    flipped = x.clone()
    flipped[2] = flipped[2].flip(0)
    assert abs(fingerprint((flipped, y))[1] - total) > 1e-3
    assert abs(fingerprint((x * 1.01, y))[1] - total) > 1e-3


def test_keywords_and_positions():
    """A mapping of inputs becomes keyword arguments, a sequence positional ones."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, first, second):
            return self.body(first) - 2 * self.body(second)

    first, second, targets = randn(5, 4), randn(5, 4, seed=9), classes(5)
    ways = [{"second": second, "first": first}, (first, second), [first, second]]
    losses = {tw.Landscape(Two(), tw.objectives.cross_entropy(), [(way, targets)]).loss() for way in ways}
    assert len(losses) == 1

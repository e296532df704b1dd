"""Permutations of axes against what they mean: entries named by their units."""

import itertools

import pytest
import torch

from thalweg.paths._layout import identity, moved, runs, shuffled, sources
from thalweg.paths._permutation_results import AxisUnits, HiddenUnits, PermutationSymmetry

HEADS, UNITS, OTHERS = HiddenUnits("h", 3), HiddenUnits("u", 2, "h", 3), HiddenUnits("o", 4)
GROUPS = {group.name: group for group in (HEADS, UNITS, OTHERS)}
SIZES = {"h": 3, "u": 2, "o": 4}
TEXTS = ["o", "5", "h × u", "o × 3", "2 × o", "h × u + o", "h × (u + 2 + u)", "1 + h × 2 + h × u × 2", "2 × h × u"]


def named(text: str) -> list[tuple]:
    """Name every entry along an axis by its block and its indices, in order."""
    blocks = [[factor(one) for one in split(summand, "×")] for summand in split(text, "+")]
    return [(block, *entry) for block, factors in enumerate(blocks) for entry in itertools.product(*factors)]


def split(text: str, sign: str) -> list[str]:
    parts, depth = [""], 0
    for word in text.split():
        depth += word.count("(") - word.count(")")
        if word == sign and not depth:
            parts.append("")
        else:
            parts[-1] = f"{parts[-1]} {word}".strip()
    return parts


def factor(text: str) -> list[tuple]:
    if text.startswith("("):
        return named(text[1:-1])
    return [(text, index) for index in range(SIZES.get(text, 0) or int(text))]


def renamed(entry: tuple, order: dict[str, torch.Tensor], head: int | None = None) -> tuple:
    """Say which entry comes to stand where this one is."""
    out = []
    for one in entry:
        if not isinstance(one, tuple) or isinstance(one[0], int):
            out.append(renamed(one, order, head) if isinstance(one, tuple) else one)
            continue
        name, index = one
        if name == "h":
            head = index
        row = order[name][head] if name == "u" else order.get(name)
        out.append((name, index if row is None else int(row[index])))
    return tuple(out)


@pytest.mark.parametrize("text", TEXTS)
def test_entries_come_from_where_their_units_do(text):
    symmetry = PermutationSymmetry(tuple(GROUPS.values()), ())
    order = shuffled(symmetry, torch.Generator().manual_seed(3))
    entries = named(text)
    expected = [entries.index(renamed(entry, order)) for entry in entries]
    assert sources(AxisUnits("x", 0, text), GROUPS, order).tolist() == expected


@pytest.mark.parametrize("text", TEXTS)
def test_runs_cover_the_axis(text):
    places = torch.cat([run.places.reshape(-1) for run in runs(text, SIZES)])
    assert sorted(places.tolist()) == list(range(len(named(text))))


def test_the_identity_moves_nothing():
    symmetry = PermutationSymmetry(tuple(GROUPS.values()), (AxisUnits("x", 1, "h × u + o"),))
    x = torch.arange(20.0).reshape(2, 10)
    torch.testing.assert_close(moved({"x": x}, symmetry, identity(symmetry))["x"], x, rtol=0, atol=0)


def test_an_order_says_who_comes_to_stand_where():
    symmetry = PermutationSymmetry((OTHERS,), (AxisUnits("x", 0, "o"),))
    found = moved({"x": torch.tensor([10, 11, 12, 13])}, symmetry, {"o": torch.tensor([2, 0, 3, 1])})
    assert found["x"].tolist() == [12, 10, 13, 11]

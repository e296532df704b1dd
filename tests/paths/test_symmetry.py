"""Groups of units by hand for each way in which they stand, and outputs that no permutation changes."""

import dataclasses
import json

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.landscape import models
from tests.landscape.models import randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.paths.networks import (
    CLASSES,
    CROSS,
    NETWORKS,
    SEQUENCES,
    Deciding,
    Fused,
    Heads,
    Separable,
    Sorted,
    landscape,
    perceptron,
    residual,
)
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.paths import PermutationSymmetry, _operations, permutations, permuted
from thalweg.paths._layout import shuffled


def axes(symmetry: PermutationSymmetry) -> dict[str, str]:
    return {f"{axis.tensor}[{axis.axis}]": axis.units for axis in symmetry.axes}


def outputs(there: Landscape) -> torch.Tensor:
    with there.reading(), torch.no_grad():
        return torch.cat([there.outputs(there.leaves(grad=False), batch) for _, batch in there.batches()])


@pytest.mark.parametrize("name", NETWORKS)
def test_no_permutation_changes_an_output(name):
    there = NETWORKS[name]()
    symmetry = permutations(there, check=False)
    assert symmetry.groups
    # Where all is understood nothing is frozen; of the grouped convolution's channels not all can be followed.
    assert symmetry.frozen == () or name == "separable"
    order = shuffled(symmetry, torch.Generator().manual_seed(1))
    moved = permuted(there, symmetry, order)
    assert not torch.equal(moved.theta, there.theta)
    torch.testing.assert_close(outputs(moved), outputs(there), rtol=1e-12, atol=1e-12)


def test_a_perceptron_has_a_group_a_layer():
    symmetry = permutations(perceptron())
    assert [(group.name, group.size) for group in symmetry.groups] == [("1.0.weight", 7), ("2.0.weight", 6)]
    assert axes(symmetry) == {
        "1.0.weight[0]": "1.0.weight", "1.0.bias[0]": "1.0.weight",
        "2.0.weight[0]": "2.0.weight", "2.0.weight[1]": "1.0.weight", "2.0.bias[0]": "2.0.weight",
        "3.weight[1]": "2.0.weight",
    }  # fmt: skip
    assert str(symmetry) == "13 interchangeable units in 2 groups"


def test_channels_are_repeated_by_pixels_where_they_are_flattened():
    symmetry = permutations(landscape(models.cnn(), (randn(5, 1, 6, 6), CLASSES)))
    found = axes(symmetry)
    assert found["5.weight[1]"] == "0.weight × 4"
    assert found["1.running_mean[0]"] == found["1.running_var[0]"] == found["1.weight[0]"] == "0.weight"


def test_blocks_that_add_to_a_stream_share_its_group():
    found = axes(permutations(residual("pad", "batch")))
    # One stream of four channels, to which the padded shortcut appends channels of their own.
    assert found["3.0.body.3.weight[0]"] == found["4.0.body.0.weight[1]"] == found["0.weight[0]"] == "0.weight"
    assert found["3.0.body.0.weight[0]"] == "3.0.body.0.weight"
    assert found["4.0.body.3.weight[0]"] == found["7.weight[1]"] == "0.weight + 4.0.body.3.weight"


def test_projected_shortcuts_start_a_group():
    symmetry = permutations(residual("projection", None))
    found = axes(symmetry)
    assert found["3.0.body.2.weight[0]"] == found["3.0.shortcut.0.weight[0]"] == "3.0.body.2.weight"
    # Two streams, and the inner layer of each block.
    assert [group.size for group in symmetry.groups] == [4, 4, 8, 8]


def test_group_norm_keeps_its_groups_together():
    symmetry = permutations(landscape(models.Grouped()))
    outer, inner = symmetry.groups
    assert (outer.size, inner.size, inner.within, inner.copies) == (2, 2, outer.name, 2)
    assert axes(symmetry)["norm.weight[0]"] == "first.weight × first.weight#2"


def test_heads_trade_places_and_so_do_units_within_them():
    symmetry = permutations(landscape(Heads(), (SEQUENCES, CLASSES)))
    stream, heads, keys, values = symmetry.groups
    assert (stream.size, heads.size, keys.size, values.size) == (8, 2, 4, 4)
    assert keys.within == values.within == heads.name
    found = axes(symmetry)
    assert found["query.weight[0]"] == found["key.bias[0]"] == f"{heads.name} × {keys.name}"
    assert found["value.weight[0]"] == found["mix.weight[1]"] == f"{heads.name} × {values.name}"
    assert found["mix.weight[0]"] == found["query.weight[1]"] == found["head.weight[1]"] == stream.name


@pytest.mark.parametrize("model", [Fused, models.MultiHead])
def test_fused_queries_keys_and_values_are_told_apart(model):
    symmetry = permutations(landscape(model(), (SEQUENCES, CLASSES)))
    heads, keys, values, _ = symmetry.groups
    layer = "qkv.weight[0]" if model is Fused else "attention.in_proj_weight[0]"
    query, value = f"{heads.name} × {keys.name}", f"{heads.name} × {values.name}"
    assert axes(symmetry)[layer] == f"{query} + {query} + {value}"
    assert keys.within == values.within == heads.name


def test_gates_of_a_recurrent_layer_share_their_units():
    found = axes(permutations(landscape(models.Recurrent(), (SEQUENCES, CLASSES))))
    assert found["cell.weight_hh_l0[0]"] == " + ".join(4 * [found["cell.weight_hh_l0[1]"]])


def test_depthwise_and_grouped_convolutions():
    symmetry = permutations(landscape(Separable(), (randn(5, 3, 8, 8), CLASSES)))
    found = axes(symmetry)
    assert symmetry.deviation is not None
    assert symmetry.deviation < 1e-12
    # A channel takes its two depthwise filters along; groups of the grouped convolution stay together.
    assert found["first.weight[0]"].endswith(found["depth.weight[0]"].split(" × ")[-2])
    assert found["last.weight[1]"].endswith(" + side.weight")


def test_tied_embeddings_keep_their_rows():
    there = Landscape(models.tied(), tw.objectives.causal_lm(), [models.tokens()], check=False)
    assert axes(permutations(there)) == {
        "embed.weight[1]": "embed.weight", "mix.weight[0]": "embed.weight", "mix.weight[1]": "embed.weight",
        "mix.bias[0]": "embed.weight",
    }  # fmt: skip


def test_what_is_not_understood_is_frozen_and_listed():
    symmetry = permutations(landscape(Sorted()))
    assert [group.name for group in symmetry.groups] == ["first.weight"]
    (frozen,) = symmetry.frozen
    assert (frozen.operation, frozen.units) == ("aten.sort.default", 6)
    assert str(symmetry) == "5 interchangeable units in 1 group; 6 more not understood"


def test_a_wrong_rule_is_caught_by_the_check(monkeypatch):
    monkeypatch.setitem(_operations.RULES, torch.ops.aten.cumsum, _operations.elementwise)

    class Running(nn.Sequential):
        def forward(self, x):
            return self[1](torch.tanh(self[0](x)).cumsum(-1))

    symmetry = permutations(landscape(Running(nn.Linear(4, 5), nn.Linear(5, 3))))
    assert symmetry.groups == ()
    assert [str(one) for one in symmetry.frozen] == ["5 units at the check in 0.weight"]
    assert all(axis.units == "5" for axis in symmetry.axes)


def test_parameters_outside_of_theta_are_not_moved():
    there = landscape(tw.models.mlp((4, 7, 6, 3)), params=["2.0.*", "3.*"])
    assert [group.name for group in permutations(there).groups] == ["2.0.weight"]


def test_a_decision_on_activations_cannot_be_traced():
    with pytest.raises(ArgumentError, match=r"tracing stopped in block\.1 \(Gate\): "):
        permutations(landscape(Deciding()))


def test_the_model_stays_as_it_is():
    there = NETWORKS["convolutions with batch norm"]()
    with unchanged(there.model):
        permutations(there)


def test_a_symmetry_survives_json():
    symmetry = permutations(landscape(Fused(), (SEQUENCES, CLASSES)))
    assert PermutationSymmetry.from_dict(json.loads(json.dumps(symmetry.to_dict()))) == symmetry


@pytest.mark.parametrize("order", [torch.arange(3), torch.zeros(7, dtype=torch.long), torch.arange(7.0), [0, 1]])
def test_orders_must_be_permutations(order):
    there = perceptron()
    with unchecked(), pytest.raises(ArgumentError, match=r"order: expected a permutation of shape \(7,\) for 1\.0\."):
        permuted(there, permutations(there), {"1.0.weight": order})


def test_orders_must_be_of_groups_that_exist():
    there = perceptron()
    with pytest.raises(ArgumentError, match="got 'third'"):
        permuted(there, permutations(there), {"third": torch.arange(7)})


LAYERS = st.sampled_from(
    ["linear", "relu", "layer norm", "batch norm", "group norm", "shortcut", "join", "glu", "scale"]
)


class Drawn(nn.Module):
    """Layers in a row, each of which may change the width."""

    def __init__(self, kinds: list[str], width: int) -> None:
        super().__init__()
        self.kinds = kinds
        self.layers = nn.ModuleList()
        self.first = nn.Linear(4, width)
        for kind in kinds:
            self.layers.append(self.layer(kind, width))
            width = 2 * width if kind == "join" and width < 16 else width
        self.last = nn.Linear(width, 3)

    def layer(self, kind: str, width: int) -> nn.Module:
        made = {
            "linear": lambda: nn.Linear(width, width), "layer norm": lambda: nn.LayerNorm(width),
            "batch norm": lambda: nn.BatchNorm1d(width), "group norm": lambda: nn.GroupNorm(2, width),
            "shortcut": lambda: nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, width)),
            "join": lambda: nn.Linear(width, width), "glu": lambda: nn.Linear(width, 2 * width),
            "scale": lambda: nn.PReLU(width), "relu": nn.ReLU,
        }  # fmt: skip
        return made[kind]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for kind, layer in zip(self.kinds, self.layers, strict=True):
            out = layer(x)
            if kind == "shortcut":
                out = x + out
            elif kind == "join" and x.shape[1] < 16:
                out = torch.cat([x, out], dim=1)
            elif kind == "glu":
                out = nn.functional.glu(out)
            x = out
        return self.last(x)


@hypothesis.given(kinds=st.lists(LAYERS, max_size=5), width=st.sampled_from([4, 6, 8]), seed=st.integers(0, 99))
@hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
def test_no_network_is_changed(kinds, width, seed):
    model = scrambled(Drawn(kinds, width).double(), seed)
    there = Landscape(model, CROSS, [(randn(6, 4, seed=seed), models.classes(6))], check=False)
    symmetry = permutations(there, check=False)
    order = shuffled(symmetry, torch.Generator().manual_seed(seed))
    torch.testing.assert_close(outputs(permuted(there, symmetry, order)), outputs(there), rtol=1e-10, atol=1e-10)


def test_costs_are_told():
    symmetry = permutations(perceptron())
    assert symmetry.cost.seconds > 0
    assert dataclasses.replace(symmetry, groups=()).groups == ()

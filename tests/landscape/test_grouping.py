"""Parameters in groups, and landscapes of some of their parameters."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import MultiHead, classes, cnn, mlp, randn, scrambled, tied, tokens
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.landscape._grouping import grouped
from thalweg.landscape._parameters import Layout

DOUBLE = torch.float64


def layout(*names: str) -> Layout:
    return Layout(names, tuple(torch.Size((2,)) for _ in names))


NAMES = ("token", "a.weight", "a.bias", "b.attention.weight", "b.attention.out.weight")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            "layer",
            {
                "(root)": ("token",),
                "a": ("a.weight", "a.bias"),
                "b.attention": ("b.attention.weight",),
                "b.attention.out": ("b.attention.out.weight",),
            },
        ),
        ("parameter", {name: (name,) for name in NAMES}),
        (lambda name: name.split(".")[0], {"token": NAMES[:1], "a": NAMES[1:3], "b": NAMES[3:]}),
        (
            {"late": "b.*", "early": ["token", "a.*"]},
            {"late": ("b.attention.weight", "b.attention.out.weight"), "early": ("token", "a.weight", "a.bias")},
        ),
        (
            {"weights": lambda name, parameter: name.endswith("weight"), "rest": ["token", "*.bias"]},
            {"weights": ("a.weight", "b.attention.weight", "b.attention.out.weight"), "rest": ("token", "a.bias")},
        ),
    ],
)
def test_groups_in_order(by, expected):
    found = grouped(layout(*NAMES), by, DOUBLE)
    assert found == expected
    assert list(found) == list(expected)


def test_a_parametrised_weight_belongs_to_its_module():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 2))
    names = tuple(name for name, _ in model.named_parameters())
    assert list(grouped(layout(*names), "layer", DOUBLE)) == ["0", "1"]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("module", r"^by: expected 'layer', 'parameter', a mapping .*, got 'module'\."),
        (None, r"^by: expected 'layer', 'parameter', a mapping .*, got None\."),
        (lambda name: None, r"^by: expected the name of a group for token, got None\."),
        ({"a": "a.*"}, r"^by: expected a group for every parameter, got none for token, b\.attention\.weight, "),
        ({"a": "*", "b": "b.*"}, r"^by: expected disjoint groups, got b\.attention\.weight in 'a' and in 'b'\."),
        ({"a": "*", "c": "c.*"}, r"^by\['c'\]: expected the name of a parameter or a pattern .*, got 'c\.\*'\."),
        ({"a": "*", "c": lambda name, parameter: False}, r"^by\['c'\]: expected at least one parameter, got none\."),
        ({"a": 3}, r"^by\['a'\]: expected a name, a shell pattern, .*, got int\."),
        ({"a": None}, r"^by: expected parameters for the group 'a', got None\."),
        ({3: "*"}, r"^by: expected names of groups, got 3\."),
        ({}, r"^by: expected a group for every parameter, got none for token"),
    ],
)
def test_bad_groups_are_named(by, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        grouped(layout(*NAMES), by, DOUBLE)


CASES = {
    "perceptron": (mlp, lambda: [(randn(9, 4), classes(9)), (randn(5, 4, seed=2), classes(5))]),
    "convolutions": (cnn, lambda: [(randn(4, 1, 6, 6), classes(4))]),
    "attention": (lambda: scrambled(MultiHead().double()), lambda: [(randn(4, 3, 4), classes(4))]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("matrix", [tw.hessian, tw.ggn, tw.gradient_covariance])
def test_restricted_landscapes_have_the_diagonal_blocks(case, matrix):
    model, data = CASES[case]
    whole = tw.Landscape(model(), tw.objectives.cross_entropy(), data())
    moved = whole.at(whole.theta + 0.1 * randn(whole.size, seed=7))
    dense, gradient = matrix(moved).dense(), moved.gradient()
    for names in grouped(moved.layout, "layer", DOUBLE).values():
        part = moved.restricted(names)
        places = moved.layout.places(part.layout.names, dense.device)
        assert part.layout.names == tuple(name for name in moved.layout.names if name in names)
        assert part.loss() == moved.loss()
        torch.testing.assert_close(part.gradient(), gradient[places], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(matrix(part).dense(), dense[places][:, places], rtol=1e-10, atol=1e-12)


def test_tied_and_frozen_parameters_stay_what_they_are():
    model = tied()
    model.mix.bias.requires_grad_(False)
    whole = tw.Landscape(model, tw.objectives.causal_lm(), [tokens(5)])
    assert grouped(whole.layout, "layer", DOUBLE) == {"embed": ("embed.weight",), "mix": ("mix.weight",)}
    dense = tw.hessian(whole).dense()
    torch.testing.assert_close(tw.hessian(whole.restricted(["embed.weight"])).dense(), dense[:15, :15])
    torch.testing.assert_close(tw.hessian(whole.restricted(["mix.weight"])).dense(), dense[15:, 15:])


def test_the_model_may_move_on():
    model = mlp()
    whole = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(9, 4), classes(9))])
    loss = whole.loss()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert whole.restricted(["0.bias"]).loss() == loss

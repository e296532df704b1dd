"""Random directions: their norms, their angles and their law."""

import contextlib
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.formula import formula
from tests.golden import g2
from tests.landscape.models import classes, cnn, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import random_directions


def dense_landscape(*widths: int, dtype: torch.dtype = torch.float64, bias: bool = True) -> tw.Landscape:
    layers = [nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(widths)]
    model = scrambled(nn.Sequential(*layers).double()).to(dtype)
    data = [(torch.ones(1, widths[0], dtype=dtype), torch.ones(1, widths[-1], dtype=dtype))]
    return tw.Landscape(model, tw.objectives.mse(), data, check=False)


def images(**options) -> tw.Landscape:
    return tw.Landscape(cnn(), tw.objectives.cross_entropy(), [(randn(3, 1, 6, 6), classes(3))], **options)


def parts(landscape: tw.Landscape, directions) -> list[dict[str, torch.Tensor]]:
    return [landscape.split(column.contiguous()) for column in directions.vectors.mT]


@pytest.mark.parametrize("landscape", [g2(), images(), dense_landscape(6, 1, 4)])
def test_every_filter_has_the_norm_of_its_weights(landscape):
    weights = landscape.split(landscape.theta)
    for direction in parts(landscape, random_directions(landscape, generator=torch.Generator().manual_seed(5))):
        for name, weight in weights.items():
            if weight.ndim < 2:
                assert not direction[name].any(), "biases and scales stay where they are"
            else:
                torch.testing.assert_close(direction[name].flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


def test_every_layer_has_the_norm_of_its_weights_and_filters_are_free():
    landscape = images()
    weights = landscape.split(landscape.theta)
    for direction in parts(landscape, random_directions(landscape, normalization="layer")):
        for name, weight in weights.items():
            if weight.ndim < 2:
                assert not direction[name].any()
            else:
                assert float(direction[name].norm()) == pytest.approx(float(weight.norm()), rel=1e-12)
                rows = direction[name].flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
                assert float(rows.std()) > 0.01


def test_without_normalisation_they_are_orthonormal_and_reach_every_entry():
    landscape = images()
    vectors = random_directions(landscape, 3, normalization=None).vectors
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-14)
    assert bool((vectors != 0).all())


@pytest.mark.parametrize("normalization", ["filter", "layer", None])
@pytest.mark.parametrize("count", [2, 3])
def test_they_are_orthogonal_after_normalisation(normalization, count):
    vectors = random_directions(images(), count, normalization=normalization).vectors
    unit = vectors / vectors.norm(dim=0)
    torch.testing.assert_close(unit.mT @ unit, torch.eye(count, dtype=torch.float64), rtol=0, atol=1e-14)


def test_in_single_precision_they_are_orthogonal_to_its_rounding():
    landscape = dense_landscape(50, 30, 10, dtype=torch.float32)
    directions = random_directions(landscape)
    assert directions.vectors.dtype == torch.float32
    unit = directions.vectors.double() / directions.vectors.double().norm(dim=0)
    assert abs(float(unit[:, 0] @ unit[:, 1])) < 1e-7


@settings(max_examples=40)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 2**31), st.booleans())
def test_filter_norms_and_right_angles_hold_together_or_not_at_all(widths, seed, bias):
    """Rows of one entry cannot turn, so that for some small networks there is no second direction: it says so."""
    landscape = dense_landscape(*widths, bias=bias)
    may_fail = 1 in widths[:-1]
    directions = None
    with contextlib.suppress(ArgumentError) if may_fail else contextlib.nullcontext():
        directions = random_directions(landscape, generator=torch.Generator().manual_seed(seed))
    if directions is None:
        return
    first, second = directions.vectors.mT
    assert abs(float(first @ second)) <= 1e-14 * float(first.norm() * second.norm())
    weights = landscape.split(landscape.theta)
    for direction in parts(landscape, directions):
        for name, weight in weights.items():
            if weight.ndim == 2:
                torch.testing.assert_close(direction[name].norm(dim=1), weight.norm(dim=1))


def test_rows_of_one_entry_are_balanced_by_the_others():
    landscape = dense_landscape(1, 8, 8)
    for seed in range(10):
        directions = random_directions(landscape, generator=torch.Generator().manual_seed(seed))
        first, second = directions.vectors.mT
        assert abs(float(first @ second)) <= 1e-14 * float(first.norm() * second.norm())


def test_they_are_centred_and_not_all_positive():
    """Entries of a row divided by its norm: as many negative as positive, mean zero."""
    landscape = dense_landscape(200, 50)
    vector = parts(landscape, random_directions(landscape))[0]["0.weight"]
    scaled = vector / vector.norm(dim=1, keepdim=True) * math.sqrt(200)
    assert abs(float((scaled > 0).double().mean()) - 0.5) < 0.02
    assert abs(float(scaled.mean())) < 0.04
    assert float(scaled.square().mean()) == pytest.approx(1)
    assert float(scaled.pow(4).mean()) == pytest.approx(3, abs=0.2)  # Gaussian; uniform entries have 1.8


@pytest.mark.parametrize("normalization", ["filter", "layer", None])
def test_selected_parameters_alone_are_moved(normalization):
    """Their norms are those of their own weights, and the others are no part of the space."""
    whole = images()
    chosen = images(params=[name for name in whole.layout.names if name != whole.layout.names[0]])
    vectors = random_directions(chosen, normalization=normalization).vectors
    assert vectors.shape == (chosen.size, 2)
    assert chosen.size < whole.size
    unit = vectors / vectors.norm(dim=0)
    assert abs(float(unit[:, 0] @ unit[:, 1])) < 1e-14
    if normalization is not None:
        weights = [weight for weight in chosen.split(chosen.theta).values() if weight.ndim > 1]
        length = math.sqrt(sum(float(weight.square().sum()) for weight in weights))
        assert vectors.norm(dim=0).tolist() == pytest.approx([length, length])


def test_the_scale_is_named():
    landscape = images()
    for normalization, scale in (("filter", "the filter norms of the weights"), (None, "unit length")):
        assert random_directions(landscape, normalization=normalization).scale == scale


def test_labels_and_norms():
    landscape = dense_landscape(6, 5, 4)
    weights = [weight for weight in landscape.split(landscape.theta).values() if weight.ndim == 2]
    length = math.sqrt(sum(float(weight.square().sum()) for weight in weights))
    directions = random_directions(landscape)
    assert directions.norms == pytest.approx((length, length))
    assert directions.labels == ("filter-normalised direction 1", "filter-normalised direction 2")
    assert random_directions(landscape, normalization=None).labels[0] == "random direction 1"
    assert str(directions.only(1)) == f"filter-normalised direction 2 (‖d‖ = {length:.4g})"
    assert torch.equal(directions.only(1).vectors[:, 0], directions.vectors[:, 1])


def test_the_generator_decides():
    landscape = images()

    def drawn(seed: int | None) -> torch.Tensor:
        return random_directions(landscape, generator=seed and torch.Generator().manual_seed(seed)).vectors

    with unchecked(), unchanged(landscape.model):
        assert torch.equal(drawn(None), drawn(None))
        assert torch.equal(drawn(7), drawn(7))
        assert not torch.equal(drawn(7), drawn(8))


def test_weights_of_norm_zero_are_not_moved():
    landscape = dense_landscape(3, 2, 2)
    theta = landscape.theta
    theta[:3] = 0  # the first row of the first layer
    for direction in parts(landscape, random_directions(landscape.at(theta))):
        assert not direction["0.weight"][0].any()
        assert direction["0.weight"][1].all()


@pytest.mark.parametrize(
    ("landscape", "arguments", "message"),
    [
        (g2(), {"normalization": "model"}, r"normalization: expected 'filter', 'layer' or None, got 'model'"),
        (g2(), {"count": 0}, r"count: expected a number from 1 to P = 21, got 0"),
        (g2(), {"count": 22}, r"count: expected a number from 1 to P = 21, got 22"),
        (
            formula(lambda t: t.sum(), [1.0, 2.0]),
            {},
            r"normalization: expected weights to take the scale from, .* none of the selected .*Use None",
        ),
        (g2().at(torch.zeros(21, dtype=torch.float64)), {"normalization": "layer"}, r"but with 'layer' none"),
        (
            dense_landscape(1, 3),
            {},
            r"normalization: found no 2 orthogonal directions with the norms of 'filter', .* Use another count",
        ),
    ],
)
def test_bad_input_is_named(landscape, arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        random_directions(landscape, **arguments)

"""Directions of different kinds in one plane."""

import pytest
import torch

from tests.golden import g1
from thalweg.errors import ArgumentError
from thalweg.surfaces import (
    Directions,
    gradient_direction,
    orthogonal_directions,
    plane_scan,
    random_directions,
    update_direction,
)


def named(label: str, *entries: float) -> Directions:
    vector = torch.tensor(entries, dtype=torch.float64)
    return Directions(vector.unsqueeze(1), (label,), (float(vector.norm()),))


def test_what_is_left_of_each():
    found = orthogonal_directions(named("a", 2, 0, 0), named("b", 1, 3, 0), named("c", 1, 1, 5))
    assert found.vectors.mT.tolist() == [[2, 0, 0], [0, 3, 0], [0, 0, 5]]
    assert found.labels == ("a", "b ⟂ a", "c ⟂ a and b")
    assert found.norms == pytest.approx((2, 3, 5))


def test_what_is_orthogonal_already_stays_as_it_is():
    random = random_directions(g1(), 2, normalization=None)
    found = orthogonal_directions(random)
    assert torch.equal(found.vectors, random.vectors)
    assert found.labels == random.labels


def test_a_plane_of_gradient_and_update():
    landscape = g1()
    step = update_direction(landscape.theta, landscape.theta + landscape.space.randn())
    plane = orthogonal_directions(gradient_direction(landscape), step)
    surface = plane_scan(landscape, plane, points=3, quadratic=True)
    assert surface.labels == ("gradient", "update ⟂ gradient")
    assert abs(surface.cosine) < 1e-14


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ([named("a", 1, 2), named("b", -2, -4)], "b is parallel to a, and they span no more than without it"),
        (
            [named("a", 1, 0, 0), named("b", 0, 1, 0), named("c", 3, 2, 0)],
            "c is in the span of a, b, and they span no more",
        ),
        ([named("a", 0, 0)], "expected ones that are not zero, got a of length 0"),
        ([named("a", 1, 0), named("b", 1, 0, 0)], r"directions\[1\]: expected vectors of length 2"),
        ([], "expected at least one record, got none"),
    ],
)
def test_what_is_parallel_is_named(directions, message):
    with pytest.raises(ArgumentError, match=message):
        orthogonal_directions(*directions)


def test_a_plane_of_parallel_directions_is_refused_by_their_names():
    pair = Directions(torch.ones(9, 2, dtype=torch.float64), ("gradient", "update"), (3.0, 3.0))
    with pytest.raises(ArgumentError, match="got gradient and update, which are parallel"):
        plane_scan(g1(), pair)

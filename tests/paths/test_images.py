"""Images of a chain: evenly spread along a spline, and tangents, by formulas of known curves."""

import math

import pytest
import torch

from thalweg.errors import ArgumentError
from thalweg.paths._images import lengths, redistributed, spline_tangents, upwind_tangents


def circle(angles):
    angles = torch.as_tensor(angles, dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin(), 0 * angles], dim=1)


UNEVEN = [0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.2, 1.4, math.pi / 2]


def test_images_come_to_lie_evenly_on_the_curve_and_not_on_its_chords():
    images = redistributed(circle(UNEVEN))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(9, dtype=torch.float64), atol=2e-4, rtol=0)
    apart = lengths(images).diff()
    torch.testing.assert_close(apart, apart.mean().expand(8), rtol=1e-2, atol=0)
    assert torch.equal(images[[0, -1]], circle(UNEVEN)[[0, -1]])
    # Again they move much less.
    assert (redistributed(images) - images).norm() < 0.02 * (images - circle(UNEVEN)).norm()


def test_even_images_on_a_line_stay():
    line = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None] * torch.tensor([1.0, -2.0], dtype=torch.float64)
    torch.testing.assert_close(redistributed(line), line, rtol=0, atol=1e-15)
    torch.testing.assert_close(lengths(line), torch.linspace(0, 1, 5, dtype=torch.float64) * math.sqrt(5))


def test_the_type_is_kept():
    assert redistributed(circle(UNEVEN).float()).dtype == torch.float32


def test_tangents_of_a_spline_are_those_of_the_circle():
    expected = torch.stack([-circle(UNEVEN)[:, 1], circle(UNEVEN)[:, 0], torch.zeros(9).double()], dim=1)
    torch.testing.assert_close(spline_tangents(circle(UNEVEN)), expected, atol=5e-3, rtol=0)


def test_tangents_point_to_the_higher_neighbour():
    images = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    right, up = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()
    rising = upwind_tangents(images, torch.tensor([0.0, 1.0, 2.0, 3.0]).double())
    assert torch.equal(rising, torch.stack([right, up, right, right]))
    falling = upwind_tangents(images, torch.tensor([3.0, 2.0, 1.0, 0.0]).double())
    assert torch.equal(falling, torch.stack([right, right, up, right]))
    # At a maximum both count, and the higher neighbour by the larger of the two differences in loss.
    top = upwind_tangents(images, torch.tensor([0.0, 3.0, 2.0, 0.0]).double())[1]
    torch.testing.assert_close(top, (right + 3 * up) / math.sqrt(10))
    # All at one height: the mean of both.
    flat = upwind_tangents(images, torch.zeros(4).double())[1]
    torch.testing.assert_close(flat, (right + up) / math.sqrt(2))


def test_images_that_coincide_are_refused():
    with pytest.raises(ArgumentError, match=r"images: expected neighbours that differ, got 1 of 2 pairs that coincide"):
        lengths(torch.tensor([[0.0], [0.0], [1.0]]))


@pytest.mark.parametrize("ratio", [10.0, 1e4])
def test_uneven_images_stay_near_their_chain(ratio):
    """Any curve through the nodes that leaves the chain by more than its own steps is no place for images."""
    steps = torch.tensor([ratio, 1.0, ratio, 1.0, 1.0, ratio], dtype=torch.float64)
    turns = torch.tensor([0.0, 2.0, 0.3, 2.5, -1.0, 1.0], dtype=torch.float64)
    chain = torch.cat([torch.zeros(1, 2).double(), (steps * torch.stack([turns.cos(), turns.sin()])).T.cumsum(0)])
    out = redistributed(chain)
    assert out.abs().max() <= chain.abs().max() + ratio / 3


def test_lengths_that_rounding_makes_equal_are_refused():
    chain = torch.tensor([[0.0], [1.0], [1.0 + 2**-52], [1e9]], dtype=torch.float64)
    chain = torch.cat([chain[:1] - 1e9, chain])
    with pytest.raises(ArgumentError, match="images: expected neighbours that differ, got 1 of 4 pairs"):
        lengths(chain)

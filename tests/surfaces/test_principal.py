"""Principal components of trajectories, against planted ones and a dense decomposition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.golden import g1
from tests.landscape.models import classes, cnn, randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.surfaces import principal_directions, update_direction


def planted(count: int = 9, size: int = 40, ratio: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """An ellipse in a known plane of a larger space: cosines and sines of whole turns are uncorrelated."""
    source = torch.Generator().manual_seed(4)
    frame = torch.linalg.qr(torch.randn(size, 2, dtype=torch.float64, generator=source)).Q
    turn = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return 5 + torch.stack([ratio * turn.cos(), turn.sin()], dim=1) @ frame.mT, frame


def test_a_planted_ellipse():
    path, frame = planted()
    found = principal_directions(path)
    torch.testing.assert_close((found.vectors.mT @ frame).abs(), torch.eye(2, dtype=torch.float64))
    assert found.shares == pytest.approx((0.9, 0.1))
    assert found.labels == ("PCA 1 (90 %)", "PCA 2 (10 %)")
    assert found.norms == pytest.approx((1, 1))
    assert found.scale == "unit length"
    assert found.only(1).shares == pytest.approx((0.1,))


@settings(max_examples=25)
@given(st.integers(3, 8), st.integers(0, 2**31), st.sampled_from(["mean", "last"]))
def test_they_are_those_of_a_singular_value_decomposition(count, seed, about):
    source = torch.Generator().manual_seed(seed)
    path = torch.randn(count, 12, dtype=torch.float64, generator=source)
    found = principal_directions(path, 2, about=about)
    centred = path - (path.mean(dim=0) if about == "mean" else path[-1])
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    assert found.shares == pytest.approx((values[:2].square() / values.square().sum()).tolist())
    torch.testing.assert_close(
        (found.vectors.mT @ rows[:2].mT).abs(), torch.eye(2, dtype=torch.float64), atol=1e-6, rtol=0
    )
    gram = found.vectors.mT @ found.vectors
    torch.testing.assert_close(gram, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-14)
    ends = (path[-1] - path[0]) @ found.vectors
    assert bool((ends >= -1e-12).all()), "directions point to where the trajectory ends"


def test_a_component_of_small_share_is_orthogonal_all_the_same():
    path, _ = planted(ratio=1e5)
    vectors = principal_directions(path).vectors
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-13)
    single = principal_directions(planted()[0].float()).vectors
    assert single.dtype == torch.float32
    assert abs(float(single[:, 0].double() @ single[:, 1].double())) < 1e-6


def test_state_dicts_and_landscapes_are_checkpoints():
    """Selected parameters in the landscape's order; buffers and the rest are no part of it."""
    model = cnn()
    data = [(randn(3, 1, 6, 6), classes(3))]
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), data, params="*weight")
    states, points = [], []
    for scale in (1.0, 2.0, 4.0):
        states.append({name: value * scale for name, value in model.state_dict().items()})
        points.append(torch.cat([states[-1][name].reshape(-1) for name in landscape.layout.names]))
    points[1] = points[1] + 0.1 * torch.arange(len(points[1])).sin()
    states[1] = {**states[1], **landscape.split(points[1])}
    wanted = principal_directions(torch.stack(points))
    torch.testing.assert_close(principal_directions(states, landscape=landscape).vectors, wanted.vectors)
    there = [landscape.at(point) for point in points]
    torch.testing.assert_close(principal_directions(there).vectors, wanted.vectors)


@pytest.mark.parametrize(
    ("checkpoints", "arguments", "message"),
    [
        (torch.eye(3), {"about": "first"}, r"about: expected 'mean' or 'last', got 'first'"),
        (torch.eye(3), {"count": 3}, r"count: expected a number from 1 to 2, one less than the 3 checkpoints, got 3"),
        (torch.arange(4.0)[:, None] * torch.ones(5), {}, r"span 2 dimensions, but they lie on a line"),
        (torch.ones(4, 5), {"count": 1}, r"span 1 dimensions, but they are all the same point"),
        (torch.eye(3) / 0, {}, r"checkpoints\[0\]: expected finite entries"),
        ([{"a": torch.ones(2)}] * 3, {}, r"checkpoints\[0\]: got a state dict, .* expected landscape="),
        ([{"a": torch.ones(2)}] * 3, {"landscape": g1()}, r"expected the landscape's parameters, but .* is not in it"),
    ],
)
def test_bad_input_is_named(checkpoints, arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        principal_directions(checkpoints, **arguments)


def test_a_line_in_single_precision_is_seen_through_its_rounding():
    """Points on a line whose coordinates were rounded: what is off the line is that rounding."""
    source = torch.Generator().manual_seed(0)
    start, step = torch.randn(2, 500, generator=source)
    with pytest.raises(ArgumentError, match="lie on a line, but for rounding"):
        principal_directions([start + s * step for s in (0.0, 0.3, 0.7, 1.1, 1.9)])


def test_an_update_is_the_difference_at_its_own_length():
    landscape = g1()
    after = landscape.theta + torch.arange(9, dtype=torch.float64)
    found = update_direction(landscape, after, label="step")
    torch.testing.assert_close(found.vectors[:, 0], torch.arange(9, dtype=torch.float64))
    assert found.norms == pytest.approx((math.sqrt(204),))
    assert found.labels == ("step",)
    line = tw.line_scan(landscape, found, points=3, span=(0.0, 1.0))
    assert float(line.loss[2]) == pytest.approx(landscape.loss(after), rel=1e-12)
    with pytest.raises(ArgumentError, match="after: expected another checkpoint than before"):
        update_direction(landscape, landscape.theta)

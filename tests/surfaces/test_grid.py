"""Grids over any number of directions, and functions of the model beside the loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import thalweg as tw
from tests.formula import formula
from tests.golden import g2
from tests.landscape.models import classes, cnn, generator, mlp, randn, tied, tokens
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.surfaces import Directions, grid_scan, line_scan, plane_scan, random_directions

EYE = torch.eye(3, dtype=torch.float64)


def network(data=None, **options):
    """A perceptron on two batches of unequal size."""
    batches = data or [(randn(5, 4), classes(5)), (randn(2, 4, seed=4), classes(2, seed=5))]
    return tw.Landscape(mlp(), tw.objectives.cross_entropy(), batches, **options)


def frame(size: int, count: int, seed: int = 0):
    return torch.linalg.qr(randn(size, count, seed=seed)).Q


@settings(max_examples=15)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(0, 2**31))
def test_every_cell_is_where_its_coefficients_say(shape, seed):
    """L = bᵀθ + ½‖θ‖² + θ₀³ over orthogonal directions of different length, by its formula."""
    source = generator(seed)
    slope = torch.randn(6, dtype=torch.float64, generator=source)
    scales = torch.arange(1, len(shape) + 1, dtype=torch.float64)
    vectors = frame(6, len(shape), seed) * scales
    landscape = formula(lambda t: slope @ t + 0.5 * t @ t + t[0] ** 3, [1.0] * 6)
    spans = [(-1.0, 1.0 + axis) for axis in range(len(shape))]
    found = grid_scan(landscape, vectors, points=shape, span=spans)
    coefficients = torch.cartesian_prod(*found.axes).reshape(-1, len(shape))
    theta = landscape.theta + coefficients @ vectors.mT
    expected = theta @ slope + 0.5 * theta.square().sum(-1) + theta[:, 0] ** 3
    torch.testing.assert_close(found.loss, expected.view(shape))
    assert found.norms == pytest.approx(scales.tolist())
    assert found.cost.losses == math.prod(shape)
    assert found.labels == tuple(f"direction {i + 1}" for i in range(len(shape)))


def test_lines_and_planes_are_grids_of_one_and_two_directions():
    landscape = network()
    directions = random_directions(landscape, 2)
    line = line_scan(landscape, directions.only(0), points=5, span=(-1.0, 1.0))
    assert torch.equal(grid_scan(landscape, directions.only(0), points=5).loss, line.loss)
    plane = plane_scan(landscape, directions, points=(3, 4))
    found = grid_scan(landscape, directions, points=(4, 3))
    torch.testing.assert_close(found.section().loss, plane.loss, rtol=1e-14, atol=0)
    torch.testing.assert_close(found.section(across=1, up=0).loss, plane.loss.mT, rtol=1e-14, atol=0)
    assert found.section().labels == plane.labels


def test_a_section_holds_the_other_directions_where_it_is_told():
    landscape = formula(lambda t: t[0] + 10 * t[1] + 100 * t[2], [0.0] * 3)
    found = grid_scan(landscape, Directions(EYE, ("a", "b", "c"), (1.0, 1.0, 1.0)), points=3)
    section = found.section(across=2, up=0)
    assert section.labels == ("c", "a")
    assert section.loss.tolist() == [[-101, -1, 99], [-100, 0, 100], [-99, 1, 101]]
    assert found.section(across=2, up=0, at=(0, 2, 0)).loss[1, 1] == 10
    with pytest.raises(ArgumentError, match=r"across, up: expected two directions from 0 to 2, got 1 and 1"):
        found.section(1, 1)
    with pytest.raises(ArgumentError, match=r"at: expected one index for each axis of the grid \(3, 3, 3\)"):
        found.section(at=(0, 0, 3))


def test_the_test_data_give_another_surface_at_the_same_points():
    landscape, other = network(), [(randn(3, 4, seed=9), classes(3, seed=8))]
    directions = random_directions(landscape)
    found = grid_scan(landscape.on(other), directions, points=3)
    assert float(found.loss[1, 1]) == network(other).loss()
    assert not torch.equal(found.loss, grid_scan(landscape, directions, points=3).loss)


def test_cells_that_are_not_finite_are_counted_and_left_out():
    landscape = formula(lambda t: t[0].log() + t[1] + t[2], [1.0, 0.0, 0.0])
    found = grid_scan(landscape, EYE, points=(3, 2, 2), span=((-2.0, 2.0), (0.0, 1.0), (0.0, 1.0)))
    assert found.nonfinite == 4
    assert found.loss[0].isnan().all()
    assert found.loss[1:].isfinite().all()
    assert str(found).endswith("direction 3, 4 cells not finite")


# ---------------------------------------------------------------------- functions of (model, batch)


def margin(model, batch):
    """Least logit of each item, which knows where the model is."""
    return model(batch[0]).min(dim=1).values


def test_functions_see_the_model_at_each_point_and_are_averaged_by_items():
    landscape = network()
    directions = random_directions(landscape)
    with unchanged(landscape.model):
        found = grid_scan(landscape, directions, points=3, functions={"margin": margin})
    for i, a in enumerate(found.axes[0]):
        for j, b in enumerate(found.axes[1]):
            here = landscape.split(landscape.theta + directions.vectors @ torch.stack([a, b]))
            logits = [torch.func.functional_call(landscape.model, here, (x,)) for x, _ in landscape._data]
            expected = torch.cat([each.min(dim=1).values for each in logits]).mean()
            assert float(found.metrics["margin"][i, j]) == pytest.approx(float(expected), rel=1e-12)
    assert set(found.metrics) == {"accuracy", "margin"}


def test_a_number_for_the_batch_counts_by_what_the_batch_holds():
    landscape = network()
    found = line_scan(landscape, landscape.theta, points=2, functions={"size": lambda model, batch: len(batch[1])})
    assert found.metrics["size"].tolist() == pytest.approx([(5 * 5 + 2 * 2) / 7] * 2)


def test_functions_may_return_a_value_for_every_term_or_item_of_sequences():
    landscape = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens(4)])

    def terms(model, batch):
        logits = model(batch)
        return functional.cross_entropy(logits[:, :-1].mT, batch[:, 1:], reduction="none")

    functions = {"terms": terms, "items": lambda model, batch: terms(model, batch).mean(dim=1)}
    found = line_scan(landscape, 0.1 * landscape.theta, points=3, functions=functions)
    torch.testing.assert_close(found.metrics["terms"], found.loss)
    torch.testing.assert_close(found.metrics["items"], found.loss)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"accuracy": margin}, r"functions: expected names that are not taken, got 'accuracy'"),
        ({"loss": margin}, r"functions: expected names that are not taken, got 'loss'"),
        ({"bad": lambda m, b: torch.zeros(2, 2)}, r"functions: expected bad to return a number, .* got shape \(2, 2\)"),
    ],
)
def test_functions_that_cannot_be_averaged_are_refused(functions, message):
    landscape = network()
    with pytest.raises(ObjectiveError, match=message):
        line_scan(landscape, landscape.theta, points=2, functions=functions)


def test_batch_norm_in_train_mode_is_left_alone():
    model = cnn()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(4, 1, 6, 6), classes(4))], mode="train")
    directions = random_directions(landscape)
    with unchanged(model):
        found = grid_scan(landscape, directions, points=3)
    corner = landscape.theta + directions.vectors @ torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert float(found.loss[2, 0]) == pytest.approx(landscape.loss(corner), rel=1e-13)
    assert float(found.loss[1, 1]) == landscape.loss()


def test_parameters_of_two_types_move_together():
    model = mlp()
    model[2].float()
    model = torch.nn.Sequential(model[0], model[1], Single(), model[2])
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(5, 4), classes(5))])
    directions = random_directions(landscape)
    found = grid_scan(landscape, directions, points=2)
    for i, j in [(0, 0), (1, 0), (1, 1)]:
        at = landscape.theta + directions.vectors @ torch.tensor([2.0 * i - 1, 2.0 * j - 1], dtype=torch.float64)
        assert float(found.loss[i, j]) == pytest.approx(landscape.loss(at), rel=1e-6)


class Single(torch.nn.Module):
    def forward(self, x):
        return x.float()


def test_progress_is_reported():
    reporter = Reporter()
    grid_scan(network(), random_directions(network(), 3), points=2, progress=reporter)
    assert (reporter.stages, reporter.done) == ([("grid over 3 directions", 8)], 8)


def test_a_model_that_fails_is_given_back():
    landscape = g2()

    def fail(model, batch):
        raise RuntimeError("stop here")

    with unchanged(landscape.model), pytest.raises(RuntimeError, match="stop here"):
        line_scan(landscape, landscape.theta, functions={"fail": fail})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": 1}, r"points: expected at least 2, got 1"),
        ({"points": (3, 1, 3)}, r"points: expected at least 2, got 1"),
        ({"points": (3, 3)}, r"points: expected a number, or one for each of 3 directions, got \(3, 3\)"),
        ({"span": ((0.0, 1.0), (0.0, 1.0))}, r"span: expected \(first, last\), or such a pair for each of 3"),
        ({"span": ((0.0, 1.0), 2.0)}, r"span: expected \(first, last\), or such a pair for each of 3"),
        ({"span": (1.0, -1.0)}, r"span: expected two finite numbers"),
        ({"directions": EYE + 0.1}, r"directions: expected all of them orthogonal, got cosine 0\.187"),
        ({"directions": torch.zeros(2, 1)}, r"directions: expected shape"),
        ({"functions": [margin]}, r"functions: expected a dictionary of names and functions"),
        ({"memory": -1}, r"memory: expected a number of bytes, 0 or more, got -1"),
        ({"memory": True}, r"memory: expected a number of bytes, 0 or more, got True"),
    ],
)
def test_bad_input_is_named(arguments, message):
    landscape = formula(lambda t: t @ t, [0.0] * 3)
    with unchecked(), pytest.raises(ArgumentError, match=message):
        grid_scan(landscape, **{"directions": EYE, "points": 2} | arguments)

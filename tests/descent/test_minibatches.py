"""Random minibatches, against the landscape on the same items."""

import pytest
import torch

import thalweg as tw
from tests.landscape.models import classes, mlp, randn
from tests.unchecked import unchecked
from thalweg.descent import Minibatches
from thalweg.errors import ArgumentError, DataError


def landscape(count=30, **options):
    inputs, targets = randn(count, 4), classes(count)
    data = [(inputs[:7], targets[:7]), (inputs[7:], targets[7:])]
    return tw.Landscape(mlp(), tw.objectives.cross_entropy(), data, **options)


def test_a_pass_averages_to_the_whole():
    whole = landscape()
    batches = Minibatches(whole, 5, torch.Generator().manual_seed(1))
    theta = whole.theta + 0.1
    with whole.reading():
        found = [batches.slope(theta) for _ in range(batches.steps)]
    value, gradient = whole.loss_and_gradient(theta)
    assert batches.steps == 6
    assert sum(each for each, _ in found) / 6 == pytest.approx(value, rel=1e-12)
    torch.testing.assert_close(torch.stack([each for _, each in found]).mean(dim=0), gradient)


def test_the_last_of_a_pass_is_left_out_and_each_pass_has_its_order():
    batches = Minibatches(landscape(), 7, torch.Generator().manual_seed(1))
    drawn = [batches._next() for _ in range(8)]
    first, second = torch.cat(drawn[:4]), torch.cat(drawn[4:])
    for each in (first, second):
        assert len(each.unique()) == 28
    assert first.tolist() != second.tolist()


def test_masked_terms_keep_the_denominator_of_all_data():
    """Items of different weight: the mean over draws is the weighted mean of the data."""
    inputs, targets = randn(12, 4), classes(12)
    targets[::3] = -100
    whole = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(inputs, targets)])
    batches = Minibatches(whole, 3)
    with whole.reading():
        values = [batches.slope(whole.theta)[0] for _ in range(4)]
    assert sum(values) / 4 == pytest.approx(whole.loss(), rel=1e-12)


def test_the_same_minibatch_again():
    whole = landscape()
    batches, twin = (Minibatches(whole, 5, torch.Generator().manual_seed(1)) for _ in range(2))
    there = whole.theta + 0.1
    with whole.reading():
        batches.slope(whole.theta)
        value, _ = twin.slope(there)
        assert batches.again(there) == pytest.approx(value, rel=1e-14)
        assert batches.again(there) == batches.again(there)


def test_what_cannot_be_drawn_is_refused():
    for size in (0, 31, 2.0, True):
        with unchecked(), pytest.raises(ArgumentError, match="batch_size: expected a whole number from 1 to the 30"):
            Minibatches(landscape(), size)
    function = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    with pytest.raises(DataError, match="sees a batch as a whole"):
        Minibatches(tw.Landscape(mlp(), function, [randn(6, 4)]), 1)

"""Batches are views; subsets and pooled images are what indexing and averaging by hand give."""

import dataclasses

import pytest
import torch

from tests.unchecked import unchecked
from thalweg.data import Dataset
from thalweg.errors import ArgumentError, DataError


@pytest.fixture
def data() -> Dataset:
    images = torch.randn(10, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    targets = torch.tensor([0, 1, 2] * 3 + [0])
    ones = torch.ones(2)
    return Dataset("some", images[:7], targets[:7], images[7:], targets[7:], ("a", "b", "c"), 0 * ones, ones)


@pytest.mark.parametrize(("size", "lengths"), [(None, [7]), (7, [7]), (3, [3, 3, 1]), (100, [7]), (1, [1] * 7)])
def test_batches_are_the_split_in_order(data, size, lengths):
    batches = data.batches("train", size)
    assert [len(y) for _, y in batches] == lengths
    assert torch.equal(torch.cat([x for x, _ in batches]), data.train_inputs)
    assert torch.equal(torch.cat([y for _, y in batches]), data.train_targets)


def test_batches_share_the_memory_of_the_data(data):
    storage = data.test_inputs.untyped_storage().data_ptr()
    assert all(x.untyped_storage().data_ptr() == storage for x, _ in data.batches("test", 2))


def test_a_limit_keeps_the_first_items(data):
    batches = data.batches("train", 2, limit=5)
    assert [len(y) for _, y in batches] == [2, 2, 1]
    assert torch.equal(torch.cat([x for x, _ in batches]), data.train_inputs[:5])
    assert data.batches("test", limit=0) == []


def test_a_subset_is_the_first_items(data):
    part = data.subset(4, 2)
    assert torch.equal(part.train_inputs, data.train_inputs[:4])
    assert torch.equal(part.test_targets, data.test_targets[:2])
    assert torch.equal(data.subset(test=1).train_inputs, data.train_inputs)


def test_a_random_subset_is_drawn_without_replacement(data, untouched_rng):
    def drawn(seed):
        return data.subset(6, generator=torch.Generator().manual_seed(seed))

    part = drawn(0)
    rows = [
        next(i for i, image in enumerate(data.train_inputs) if torch.equal(image, chosen))
        for chosen in part.train_inputs
    ]
    assert len(set(rows)) == 6
    assert torch.equal(part.train_targets, data.train_targets[rows])
    assert torch.equal(part.train_inputs, drawn(0).train_inputs)
    assert not torch.equal(part.train_inputs, drawn(1).train_inputs)
    assert torch.equal(part.test_inputs, data.test_inputs)


def test_pooled_images_are_means_over_blocks(data):
    pooled = data.pooled(2)
    by_hand = data.train_inputs.reshape(7, 2, 2, 4, 2, 4).mean(dim=(3, 5))
    torch.testing.assert_close(pooled.train_inputs, by_hand)
    assert pooled.test_inputs.shape == (3, 2, 2, 2)
    assert torch.equal(pooled.train_targets, data.train_targets)


def test_the_type_can_be_changed(data):
    assert data.to(torch.float64).train_inputs.dtype == torch.float64
    assert data.to(torch.float64).test_inputs.dtype == torch.float64


def test_it_says_what_it_is(data):
    assert str(data) == "some: 7 train and 3 test items of shape (2, 8, 8), 3 classes"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda data: data.batches("validation"), r"split: expected 'train' or 'test', got 'validation'\."),
        (lambda data: data.batches("train", 0), r"batch_size: expected at least 1, got 0\."),
        (lambda data: data.batches("train", limit=8), r"limit: expected from 1 to 7 items \(train\), got 8\."),
        (lambda data: data.batches("test", limit=-1), r"limit: expected from 0 to 3 items \(test\), got -1\."),
        (lambda data: data.subset(0), r"train: expected from 1 to 7 items \(train\), got 0\."),
        (lambda data: data.subset(test=4), r"test: expected from 0 to 3 items \(test\), got 4\."),
        (lambda data: data.pooled(3), r"side: expected a divisor of 8, got 3\."),
        (lambda data: data.pooled(0), r"side: expected a divisor of 8, got 0\."),
        (
            lambda data: dataclasses.replace(
                data, train_inputs=data.train_inputs.flatten(1), test_inputs=data.test_inputs.flatten(1)
            ).pooled(2),
            r"side: expected square images to pool, got items of shape \(128,\)\.",
        ),
    ],
)
def test_bad_arguments_are_named(data, use, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        use(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_inputs": torch.zeros(3, 2, 4, 4)}, r"expected .* items of one shape, got \(2, 8, 8\) and \(2, 4, 4\)"),
        ({"train_targets": torch.zeros(6, dtype=torch.int64)}, r"expected one target an item, got 6 for 7 \(train\)"),
        ({"test_targets": torch.tensor([0, 3, 1])}, r"expected targets from 0 to 2, got 3 at position 1 \(test\)"),
        ({"train_targets": torch.full((7,), -1)}, r"expected targets from 0 to 2, got -1 at position 0 \(train\)"),
        ({"train_inputs": torch.zeros(0, 2, 8, 8)}, "some: expected at least one training item, got none"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit_are_named(data, change, message):
    with unchecked(), pytest.raises(DataError, match=message):
        dataclasses.replace(data, **change)

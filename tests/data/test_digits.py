"""scikit-learn itself is the oracle."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from thalweg.data import digits, load
from thalweg.errors import ArgumentError, MissingExtraError


def pixels(data, split):
    inputs, targets = data.split(split)
    restored = (16 * (inputs * data.std + data.mean)).round().to(torch.int64).reshape(len(inputs), 64)
    return torch.cat([restored, targets[:, None]], dim=1).tolist()


def test_the_two_parts_are_the_whole():
    images, labels = load_digits(return_X_y=True)
    whole = np.column_stack([images, labels]).astype(int).tolist()
    data = digits()
    assert sorted(pixels(data, "train") + pixels(data, "test")) == sorted(whole)


def test_the_training_part_is_standardised():
    data = digits()
    assert data.train_inputs.dtype == torch.float32
    assert data.train_inputs.shape[1:] == (1, 8, 8)
    assert abs(float(data.train_inputs.mean())) < 1e-5
    assert abs(float(data.train_inputs.std(correction=0)) - 1) < 1e-5


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_the_split_is_stratified(fraction):
    data = digits(test_fraction=fraction)
    members = torch.from_numpy(load_digits(return_X_y=True)[1]).bincount()
    assert data.test_targets.bincount().tolist() == [round(fraction * int(count)) for count in members]


def test_the_generator_decides_the_split(untouched_rng):
    default, zero, one = digits(), *(digits(generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(default.train_inputs, zero.train_inputs)
    assert not torch.equal(default.test_inputs, one.test_inputs)
    assert not torch.equal(default.train_targets, default.train_targets.sort().values), "not shuffled"


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_bad_fractions_are_named(fraction):
    with pytest.raises(ArgumentError, match=r"test_fraction: expected a number strictly between 0 and 1, got"):
        digits(test_fraction=fraction)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"digits needs scikit-learn: pip install 'thalweg\[data\]'\."):
        digits()


def test_they_are_found_by_name():
    assert torch.equal(load("digits").train_inputs, digits().train_inputs)

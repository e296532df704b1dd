"""Small files in every layout that is read, and the real ones where they are at hand."""

import numpy as np
import pytest
import torch

from tests.data.files import IDX, idx, write_mnist
from thalweg.data import fashion_mnist, mnist
from thalweg.errors import DataError


def expect(data, arrays):
    """The standardisation undone must give back the bytes."""
    for inputs, targets, images, labels in (
        (data.train_inputs, data.train_targets, arrays[IDX[0]], arrays[IDX[1]]),
        (data.test_inputs, data.test_targets, arrays[IDX[2]], arrays[IDX[3]]),
    ):
        assert inputs.dtype == torch.float32
        assert targets.dtype == torch.int64
        np.testing.assert_allclose(255 * (inputs * data.std + data.mean).numpy()[:, 0], images, atol=1e-3)
        np.testing.assert_array_equal(targets, labels)
    pixels = arrays[IDX[0]] / 255
    np.testing.assert_allclose([float(data.mean), float(data.std)], [pixels.mean(), pixels.std()], rtol=1e-6)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", [".", "mnist", "MNIST", "MNIST/raw"])
def test_mnist_is_found_in_its_layouts(tmp_path, place, zipped):
    arrays = write_mnist(tmp_path / place, zipped=zipped)
    expect(mnist(tmp_path), arrays)


@pytest.mark.parametrize("place", [".", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw"])
def test_fashion_mnist_is_found_in_its_layouts(tmp_path, place):
    arrays = write_mnist(tmp_path / place)
    data = fashion_mnist(str(tmp_path))
    expect(data, arrays)
    assert data.name == "fashion-mnist"
    assert (data.classes[0], data.classes[9]) == ("T-shirt/top", "Ankle boot")


def test_the_folder_of_the_name_comes_before_the_root(tmp_path):
    write_mnist(tmp_path, seed=1)
    arrays = write_mnist(tmp_path / "mnist", seed=2)
    expect(mnist(tmp_path), arrays)


def test_the_two_are_not_mistaken_for_each_other(tmp_path):
    """Their files have the same names: a root that is named after one is not read as the other."""
    arrays = write_mnist(tmp_path / "mnist")
    expect(mnist(tmp_path / "mnist"), arrays)
    for root in (tmp_path, tmp_path / "mnist"):
        with pytest.raises(DataError, match="fashion-mnist: expected the files train-images"):
            fashion_mnist(root)
    arrays = write_mnist(tmp_path / "FashionMNIST" / "raw")
    expect(fashion_mnist(tmp_path / "FashionMNIST" / "raw"), arrays)
    with pytest.raises(DataError, match="mnist: expected the files"):
        mnist(tmp_path / "FashionMNIST" / "raw")


def test_the_root_may_come_from_the_environment(tmp_path, monkeypatch):
    arrays = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    expect(mnist(), arrays)
    other = write_mnist(tmp_path / "other", seed=5)
    expect(mnist(tmp_path / "other"), other)


def test_no_root_is_an_error(monkeypatch):
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    message = (
        "mnist: expected a folder with its files, got none. Set the folder with --data-root, the argument root, or"
    )
    with pytest.raises(DataError, match=message):
        mnist()


def test_a_root_that_is_no_folder_is_named(tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=r"expected root to name a folder, got '.*nowhere', which is none\. Set .*--data-root"
    ):
        mnist(tmp_path / "nowhere")
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        DataError, match=r"expected the environment variable THALWEG_DATA to name a folder, got '.*nowhere'"
    ):
        mnist()


def test_missing_files_say_where_they_were_looked_for(tmp_path):
    (tmp_path / "mnist").mkdir()
    with pytest.raises(
        DataError, match=rf"not found in {tmp_path}/mnist, {tmp_path}\. Set .*--data-root.*THALWEG_DATA"
    ):
        mnist(tmp_path)


def test_a_part_of_the_files_is_not_enough(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / IDX[3]).unlink()
    with pytest.raises(DataError, match=rf"mnist: expected the four files .*; missing \['{IDX[3]}'\]"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (IDX[1], np.zeros(11), f"{IDX[1]}: expected 12 labels, one for each image of {IDX[0]}, got 11"),
        (IDX[3], np.full(5, 10), r"mnist: expected targets from 0 to 9, got 10 at position 0 \(test\)"),
        (IDX[0], np.full((12, 28, 28), 9), "mnist: expected training images that vary in each channel"),
        (IDX[0], np.zeros((12, 20, 20)), rf"{IDX[0]}: expected items of shape \(28, 28\), got \(20, 20\)"),
    ],
)
def test_contents_that_do_not_fit_are_named(tmp_path, file, array, message):
    write_mnist(tmp_path)
    (tmp_path / file).write_bytes(idx(array))
    with pytest.raises(DataError, match=message):
        mnist(tmp_path)


def test_no_training_images_are_an_error(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / IDX[0]).write_bytes(idx(np.zeros((0, 28, 28))))
    (tmp_path / IDX[1]).write_bytes(idx(np.zeros(0)))
    with pytest.raises(DataError, match="mnist: expected at least one training item, got none"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("read", "train", "test", "mean", "std"),
    [
        (
            mnist,
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            0.1307,
            0.3081,
        ),
        (fashion_mnist, [6000] * 10, [1000] * 10, 0.2860, 0.3530),
    ],
)
def test_the_real_files(data_root, read, train, test, mean, std):
    """Class counts and moments are the published ones."""
    data = read(data_root)
    assert data.train_inputs.shape == (60_000, 1, 28, 28)
    assert data.test_inputs.shape == (10_000, 1, 28, 28)
    assert data.train_targets.bincount().tolist() == train
    assert data.test_targets.bincount().tolist() == test
    assert round(float(data.mean), 4) == mean
    assert round(float(data.std), 4) == std
    assert abs(float(data.train_inputs.mean())) < 1e-4
    assert abs(float(data.train_inputs.std()) - 1) < 1e-4

"""Names lead to the functions of the same name."""

import pytest

from tests.data.files import write_cifar, write_mnist
from thalweg.data import load
from thalweg.errors import ArgumentError


def test_names_lead_to_their_files(tmp_path):
    write_mnist(tmp_path / "mnist")
    write_mnist(tmp_path / "fashion-mnist")
    write_cifar(tmp_path / "cifar-10-batches-py")
    for name in ("mnist", "fashion-mnist", "cifar-10"):
        assert load(name, tmp_path).name == name


def test_an_unknown_name_is_an_error():
    with pytest.raises(
        ArgumentError, match=r"name: expected one of \['cifar-10', 'digits', .*'mnist'\], got 'imagenet'"
    ):
        load("imagenet")

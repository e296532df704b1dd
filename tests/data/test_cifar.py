"""Small batches in folders and archives, hostile ones, and the real ones where they are at hand."""

import io
import pickle
import tarfile

import numpy as np
import pytest

from tests.data import python2
from tests.data.files import BATCHES, pack, write_cifar
from thalweg.data import cifar10
from thalweg.errors import DataError

FOLDER = "cifar-10-batches-py"


def expect(data, batches):
    images = np.concatenate([batches[name]["data"] for name in BATCHES[:5]]).reshape(-1, 3, 32, 32)
    channels = images.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(data.mean, channels.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(data.std, channels.std(axis=1), rtol=1e-6)
    for inputs, bytes_ in ((data.train_inputs, images), (data.test_inputs, batches["test_batch"]["data"])):
        mean, std = data.mean[:, None, None], data.std[:, None, None]
        np.testing.assert_allclose(255 * (inputs * std + mean), bytes_.reshape(-1, 3, 32, 32), atol=1e-3)
    assert data.train_targets.tolist() == [label for name in BATCHES[:5] for label in batches[name]["labels"]]
    assert data.test_targets.tolist() == batches["test_batch"]["labels"]


@pytest.mark.parametrize("place", ["cifar-10", "cifar10", "CIFAR10", "."])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_folder_is_read(tmp_path, place, protocol):
    batches = write_cifar(tmp_path / place / FOLDER, protocol=protocol)
    expect(cifar10(tmp_path), batches)


def test_the_folder_itself_may_be_the_root(tmp_path):
    batches = write_cifar(tmp_path / FOLDER)
    expect(cifar10(tmp_path / FOLDER), batches)


@pytest.mark.parametrize(("suffix", "mode"), [("tar.gz", "w:gz"), ("tar.xz", "w:xz"), ("tar", "w"), ("tgz", "w:gz")])
def test_an_archive_of_any_name_is_read_without_unpacking(tmp_path, suffix, mode):
    batches = write_cifar(tmp_path / "elsewhere" / FOLDER)
    root = tmp_path / "root"
    pack(tmp_path / "elsewhere" / FOLDER, root / "cifar-10" / f"any name.{suffix}", mode)
    before = sorted(root.rglob("*"))
    expect(cifar10(root), batches)
    assert sorted(root.rglob("*")) == before


def test_other_archives_beside_it_do_not_matter(tmp_path):
    batches = write_cifar(tmp_path / "elsewhere" / FOLDER)
    (tmp_path / "a.tar.gz").write_bytes(b"broken")
    (tmp_path / "elsewhere" / "other").mkdir()
    pack(tmp_path / "elsewhere" / "other", tmp_path / "b.tar", "w")
    pack(tmp_path / "elsewhere" / FOLDER, tmp_path / "c.tar", "w")
    expect(cifar10(tmp_path), batches)


def test_batches_of_python_2_are_read(tmp_path):
    written = write_cifar(tmp_path / FOLDER)
    for name, batch in written.items():
        content = python2.dictionary(
            batch_label=python2.text(name.encode()),
            labels=python2.listed(batch["labels"]),
            data=python2.array((4, 3072), batch["data"].tobytes()),
        )
        (tmp_path / FOLDER / name).write_bytes(content)
    expect(cifar10(tmp_path), written)


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (eval, (f"__import__('pathlib').Path({str(self.path)!r}).touch()",))


@pytest.mark.parametrize("packed", [False, True])
def test_a_malicious_batch_does_not_run(tmp_path, packed):
    canary = tmp_path / "canary"
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "data_batch_3").write_bytes(pickle.dumps({"data": Touch(canary)}, protocol=2))
    root = tmp_path
    if packed:
        root = tmp_path / "root"
        pack(tmp_path / FOLDER, root / "batches.tar.gz", "w:gz")
    with pytest.raises(DataError, match=r"data_batch_3: .* got one that names \w+\.eval; it was not run"):
        cifar10(root)
    assert not canary.exists()


def test_nothing_found_says_where_it_was_looked_for(tmp_path):
    message = (
        rf"cifar-10: expected a folder {FOLDER} with .*, or an archive of it, not found in {tmp_path}\. Set .*data-root"
    )
    with pytest.raises(DataError, match=message):
        cifar10(tmp_path)


def test_a_part_of_the_batches_is_not_enough(tmp_path):
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "data_batch_2").unlink()
    with pytest.raises(DataError, match=rf"expected the batches .* in .*{FOLDER}; missing \['data_batch_2'\]"):
        cifar10(tmp_path)
    pack(tmp_path / FOLDER, tmp_path / "root" / "batches.tar", "w")
    with pytest.raises(DataError, match=r"batches\.tar: expected the batches .*; missing \['data_batch_2'\]"):
        cifar10(tmp_path / "root")


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz"])
def test_a_truncated_archive_is_named(tmp_path, suffix):
    write_cifar(tmp_path / "elsewhere" / FOLDER)
    path = tmp_path / f"batches.{suffix}"
    pack(tmp_path / "elsewhere" / FOLDER, path, f"w:{suffix[-2:]}")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match=rf"batches\.{suffix}: expected a readable archive, got \w+"):
        cifar10(tmp_path)


def test_a_member_that_is_a_link_is_refused(tmp_path):
    """A link could lead out of the archive."""
    with tarfile.open(tmp_path / "batches.tar", "w") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match=rf"batches\.tar:{FOLDER}/data_batch_1: expected a file of at most"):
        cifar10(tmp_path)


def test_a_member_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with tarfile.open(tmp_path / "batches.tar", "w") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
        member.size = (1 << 27) + 1
        tar.fileobj.write(member.tobuf())
        tar.fileobj.write(bytes(1024))
    with pytest.raises(DataError, match="expected a file of at most 134217728 bytes, got 134217729"):
        cifar10(tmp_path)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    write_cifar(tmp_path / FOLDER)
    with (tmp_path / FOLDER / "data_batch_1").open("wb") as file:
        file.truncate((1 << 27) + 1)
    with pytest.raises(DataError, match="data_batch_1: expected a batch of at most 134217728 bytes, got 134217729"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], r"test_batch: expected 'data' to be bytes of shape \(N, 3072\), got NoneType"),
        ({"data": np.zeros((4, 3071), np.uint8), "labels": [0] * 4}, r"of shape \(N, 3072\), got \(4, 3071\)"),
        ({"data": np.zeros((4, 3072), np.uint8)}, "expected 'labels' to be a list of whole numbers from 0 to 9"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 10, 2]}, "expected 'labels' to be a list"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, True, 2]}, "expected 'labels' to be a list"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1]}, "expected one label an image, got 2 for 4"),
    ],
)  # fmt: skip
def test_contents_that_do_not_fit_are_named(tmp_path, batch, message):
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(DataError, match=message):
        cifar10(tmp_path)


@pytest.mark.slow
def test_the_real_archive(data_root):
    """Class counts and moments are the published ones."""
    data = cifar10(data_root)
    assert data.train_inputs.shape == (50_000, 3, 32, 32)
    assert data.test_inputs.shape == (10_000, 3, 32, 32)
    assert data.train_targets.bincount().tolist() == [5000] * 10
    assert data.test_targets.bincount().tolist() == [1000] * 10
    assert [round(value, 4) for value in data.mean.tolist()] == [0.4914, 0.4822, 0.4465]
    assert [round(value, 4) for value in data.std.tolist()] == [0.2470, 0.2435, 0.2616]
    assert (data.classes[6], data.classes[8]) == ("frog", "ship")
    assert data.classes[int(data.train_targets[0])] == "frog"


def test_one_real_batch(data_root):
    """The first member alone: quick, and as Python 2 wrote it."""
    archives = sorted((data_root / "cifar-10").glob("*.tar.*"))
    if not archives:
        pytest.skip("no archive of CIFAR-10")
    from thalweg.data._cifar import _batch

    with tarfile.open(archives[0], "r|*") as tar:
        member = next(member for member in tar if member.name.endswith("data_batch_1"))
        content = tar.extractfile(member).read()
    images, labels = _batch(content, "data_batch_1")
    reference = pickle.load(io.BytesIO(content), encoding="bytes")
    np.testing.assert_array_equal(images.reshape(-1, 3072), reference[b"data"])
    assert labels.tolist() == reference[b"labels"]

"""What the format needs is read; anything else is refused before it runs. NumPy's own pickles are the oracle."""

import os
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import python2
from thalweg.data._pickle import read_pickle
from thalweg.errors import DataError

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


def test_a_pickle_of_python_2_is_read_as_bytes():
    content = python2.dictionary(
        batch_label=python2.text(b"training batch 1 of 5"),
        labels=python2.listed([3, 1, 4, 1]),
        data=python2.array((4, 6), PIXELS.tobytes()),
    )
    found = read_pickle(content, "batch")
    assert found[b"batch_label"] == b"training batch 1 of 5"
    assert found[b"labels"] == [3, 1, 4, 1]
    assert found[b"data"].dtype == np.uint8
    np.testing.assert_array_equal(found[b"data"], PIXELS)
    np.testing.assert_array_equal(found[b"data"], pickle.loads(content, encoding="bytes")[b"data"])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("array", [PIXELS, np.asfortranarray(PIXELS), PIXELS[0]], ids=["C", "F", "row"])
def test_what_numpy_writes_is_read(array, protocol):
    found = read_pickle(pickle.dumps({"data": array, "labels": [1]}, protocol=protocol), "batch")
    assert found["data"].shape == array.shape
    np.testing.assert_array_equal(found["data"], array)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_the_old_and_the_new_name_are_read(module):
    found = read_pickle(python2.program(python2.array((24,), PIXELS.tobytes(), module=module)), "batch")
    np.testing.assert_array_equal(found, PIXELS.reshape(-1))


class Call:
    """Pickles as a call: unpickling it runs the function."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


def attacks(canary):
    """Programs that would each write the canary, or reach beyond what the format needs."""
    command = f"touch {canary}"
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    nested = Call(getattr, Call(__import__, "os"), "system")
    return {
        "os.system": pickle.dumps(Call(os.system, command), protocol=2),
        "eval": pickle.dumps(Call(eval, code), protocol=2),
        "exec of protocol 4": pickle.dumps(Call(exec, code), protocol=4),
        "in a list, in a dictionary": pickle.dumps({"data": [Call(os.system, command)]}, protocol=2),
        "getattr of an import": pickle.dumps([nested], protocol=2),
        "protocol 0": b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "instance": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "object": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x12ndarray.__class__\x93.",
        "numpy scalar of an object": python2.program(
            python2.name("numpy.core.multiarray", "scalar")
            + python2.kind(b"O8")
            + python2.text(b"cos\nsystem\n.")
            + b"\x86R"
        ),
        "numpy.load": python2.program(python2.name("numpy", "load") + python2.text(b"x") + b"\x85R"),
        "numpy's runstring": python2.program(
            python2.name("numpy.testing._private.utils", "runstring") + python2.text(code.encode()) + b"}\x86R"
        ),
        "numpy's import": python2.program(python2.name("numpy.lib.format", "os")),
        "codecs of another name": python2.program(python2.name("_codecs", "decode")),
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"\x80\x02U\x01xQ.",
    }


@pytest.mark.parametrize("attack", attacks("x"))
def test_a_malicious_pickle_does_not_run(attack, tmp_path):
    canary = tmp_path / "canary"
    content = attacks(canary)[attack]
    with pytest.raises(DataError, match=r"^batch: expected a "):
        read_pickle(content, "batch")
    assert not canary.exists()


@pytest.mark.parametrize("attack", ["os.system", "eval", "getattr of an import"])
def test_the_attacks_are_real(attack, tmp_path):
    """Pickle's own reader runs them; otherwise the test above would show nothing."""
    canary = tmp_path / "canary"
    content = attacks(canary)[attack]
    if attack == "getattr of an import":
        assert pickle.loads(content) == [os.system]
    else:
        pickle.loads(content)
        assert canary.exists()


def test_the_name_that_was_refused_is_told():
    with pytest.raises(DataError, match=r"batch: .* got one that names (posix|nt)\.system; it was not run\."):
        read_pickle(pickle.dumps(os.system, protocol=2), "batch")


NOT_BYTES = (
    "batch: expected a pickle of plain values and byte arrays, got an array of something other than unsigned bytes"
)
ARRAY = python2.name("numpy", "ndarray")
EMPTY = python2.name("numpy.core.multiarray", "_reconstruct") + b")R"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (python2.array((3,), b"abc", kind=python2.kind(b"O8")), NOT_BYTES),
        (python2.array((3,), b"abc", kind=python2.kind(b"i1")), NOT_BYTES),
        (python2.array((3,), b"abc", kind=python2.kind(order=b"<")), NOT_BYTES),
        (python2.array((3,), b"abc", kind=python2.text(b"u1")), NOT_BYTES),
        (python2.array((2, 2), b"abc"), r"an array of shape \(2, 2\) with 3 bytes"),
        (python2.array((-3,), b"abc"), "an array without a shape"),
        (python2.array((1 << 30, 1 << 30, 4), b"abc"), "with 3 bytes"),
        (EMPTY, "an array without content"),
        (ARRAY, "a class instead of a value"),
        (ARRAY + b")R", "a call of a class that should only be named"),
        (ARRAY + b"}b", "a change to one of the names that it uses"),
        (EMPTY + b"}b", "batch: expected a complete pickle, got ValueError"),
        (python2.name("_codecs", "encode") + b"Vx\nVutf-7\n\x86R", "a text in an unknown encoding"),
        (b"Nr\xff\xff\xff\xff", "a memo of 4294967295 places"),
    ],
)  # fmt: skip
def test_arrays_that_lie_are_refused(body, message):
    with pytest.raises(DataError, match=message):
        read_pickle(python2.program(body), "batch")


def test_object_arrays_of_numpy_are_refused():
    with pytest.raises(DataError, match=NOT_BYTES):
        read_pickle(pickle.dumps({"data": np.array([1, "a", None], dtype=object)}, protocol=2), "batch")


def test_a_refused_pickle_leaves_nothing_behind():
    """Setting the state of a function would change it for every later file."""
    tampered = python2.name("_codecs", "encode") + b"N}U\x0c__defaults__U\x01xs\x86b"
    with pytest.raises(DataError, match="a change to one of the names"):
        read_pickle(python2.program(tampered), "batch")
    found = read_pickle(pickle.dumps({"data": PIXELS}, protocol=2), "batch")
    np.testing.assert_array_equal(found["data"], PIXELS)


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"hello", b"\x80\x02}(", python2.dictionary(a=b"K\x01")[:-1], b"\x80\x63N."]
)
def test_a_broken_pickle_is_named(content):
    with pytest.raises(DataError, match=r"batch: expected a complete pickle, got \w+: "):
        read_pickle(content, "batch")


VALID = python2.dictionary(labels=python2.listed([1, 2]), data=python2.array((2, 3), b"abcdef"))


@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_ends_in_a_value_or_in_one_error(changes):
    content = bytearray(VALID)
    for place, value in changes:
        content[place] = value
    with suppress(DataError):
        read_pickle(bytes(content), "batch")

"""The tree of errors is the one that its docstring draws."""

import inspect
import re

import pytest

from thalweg import errors

CLASSES = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and kind is not errors.Interrupted
}


def test_the_docstring_draws_the_tree():
    drawn = re.findall(r"(\w+(?:Error|Warning))\b(?!\))", errors.__doc__)
    named = {name for name in drawn if name not in ("ValueError", "ImportError", "UserWarning")}
    assert named == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_has_one_of_the_two_roots_and_says_what_it_is(name):
    kind = CLASSES[name]
    root = errors.ThalwegWarning if issubclass(kind, Warning) else errors.ThalwegError
    assert issubclass(kind, root)
    assert name.endswith("Warning" if root is errors.ThalwegWarning else "Error")
    assert kind.__doc__.endswith(".")


def test_an_interruption_is_no_error():
    """So that ``except Exception`` lets it pass, as it lets every Ctrl-C."""
    assert issubclass(errors.Interrupted, KeyboardInterrupt)
    assert not issubclass(errors.Interrupted, Exception)
    assert "Interrupted (a KeyboardInterrupt" in errors.__doc__
    caught = errors.Interrupted("interrupted", 3)
    assert (str(caught), caught.result) == ("interrupted", 3)


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(errors.ArgumentError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)
    assert issubclass(errors.ThalwegWarning, UserWarning)
    assert not issubclass(errors.ThalwegError, ValueError)

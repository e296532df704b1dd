"""The public names are an explicit list: complete, sorted, documented."""

import importlib
import inspect
import pkgutil
import re
from types import ModuleType

import pytest

import thalweg


def public_packages() -> list[str]:
    """Thalweg and its folders, none of whose path is private."""
    found = pkgutil.walk_packages(thalweg.__path__, "thalweg.")
    names = [module.name for module in found if module.ispkg and "._" not in module.name]
    return ["thalweg", *names]


@pytest.fixture(params=public_packages())
def package(request) -> ModuleType:
    return importlib.import_module(request.param)


def top_level(package: ModuleType) -> set[str]:
    """The names without an underscore that are no modules."""
    return {
        name for name, value in vars(package).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def documentation(value: object) -> str:
    """Its own words; a dataclass without any is given its signature, which says nothing."""
    text = getattr(value, "__doc__", None) or ""
    return "" if re.match(rf"{getattr(value, '__name__', '')}\(", text) else text.strip()


def public_members(cls: type) -> dict[str, object]:
    return {
        name: member
        for name, member in vars(cls).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, (property, classmethod, staticmethod)))
    }


def test_the_list_is_sorted_and_without_repetition(package):
    assert list(package.__all__) == sorted(set(package.__all__))


def test_the_list_is_complete(package):
    """Whoever imports a name into a package's top level makes it public: then it is listed, or it goes."""
    unlisted = top_level(package) - set(package.__all__)
    assert not unlisted, f"not listed: {sorted(unlisted)}"


def test_every_name_exists_and_is_documented(package):
    assert documentation(package), package.__name__
    for name in package.__all__:
        value = getattr(package, name)
        if callable(value) or isinstance(value, ModuleType):
            assert documentation(value), f"{package.__name__}.{name} has no docstring"


def test_every_public_method_is_documented(package):
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value):
            attributes = re.findall(r"^    (\w+)(?: \(.*?\))?:", inspect.getdoc(value) or "", re.MULTILINE)
            for member in set(public_members(value)) - set(attributes):
                assert inspect.getdoc(getattr(value, member)), f"{package.__name__}.{name}.{member} has no docstring"


def test_docstrings_name_every_argument(package):
    """What a function takes, its ``Args:`` explain, and they explain nothing else."""
    for name in package.__all__:
        value = getattr(package, name)
        if not inspect.isfunction(value):
            continue
        taken = [parameter for parameter in inspect.signature(value).parameters if not parameter.startswith("_")]
        section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", inspect.getdoc(value) or "", re.MULTILINE)
        explained = re.findall(r"^    \*{0,2}(\w+)(?: \(.*?\))?:", section[1], re.MULTILINE) if section else []
        assert explained == taken, f"{package.__name__}.{name}: takes {taken}, explains {explained}"


def test_the_wildcard_gives_the_list():
    names: dict[str, object] = {}
    exec("from thalweg import *", names)
    assert set(thalweg.__all__) == set(names) - {"__builtins__"}

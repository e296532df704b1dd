"""The version is written once; the changelog's newest entry is about it."""

import importlib.metadata
import re

import thalweg

HEADING = re.compile(r"^## \[(?P<version>\d+\.\d+\.\d+)\] - (?P<date>\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def test_the_newest_entry_is_this_version(repository):
    entries = HEADING.findall((repository / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert entries[0][0] == thalweg.__version__


def test_entries_are_newest_first(repository):
    entries = HEADING.findall((repository / "CHANGELOG.md").read_text(encoding="utf-8"))
    numbers = [tuple(map(int, version.split("."))) for version, _ in entries]
    dates = [date for _, date in entries]
    assert numbers == sorted(set(numbers), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_the_installed_version_is_the_written_one():
    assert importlib.metadata.version("thalweg") == thalweg.__version__


def test_every_pin_is_exact(repository):
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin), pin

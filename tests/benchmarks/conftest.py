"""The benchmarks are scripts, no package: their folder goes onto the path for the length of a test."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a benchmark or what it shares by name."""
    monkeypatch.syspath_prepend(str(FOLDER / "laws"))
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    mine = {path.stem for path in FOLDER.rglob("*.py")}
    for name in (set(sys.modules) - before) & mine:
        del sys.modules[name]

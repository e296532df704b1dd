"""Fixtures that every test may ask for."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# Examples are the same in every run, and a slow machine is no failure.
settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def generator() -> torch.Generator:
    """A generator of random numbers with seed 0."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def untouched_rng():
    """Fail the test if it leaves torch's or NumPy's global random state other than it was."""
    before_torch, before_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    yield
    after_numpy = np.random.get_state()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before_torch), "torch's global random state was changed"
    assert before_numpy[2:] == after_numpy[2:], "NumPy's global random state was changed"
    assert np.array_equal(before_numpy[1], after_numpy[1]), "NumPy's global random state was changed"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds pyproject.toml."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets: THALWEG_DATA, or shared/data beside the repository; skips without one."""
    named = os.environ.get("THALWEG_DATA")
    root = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder; name one in THALWEG_DATA")
    return root

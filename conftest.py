"""What holds for the tests and for the examples in docstrings and README alike."""

import os

# Workers that run side by side share the cores; set before torch and NumPy start their threads.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def _names_that_examples_use(doctest_namespace: dict[str, object]) -> None:
    """Examples are written after ``import torch`` and ``import thalweg as tw``."""
    import torch

    import thalweg as tw

    doctest_namespace.update(torch=torch, tw=tw)

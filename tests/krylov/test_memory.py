"""The memory that is said first, and the ways out where it is short."""

import subprocess
import sys
import tempfile

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from thalweg.krylov import _storage

SCRIPT = """
import resource, sys, torch, warnings
import numpy as np
import thalweg as tw

warnings.simplefilter("ignore", tw.errors.ConvergenceWarning)
size = 400_000
diagonal = torch.linspace(-1, 1, size)
op = tw.FunctionOperator(lambda v: diagonal * v, size)
tw.eigenpairs(op, 1, tol=0.5, max_vectors=10)
held = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))
# What NumPy's and PyTorch's linear algebra hold for themselves is held from here on.
torch.linalg.eigh(torch.eye(150, dtype=torch.float64))
np.ones((200, 200)) @ np.ones((200, 200)) @ np.ones(200)
# 130 vectors take 208 MB; allowed are 100.
resource.setrlimit(resource.RLIMIT_DATA, (held + (100 << 20),) * 2)
try:
    pairs = tw.eigenpairs(op, 2, tol=1e-7, max_matvecs=130, basis=sys.argv[1])
    print("done" if pairs.matvecs == 130 else pairs)
except (RuntimeError, MemoryError):
    print("out of memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
@pytest.mark.parametrize(("place", "outcome"), [("device", "out of memory"), ("disk", "done")])
def test_a_basis_on_disk_takes_no_memory(place, outcome):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, place],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome in ran.stdout, ran.stderr


def test_a_file_of_a_basis_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    op, _ = operator(np.linspace(-1, 1, 60).tolist())
    seen = []
    watched = tw.FunctionOperator(lambda v: seen.append(list(tmp_path.iterdir())) or op @ v, 60, dtype=torch.float64)
    tw.eigenpairs(watched, 2, basis="disk")
    assert seen
    assert not any(seen)


def test_a_basis_that_does_not_fit_is_restarted(monkeypatch):
    op, _ = operator([3.0, 2.0, *np.linspace(-1, 1, 400).tolist()])
    monkeypatch.setattr(_storage, "free_bytes", lambda device: 2 * 60 * 402 * 8)
    plan = tw.krylov_memory(op, 2)
    assert plan.restarts
    assert plan.vectors == 60 - 8
    assert plan.basis_bytes == plan.vectors * 402 * 8
    assert tw.eigenpairs(op, 2).values.tolist() == pytest.approx([3, 2], rel=1e-6)
    with pytest.raises(tw.errors.MemoryBudgetError, match=r"300 basis vectors of 402 entries .* enough for 60\."):
        tw.eigenpairs(op, 2, basis="device")
    with pytest.raises(tw.errors.MemoryBudgetError, match="80 basis vectors"):
        tw.krylov_memory(op, 2, max_vectors=80)
    monkeypatch.setattr(_storage, "free_bytes", lambda device: 2 * 10 * 402 * 8)
    with pytest.raises(tw.errors.MemoryBudgetError, match="300 basis vectors"):
        tw.krylov_memory(op, 2)


def test_a_full_disk_is_said_before_it_is_written_to(monkeypatch):
    op, _ = operator(np.linspace(-1, 1, 60).tolist())
    monkeypatch.setattr(_storage.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(tw.errors.MemoryBudgetError, match="half of the free disk"):
        tw.eigenpairs(op, 2, basis="disk")
    assert op.matvecs == 0


def test_what_each_way_takes():
    op = tw.FunctionOperator(lambda v: v, 100_000)
    whole, cut, none = (
        tw.krylov_memory(op, 10, **more) for more in ({}, {"max_vectors": 40}, {"reorthogonalise": "none"})
    )
    assert (whole.vectors, cut.vectors, none.vectors) == (300, 40, 0)
    assert (whole.restarts, cut.restarts, none.restarts) == (False, True, False)
    assert whole.basis_bytes == 300 * 400_000
    assert none.basis_bytes == 0
    assert none.working_bytes < cut.basis_bytes + cut.working_bytes < whole.basis_bytes
    assert str(cut) == "40 basis vectors (0.016 GB, device) and 0.0092 GB beside them"
    assert tw.KrylovMemory.from_dict(cut.to_dict()) == cut
    assert op.matvecs == 0

"""Probes that go in step: recurrences as one by one, in as many products and fewer calls, in the room there is."""

import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import second_difference
from tests.landscape.models import classes, mlp, randn
from thalweg.krylov import _lockstep
from thalweg.krylov._gauss import gauss
from thalweg.krylov._lockstep import groups
from thalweg.progress import Silent


class Watched:
    """The second difference, and the widths of the blocks that it was multiplied with."""

    def __init__(self, size=40):
        self._inner = tw.FunctionOperator(lambda v: second_difference(size) @ v, size, dtype=torch.float64)
        self.space, self.provenance, self.widths = self._inner.space, None, []

    def __matmul__(self, vectors):
        self.widths.append(1 if vectors.ndim == 1 else vectors.shape[1])
        return self._inner @ vectors


def test_recurrences_know_nothing_of_each_other():
    op = Watched()
    starts = op.space.randn(torch.Generator().manual_seed(1), 3)
    together = gauss(op, starts, 12, Silent())
    assert op.widths == [3] * 12
    for index, rule in enumerate(together):
        alone = gauss(op, starts[:, index : index + 1], 12, Silent())[0]
        torch.testing.assert_close(torch.from_numpy(rule.matrix), torch.from_numpy(alone.matrix), rtol=0, atol=1e-13)
    assert op.widths[12:] == [1] * 36


def test_one_that_ends_leaves_the_others():
    """An eigenvector ends after one step, with the eigenvalue as its only node."""
    op = Watched()
    values, vectors = torch.linalg.eigh(second_difference(40))
    starts = torch.stack([vectors[:, 7], op.space.randn(torch.Generator().manual_seed(1))]).mT
    short, long = gauss(op, starts, 5, Silent())
    assert op.widths == [2, 1, 1, 1, 1]
    assert short.ended
    assert short.matrix[0, 0] == pytest.approx(float(values[7]))
    assert len(long.matrix) == 5


def test_time_ends_all_of_them_after_two_steps():
    op = Watched()
    starts = op.space.randn(torch.Generator().manual_seed(1), 3)
    assert [len(rule.matrix) for rule in gauss(op, starts, 12, Silent(), until=0.0)] == [2, 2, 2]


def test_as_many_as_fit(monkeypatch):
    op = tw.FunctionOperator(lambda v: v, 1000, dtype=torch.float64)
    for free, expected in ((1e9, [8, 8, 4]), (2 * 3 * 80_000, [3] * 6 + [2]), (1000, [1] * 20)):
        monkeypatch.setattr(_lockstep, "free_bytes", lambda _, free=free: int(free))
        assert groups(op, 20, 10) == expected
    assert groups(op, 0, 10) == []


def test_little_memory_gives_the_same_answer(monkeypatch):
    """Each probe is a function of the seed alone."""
    op = Watched()
    many = tw.density(op, probes=5, steps=10)
    monkeypatch.setattr(_lockstep, "free_bytes", lambda _: 2 * 2 * 10 * 40 * 8)
    few = tw.density(op, probes=5, steps=10)
    assert op.widths == [5] * 10 + [2] * 20 + [1] * 10
    torch.testing.assert_close(many.nodes, few.nodes, rtol=0, atol=1e-13)
    torch.testing.assert_close(many.weights, few.weights, rtol=0, atol=1e-13)


def test_vectors_that_share_nothing_go_one_by_one(tmp_path):
    """With kept graphs on a processor no block is made, no engine tried, and the bits are the same in every run."""
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(30, 4), classes(30))])
    hessian = tw.hessian(landscape)
    assert not hessian.shares_passes
    assert not tw.shifted(hessian, 1.0).shares_passes
    assert not tw.checkpointed(hessian, tmp_path).shares_passes
    found = tw.spectrum(hessian, top=3, bottom=2, steps=10)
    assert "blocks" not in hessian.engine
    again = tw.spectrum(tw.hessian(landscape), top=3, bottom=2, steps=10)
    assert found.trace.value == again.trace.value
    assert torch.equal(found.density.nodes, again.density.nodes)
    rebuilt = tw.hessian(landscape, keep=False)
    assert rebuilt.shares_passes
    tw.density(rebuilt, probes=3, steps=5)
    assert "blocks" in rebuilt.engine
    assert tw.added(hessian, rebuilt).shares_passes
    assert tw.hessian(landscape, engine="finite-differences").shares_passes

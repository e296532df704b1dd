"""Runs that go on where they were, with the same bits."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator
from tests.landscape.models import classes, mlp, randn
from tests.unchecked import unchecked
from thalweg.krylov import _lockstep, _storage

SPREAD = [30 * 0.8**i for i in range(20)] + np.linspace(-1, 1, 60).tolist()


class Stopping:
    """An operator that is interrupted at its n-th product."""

    def __init__(self, inner, after, error=KeyboardInterrupt):
        self.inner, self.after, self.error = inner, after, error
        self.space, self.provenance = inner.space, inner.provenance

    def __matmul__(self, vectors):
        if self.inner.matvecs >= self.after:
            raise self.error
        return self.inner @ vectors


def same(a, b):
    assert torch.equal(a.values, b.values)
    assert torch.equal(a.vectors, b.vectors)
    assert torch.equal(a.residuals, b.residuals)
    assert a.matvecs == b.matvecs


@pytest.mark.parametrize("after", [1, 7, 15])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, after):
    whole = tw.eigenpairs(operator(SPREAD)[0], 6)
    with pytest.raises(RuntimeError):
        tw.eigenpairs(Stopping(operator(SPREAD)[0], after, RuntimeError), 6, checkpoint=tmp_path / "run")
    assert len(list((tmp_path / "run").iterdir())) == after
    again, _ = operator(SPREAD)
    same(tw.eigenpairs(again, 6, checkpoint=tmp_path / "run"), whole)
    # One product is made to compare.
    assert again.matvecs == whole.matvecs - after + 1


def test_every_part_of_a_spectrum_goes_on(tmp_path):
    whole = tw.spectrum(operator(SPREAD)[0], top=5, bottom=2, steps=8, rtol=0.01)
    total = whole.cost.matvecs
    for after in (5, total // 3, 2 * total // 3):
        folder = tmp_path / str(after)
        with pytest.raises(RuntimeError):
            tw.spectrum(
                Stopping(operator(SPREAD)[0], after, RuntimeError),
                top=5,
                bottom=2,
                steps=8,
                rtol=0.01,
                checkpoint=folder,
            )
        found = tw.spectrum(operator(SPREAD)[0], top=5, bottom=2, steps=8, rtol=0.01, checkpoint=folder)
        same(found.top, whole.top)
        assert found.trace.value == whole.trace.value
        assert found.entropy_rank == whole.entropy_rank
        assert torch.equal(found.density.density, whole.density.density)


def test_a_script_is_started_again(tmp_path):
    """Any functions after each other, of the same operator."""

    def script(op):
        kept = tw.checkpointed(op, tmp_path)
        return tw.eigenpairs(kept, 3), tw.trace(kept, probes=5), tw.density(kept, probes=2, steps=6)

    first_op, second_op = operator(SPREAD)[0], operator(SPREAD)[0]
    first, second = script(first_op), script(second_op)
    same(first[0], second[0])
    assert first[1].value == second[1].value
    assert torch.equal(first[2].nodes, second[2].nodes)
    assert second_op.matvecs == 1


def test_a_network_takes_the_engines_that_were_chosen(tmp_path):
    def hessian():
        landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(30, 4), classes(30))])
        return tw.hessian(landscape, keep=False)

    first = hessian()
    kept = tw.checkpointed(first, tmp_path)
    block = first.space.randn(count=5)
    single, several = kept @ block[:, 0], kept @ block
    assert "trial" in first.engine
    again = hessian()
    resumed = tw.checkpointed(again, tmp_path)
    assert again.engine == first.engine
    assert again.memory_plan() == first.memory_plan()
    assert torch.equal(resumed @ block[:, 0], single)
    assert torch.equal(resumed @ block, several)
    assert again.matvecs == 1
    assert resumed.matvecs == 1
    assert resumed.shape == again.shape


def test_parts_of_a_composite_settle_too(tmp_path):
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(30, 4), classes(30))])
    whole = tw.shifted(tw.hessian(landscape), 2.0)
    vector = whole.space.randn()
    _ = tw.checkpointed(whole, tmp_path) @ vector
    inner = tw.hessian(landscape)
    _ = tw.checkpointed(tw.shifted(inner, 2.0), tmp_path)
    assert inner.engine == whole.parts[0].engine != "auto"


def test_more_pairs_of_the_same_run_use_its_products(tmp_path):
    tw.eigenpairs(operator(SPREAD)[0], 3, checkpoint=tmp_path)
    more, plain = operator(SPREAD)[0], operator(SPREAD)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tw.errors.CheckpointWarning)
        found = tw.eigenpairs(more, 8, checkpoint=tmp_path)
    same(found, tw.eigenpairs(plain, 8))
    assert more.matvecs < plain.matvecs / 1.5


def test_other_vectors_on_the_way_are_said_and_multiplied(tmp_path):
    vectors = operator(SPREAD)[0].space.randn(count=4)
    kept = tw.checkpointed(operator(SPREAD)[0], tmp_path)
    for column in (0, 1, 2):
        _ = kept @ vectors[:, column]
    op, matrix = operator(SPREAD)
    resumed = tw.checkpointed(op, tmp_path)
    _ = resumed @ vectors[:, 0]
    with pytest.warns(tw.errors.CheckpointWarning, match="products 2 to 3 in .* are of other vectors"):
        found = resumed @ vectors[:, 3]
    assert torch.allclose(found, matrix @ vectors[:, 3])
    assert len(list(tmp_path.iterdir())) == 2


def test_foreign_checkpoints_are_refused(tmp_path):
    vector = operator(SPREAD)[0].space.randn()
    _ = tw.checkpointed(operator(SPREAD)[0], tmp_path) @ vector
    other = tw.checkpointed(operator([value + 1 for value in SPREAD])[0], tmp_path)
    with pytest.raises(tw.errors.CheckpointError, match=r"differ by .* of another matrix"):
        _ = other @ vector
    another_seed = operator(SPREAD)[0].space.randn(torch.Generator().manual_seed(9))
    with pytest.raises(tw.errors.CheckpointError, match="begin with another vector"):
        _ = tw.checkpointed(operator(SPREAD)[0], tmp_path) @ another_seed
    with pytest.raises(tw.errors.CheckpointError, match=r"with size 79, but those in .* have 80"):
        tw.checkpointed(operator(SPREAD[1:])[0], tmp_path)
    single = tw.FunctionOperator(lambda v: v, 80, dtype=torch.float32)
    with pytest.raises(tw.errors.CheckpointError, match=r"with dtype float32, but those in .* have float64"):
        tw.checkpointed(single, tmp_path)


def test_products_that_repeat_to_rounding_are_taken_with_a_word(tmp_path):
    vector = operator(SPREAD)[0].space.randn()
    first = tw.checkpointed(operator(SPREAD)[0], tmp_path) @ vector
    rounded = tw.checkpointed(operator([value * (1 + 1e-12) for value in SPREAD])[0], tmp_path)
    with pytest.warns(tw.errors.CheckpointWarning, match="which is rounding: a kernel does not repeat"):
        assert torch.equal(rounded @ vector, first)


def test_damaged_checkpoints_are_refused(tmp_path):
    vectors = operator(SPREAD)[0].space.randn(count=3)

    def made(folder):
        kept = tw.checkpointed(operator(SPREAD)[0], folder)
        for vector in vectors.mT:
            _ = kept @ vector
        return sorted(folder.iterdir())

    def read(folder):
        kept = tw.checkpointed(operator(SPREAD)[0], folder)
        for vector in vectors.mT:
            _ = kept @ vector

    for name, spoil in {
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
        "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
        "foreign": lambda path: path.write_bytes(b"something else"),
    }.items():
        for which in (1, 2):
            folder = tmp_path / f"{name}{which}"
            spoil(made(folder)[which])
            with pytest.raises(tw.errors.CheckpointError, match=rf"damaged. Remove it .* product {which + 1}"):
                read(folder)
    made(tmp_path / "gap")[1].unlink()
    with pytest.raises(tw.errors.CheckpointError, match=r"product-000002.safetensors is missing, but later ones are"):
        read(tmp_path / "gap")
    half = tmp_path / "half"
    made(half)[2].rename(half / "product-000003.part")
    read(half)


def test_a_block_of_one_column_out_of_several_is_kept(tmp_path):
    """Of a single row any stride counts as contiguous, also one whose bytes are not side by side."""
    op = operator(SPREAD)[0]
    columns = op.space.randn(count=3).contiguous()
    for start in range(3):
        again = tw.checkpointed(op, tmp_path / str(start)) @ columns[:, start : start + 1]
        assert torch.equal(again, op @ columns[:, start : start + 1])
        assert torch.equal(tw.checkpointed(op, tmp_path / str(start)) @ columns[:, start : start + 1], again)


def test_bad_folders_are_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(tw.errors.ArgumentError, match=r"expected a folder, but .* is a file"):
        tw.eigenpairs(operator(SPREAD)[0], 3, checkpoint=file)
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match="checkpoint: expected the path of a folder, got 3"):
        tw.eigenpairs(operator(SPREAD)[0], 3, checkpoint=3)
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match="operator: expected an operator"):
        tw.checkpointed("x", tmp_path)


KILLED = """
import os, sys, torch, thalweg as tw
torch.set_num_threads(1)
entries = torch.linspace(-1, 1, 300, dtype=torch.float64) ** 5
made = 0
def product(v):
    global made
    made += 1
    if made > int(sys.argv[2]):
        os._exit(9)
    return entries * v
op = tw.FunctionOperator(product, 300, dtype=torch.float64)
found = tw.eigenpairs(op, 4, checkpoint=sys.argv[1])
print(made, found.values.numpy().tobytes().hex(), found.vectors.contiguous().numpy().sum().tobytes().hex())
"""


def test_a_killed_process_is_resumed_by_another(tmp_path):
    def run(folder, most):
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), str(most)], capture_output=True, text=True, check=False
        )

    killed = run(tmp_path / "killed", 12)
    assert killed.returncode == 9
    resumed, whole = run(tmp_path / "killed", 10**6), run(tmp_path / "whole", 10**6)
    assert resumed.returncode == 0, resumed.stderr
    made, *bits = resumed.stdout.split()
    all_made, *expected = whole.stdout.split()
    assert bits == expected
    assert int(made) == int(all_made) - 12 + 1


def test_an_interruption_keeps_what_has_converged(tmp_path):
    op, matrix = operator(SPREAD)
    with pytest.raises(tw.errors.Interrupted, match=r"converged in 12 products, .* goes on from the products in") as e:
        tw.eigenpairs(Stopping(op, 12), 6, checkpoint=tmp_path)
    found = e.value.result
    assert isinstance(e.value, KeyboardInterrupt)
    assert not found.complete
    assert found.history.products[-1] <= 12
    misses = (matrix @ found.vectors - found.vectors * found.values).norm(dim=0)
    assert (misses <= found.residuals + 1e-12).all()
    assert found.converged.any()
    assert not found.converged.all()
    with pytest.raises(KeyboardInterrupt) as early:
        tw.eigenpairs(Stopping(operator(SPREAD)[0], 2), 6)
    assert type(early.value) is KeyboardInterrupt


@pytest.mark.parametrize("after", [20, 90])
def test_an_interrupted_spectrum_keeps_its_ends(after):
    op, matrix = operator(SPREAD)
    with pytest.raises(tw.errors.Interrupted, match=r"`result`, the upper end first\.") as e:
        tw.spectrum(Stopping(op, after), top=4, bottom=2)
    for pairs in e.value.result:
        misses = (matrix @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0)
        assert (misses <= pairs.residuals + 1e-12).all()


@pytest.mark.parametrize("question", ["pairs", "spectrum"])
def test_what_free_memory_has_decided_is_not_decided_anew(tmp_path, monkeypatch, question):
    """How often a basis is restarted, and how many probes go in step: each has its own rounding and its own bits."""

    def ask(op, **options):
        if question == "pairs":
            return tw.eigenpairs(op, 6, tol=1e-10, **options)
        return tw.spectrum(op, top=4, bottom=2, steps=8, rtol=None, tol=1e-10, **options).top

    def free(bytes_free):
        for room in (_storage, _lockstep):
            monkeypatch.setattr(room, "free_bytes", lambda device: bytes_free)

    # Of 80 numbers: 28 vectors, which is no room for a whole run, and for three of eight probes.
    little, much = 2 * 28 * 80 * 8, 10**9
    free(little)
    whole_op = operator(SPREAD)[0]
    whole = ask(whole_op)
    after = whole_op.matvecs - 20
    with pytest.raises(RuntimeError):
        ask(Stopping(operator(SPREAD)[0], after, RuntimeError), checkpoint=tmp_path)
    free(much)
    again = operator(SPREAD)[0]
    same(ask(again, checkpoint=tmp_path), whole)
    assert again.matvecs <= 20 + 8 + 1
    richer = operator(SPREAD)[0]
    assert not torch.equal(ask(richer).vectors, whole.vectors)

"""Random subspaces: adjoint, reproducible, of unit columns, and each what its name says."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.measures import Projection, _projection, random_projection
from thalweg.measures._walsh_hadamard import WalshHadamard
from thalweg.vectors import VectorSpace

KINDS = ["dense", "sparse", "fastfood"]
CPU = torch.device("cpu")


def space(size: int, dtype: torch.dtype = torch.float64) -> VectorSpace:
    return VectorSpace(size, dtype, CPU)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(projection: Projection) -> torch.Tensor:
    """Column by column."""
    return torch.stack([projection.forward(e) for e in torch.eye(projection.dimension, dtype=torch.float64)], dim=1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 300), st.data(), st.integers(0, 2**31))
def test_the_adjoint_is_exact_and_the_maps_are_linear(kind, size, data, seed):
    dimension = data.draw(st.integers(1, size))
    source = seeded(seed)
    projection = random_projection(space(size), dimension, kind, source)
    assert (projection.size, projection.dimension) == (size, dimension)
    assert isinstance(projection, Projection)
    z, y = torch.randn(2, dimension, dtype=torch.float64, generator=source)
    g = torch.randn(size, dtype=torch.float64, generator=source)
    image, back = projection.forward(z), projection.adjoint(g)
    assert image.shape == (size,)
    assert back.shape == (dimension,)
    bound = 1e-13 * float(z.norm() * g.norm()) * max(1.0, float(torch.linalg.matrix_norm(matrix(projection), 2)))
    assert abs(float(image @ g - z @ back)) <= bound
    both = projection.forward(2 * z - y)
    torch.testing.assert_close(both, 2 * image - projection.forward(y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_bits(kind):
    def drawn(seed: int | None):
        return matrix(random_projection(space(77), 9, kind, None if seed is None else seeded(seed)))

    before = torch.get_rng_state()
    assert torch.equal(drawn(None), drawn(0))
    assert not torch.equal(drawn(1), drawn(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("size", "dimension"), [(1, 1), (64, 4), (33, 1), (4096, 17), (512, 512)])
def test_columns_are_orthonormal(size, dimension):
    """For all that is dense, and for Fastfood where its blocks end with the vector."""
    eye = torch.eye(dimension, dtype=torch.float64)
    for kind in ("dense", "fastfood"):
        columns = matrix(random_projection(space(size), dimension, kind))
        torch.testing.assert_close(columns.mT @ columns, eye, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("size", "dimension"), [(1000, 10), (1000, 300), (300, 200), (300, 5)])
def test_cut_blocks_keep_lengths_up_to_what_is_cut_off(size, dimension):
    """The deviation is that of the entries beyond P: their share of a random unit column."""
    rows = 2 ** math.ceil(math.log2(dimension))
    full = rows * math.ceil(size / rows)
    squares = torch.stack(
        [matrix(random_projection(space(size), dimension, "fastfood", seeded(s))).square().sum(dim=0) for s in range(8)]
    )
    # The mean over all n columns is exactly 1; a column's square misses (full − P) of `full` nearly Gaussian entries.
    spread = math.sqrt(2 * (full - size)) / size
    assert float((squares - 1).abs().max()) < 6 * spread
    assert abs(float(squares.mean()) - 1) < 5 * spread / math.sqrt(squares.numel())


def test_sparse_columns():
    """Unit norm, ±s alike, √P entries in the mean, and inner products of variance 1/P."""
    size, dimension = 900, 200
    columns = matrix(random_projection(space(size), dimension, "sparse", seeded(3)))
    torch.testing.assert_close(columns.norm(dim=0), torch.ones(dimension, dtype=torch.float64), rtol=0, atol=1e-14)
    present = columns != 0
    counts = present.sum(dim=0).double()
    torch.testing.assert_close(columns.abs().max(dim=0).values, counts.rsqrt(), rtol=1e-14, atol=0)
    share = 1 / math.sqrt(size)
    low, high = stats.binom.interval(0.9999, size * dimension, share)
    assert low <= int(counts.sum()) <= high
    # Every row and both signs are as likely as any other.
    assert stats.chisquare(present.sum(dim=1).numpy()).pvalue > 1e-4
    assert stats.binomtest(int((columns > 0).sum()), int(counts.sum())).pvalue > 1e-4
    gram = columns.mT @ columns
    off = gram[~torch.eye(dimension, dtype=torch.bool)]
    assert float(off.square().mean()) * size == pytest.approx(1, abs=0.1)
    assert abs(float(off.mean())) < 5 / math.sqrt(size * off.numel() / 2)


def test_a_sparse_column_is_never_empty():
    for seed in range(20):
        columns = matrix(random_projection(space(3), 3, "sparse", seeded(seed)))
        assert bool((columns.norm(dim=0) - 1).abs().max() < 1e-14)


def test_dense_subspaces_are_uniform_and_nested():
    """A row of a uniform frame has mean square d/P; the span of fewer columns lies in that of more."""
    size, dimension = 12, 4
    frames = torch.stack([matrix(random_projection(space(size), dimension, "dense", seeded(s))) for s in range(500)])
    squares = frames.square().sum(dim=2)
    # Beta(d/2, (P − d)/2) by row.
    for row in range(size):
        law = stats.beta(dimension / 2, (size - dimension) / 2)
        assert stats.kstest(squares[:, row].numpy(), law.cdf).pvalue > 1e-4
    # The sign of an entry of a QR factor alone would be fixed.
    assert abs(float(frames[:, 0, 0].sign().mean())) < 5 / math.sqrt(500)
    small, large = (matrix(random_projection(space(size), d, "dense", seeded(1))) for d in (3, 7))
    torch.testing.assert_close(large @ (large.mT @ small), small)


def test_fastfood_entries_look_gaussian():
    """An image of a fixed vector, over seeds: entries of variance 1/P, uncorrelated, nearly normal."""
    size, dimension, seeds = 96, 6, 400
    z = torch.ones(dimension, dtype=torch.float64) / math.sqrt(dimension)
    images = torch.stack(
        [random_projection(space(size), dimension, "fastfood", seeded(s)).forward(z) for s in range(seeds)]
    )
    scaled = images * math.sqrt(size)
    assert float(scaled.square().mean()) == pytest.approx(1, abs=1e-12)
    covariance = scaled.mT @ scaled / seeds
    off = covariance[~torch.eye(size, dtype=torch.bool)]
    assert float(off.square().mean()) * seeds == pytest.approx(1, abs=0.15)
    assert stats.kurtosis(scaled.reshape(-1).numpy()) == pytest.approx(0, abs=0.6)


def test_fastfood_is_its_formula():
    r"""The dense twin: blocks :math:`H G_i Π H B` stacked, by SciPy's Hadamard matrix."""
    size, dimension = 100, 11
    projection = random_projection(space(size), dimension, "fastfood", seeded(5))
    rows = 16
    hadamard = torch.tensor(linalg.hadamard(rows), dtype=torch.float64)
    signs = torch.zeros(rows, dtype=torch.float64)
    signs[:dimension] = projection._signs
    mixed = (hadamard @ torch.diag(signs))[projection._order]
    diagonals = projection._diagonals.reshape(rows, -1)
    blocks = torch.stack([hadamard @ torch.diag(g) @ mixed for g in diagonals.mT], dim=1)
    torch.testing.assert_close(matrix(projection), blocks.reshape(-1, rows)[:size, :dimension], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bits", range(11))
@pytest.mark.parametrize("columns", [1, 3, 20])
def test_the_fast_transform_is_the_hadamard_matrix(bits, columns):
    rows = 2**bits
    block = torch.randn(rows, columns, dtype=torch.float64, generator=seeded(0))
    expected = torch.tensor(linalg.hadamard(rows), dtype=torch.float64) @ block
    found = WalshHadamard(rows, columns, torch.float64, CPU)(block)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision(kind):
    projection = random_projection(space(500, torch.float32), 20, kind)
    z, g = torch.randn(20, generator=seeded(0)), torch.randn(500, generator=seeded(1))
    assert projection.forward(z).dtype == projection.adjoint(g).dtype == torch.float32
    assert float(projection.forward(z) @ g) == pytest.approx(float(z @ projection.adjoint(g)), rel=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(
            projection.forward(z), random_projection(space(500, torch.float32), 20, kind).forward(z)
        )


@pytest.mark.parametrize(
    ("kind", "size", "dimension", "message"),
    [
        ("dense", 10**9, 10**5, r"projection: a dense one from 100,000 to 1,000,000,000 .* Take projection 'fastfood'"),
        ("sparse", 10**12, 10**7, r"projection: a sparse one .* Take projection 'fastfood'"),
        ("fastfood", 10**13, 10, r"projection: a fastfood one .* Select fewer parameters"),
    ],
)
def test_what_does_not_fit_is_refused(kind, size, dimension, message):
    with pytest.raises(MemoryBudgetError, match=message):
        random_projection(space(size), dimension, kind)


def test_the_limit_is_what_is_free(monkeypatch):
    monkeypatch.setattr(_projection, "free_bytes", lambda device: 3 * 8 * 100 * 5)
    random_projection(space(100), 5, "dense")
    with pytest.raises(MemoryBudgetError):
        random_projection(space(100), 6, "dense")


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        (0, r"dimension: expected from 1 to the 10 parameters, got 0"),
        (11, r"dimension: expected from 1 to the 10 parameters, got 11"),
        (2.5, r"dimension: expected a whole number, got 2\.5"),
        (True, r"dimension: expected a whole number, got True"),
    ],
)
def test_dimensions_that_are_none(dimension, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        random_projection(space(10), dimension)


def test_other_bad_input_is_named():
    with unchecked():
        with pytest.raises(ArgumentError, match=r"kind: expected 'dense', 'sparse' or 'fastfood', got 'gaussian'"):
            random_projection(space(10), 2, "gaussian")
        with pytest.raises(ArgumentError, match=r"where: expected a Landscape or a VectorSpace, got int"):
            random_projection(10, 2)
        with pytest.raises(ArgumentError, match=r"generator: expected a torch\.Generator or None"):
            random_projection(space(10), 2, "fastfood", 3)

"""Random vectors against their laws, inner products against numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.vectors import VectorSpace, draw_seeds

CPU = torch.device("cpu")


def space(size: int, dtype: torch.dtype = torch.float64) -> VectorSpace:
    return VectorSpace(size, dtype, CPU)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LAWS = ["randn", "rademacher"]


@pytest.mark.parametrize("law", LAWS)
@given(n=st.integers(1, 60), more=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_an_entry_depends_on_the_seed_and_its_index_alone(law, n, more, seed):
    short = getattr(space(n), law)(seeded(seed), 2)
    long = getattr(space(n + more), law)(seeded(seed), 2)
    assert torch.equal(short, long[:n])


@pytest.mark.parametrize("law", LAWS)
def test_precision_only_rounds(law):
    wide, narrow = getattr(space(100), law)(seeded(4)), getattr(space(100, torch.float32), law)(seeded(4))
    assert torch.equal(wide.to(torch.float32), narrow)


@pytest.mark.parametrize("law", LAWS)
def test_no_generator_is_a_fresh_one_of_seed_zero(law, untouched_rng):
    draw = getattr(space(9), law)
    assert torch.equal(draw(), draw(seeded(0)))
    assert torch.equal(draw(), draw())
    assert not torch.equal(draw(), draw(seeded(1)))


@pytest.mark.parametrize("law", LAWS)
def test_a_generator_moves_on(law):
    source = seeded(5)
    draw = getattr(space(50), law)
    assert not torch.equal(draw(source), draw(source))


@pytest.mark.parametrize("law", LAWS)
def test_shapes_and_storage(law):
    draw = getattr(space(7), law)
    assert draw(seeded()).shape == (7,)
    block = draw(seeded(), 3)
    assert block.shape == (7, 3)
    assert block.mT.is_contiguous()
    assert draw(seeded(), 1).shape == (7, 1)
    # Columns are drawn one after the other from the same generator.
    source = seeded()
    assert torch.equal(block, torch.stack([draw(source) for _ in range(3)], dim=1))


def test_normal_entries_are_normal():
    sample = space(200_000).randn(seeded(11)).numpy()
    assert stats.kstest(sample, "norm").pvalue > 1e-3
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0), (6, 15.0)):
        spread = math.sqrt(stats.norm.moment(2 * power) - moment**2)
        assert abs((sample**power).mean() - moment) < 4 * spread / math.sqrt(len(sample))


def test_signs_are_signs_and_fair():
    sample = space(200_000).rademacher(seeded(11))
    assert set(sample.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(sample.mean())) < 4 / math.sqrt(len(sample))
    # No correlation at small lags: consecutive indices are mixed.
    for lag in (1, 2, 3, 8, 64):
        assert abs(float((sample[lag:] * sample[:-lag]).mean())) < 4 / math.sqrt(len(sample))


@pytest.mark.parametrize("law", LAWS)
def test_columns_are_independent(law):
    block = getattr(space(40_000), law)(seeded(2), 6)
    correlations = (block.mT @ block / len(block)).fill_diagonal_(0)
    assert float(correlations.abs().max()) < 4.5 / math.sqrt(len(block))
    # Squares too: independence is more than no correlation.
    if law == "randn":
        squares = block.square() - 1
        dependence = (squares.mT @ squares / (2 * len(block))).fill_diagonal_(0)
        assert float(dependence.abs().max()) < 4.5 / math.sqrt(len(block))


def test_normal_and_sign_draws_of_one_generator_differ_in_sign_too():
    size = 40_000
    normal, signs = space(size).randn(seeded(3)), space(size).rademacher(seeded(3))
    assert abs(float((normal.sign() * signs).mean())) < 4.5 / math.sqrt(size)


def test_bits_stay_what_they_are():
    """SplitMix64 of seed 0 begins with these outputs (Vigna's reference implementation)."""
    from thalweg.vectors import _mixed

    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [bits & (2**64 - 1) for bits in _mixed(0, torch.arange(3)).tolist()] == expected


def test_seeds_are_non_negative_and_distinct():
    seeds = draw_seeds(seeded(1), 1000)
    assert min(seeds) >= 0
    assert len(set(seeds)) == 1000


@given(st.integers(1, 20), st.integers(1, 5), st.integers(0, 1000))
def test_inner_products_are_those_of_numpy(size, count, seed):
    here = space(size)
    block, other = here.randn(seeded(seed), count), here.randn(seeded(seed + 1), 2)
    v, w = block[:, 0], other[:, 1]
    matrix, second = block.numpy(), other.numpy()
    np.testing.assert_allclose(here.dot(v, w), matrix[:, 0] @ second[:, 1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(here.norm(v), np.linalg.norm(matrix[:, 0]), rtol=1e-13)
    np.testing.assert_allclose(here.dots(block, w), matrix.T @ second[:, 1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(here.gram(block), matrix.T @ matrix, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(here.gram(block, other), matrix.T @ second, rtol=1e-12, atol=1e-14)


def test_zeros_are_stored_by_vector():
    zeros = space(4, torch.float32).zeros(3)
    assert zeros.shape == (4, 3)
    assert zeros.dtype == torch.float32
    assert zeros.mT.is_contiguous()
    assert not zeros.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: space(0), r"size: expected at least 1, got 0\."),
        (lambda: space(3, torch.int64), r"dtype: expected a floating-point type, got torch\.int64\."),
        (lambda: space(3).randn(count=0), r"count: expected at least 1, got 0\."),
        (lambda: space(3).rademacher(count=-2), r"count: expected at least 1, got -2\."),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_the_callers_autocast_does_not_round():
    space = VectorSpace(300, torch.float32, torch.device("cpu"))
    v, block = space.randn(), space.randn(count=3)
    expected = space.dots(block, v), space.gram(block)
    with torch.autocast("cpu", torch.bfloat16):
        found = space.dots(block, v), space.gram(block)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("size", [2.5, True, "3"])
def test_sizes_are_whole_numbers(size):
    with unchecked(), pytest.raises(ArgumentError, match="size: expected a whole number, got"):
        VectorSpace(size, torch.float32, torch.device("cpu"))


@given(st.integers(1, 40), st.integers(1, 5))
def test_what_is_left_without_a_basis(size, count):
    here = space(size)
    basis, _ = torch.linalg.qr(here.randn(count=min(count, size)))
    block = here.randn(torch.Generator().manual_seed(1), 3)
    found = here.without(basis, block)
    torch.testing.assert_close(found, block - basis @ (basis.mT @ block), rtol=0, atol=1e-13)
    assert found.mT.is_contiguous()


@pytest.mark.parametrize("size", [3, 2047, 4096, 100_003, 2_000_003])
def test_long_sums_in_single_precision(size):
    space = VectorSpace(size, torch.float32, torch.device("cpu"))
    v, w = space.randn(count=2).mT
    w = v + 0.1 * w
    assert space.norm(v) == pytest.approx(float(v.double().norm()), rel=5e-7)
    assert space.dot(v, w) == pytest.approx(float(v.double() @ w.double()), rel=5e-6)
    # One large entry in front, beside which the others are small.
    v[0] = 1000
    assert space.norm(v) == pytest.approx(float(v.double().norm()), rel=5e-7)
    strided = torch.stack([v, w], dim=1)[:, 0]
    assert space.norm(strided) == pytest.approx(float(v.double().norm()), rel=2e-6)
    assert space.dot(strided, w) == pytest.approx(float(v.double() @ w.double()), rel=5e-6)

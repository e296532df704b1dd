"""Gradient energy in a few directions, and its law for a random direction."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.exact_pairs import diagonal, exact_pairs
from tests.golden import g1, g2
from tests.unchecked import unchecked
from thalweg import hessian
from thalweg.errors import ArgumentError
from thalweg.measures import anisotropy


@pytest.mark.parametrize(
    ("network", "shares"),
    [
        (g1, [0.053219722662857, 0.328863119051945, 0.335259318827456, 0.753207637226831, 0.757632573018494]),
        (g2, [0.0248246549794571, 0.104754847698440, 0.761590595207952]),
    ],
)
def test_golden_networks(network, shares):
    landscape = network()
    found = anisotropy(landscape.gradient(), exact_pairs(hessian(landscape).dense(), len(shares)))
    assert found.shares.tolist() == pytest.approx(shares, rel=1e-8)


def test_by_hand():
    g = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    found = anisotropy(g, exact_pairs(diagonal(5, 2, 1), 3))
    assert found.shares.tolist() == pytest.approx([0.36, 1, 1])
    assert found.null_mean.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    # √(2k(P−k) / (P²(P+2))) = √(4/45) twice, then 0.
    assert found.null_sd.tolist() == pytest.approx([math.sqrt(4 / 45)] * 2 + [0])
    # One coordinate of a point of the sphere in three dimensions is uniform: P(z² ≥ s) = 1 − √s.
    assert found.p_values.tolist() == pytest.approx([0.4, 0, 1], abs=1e-12)
    assert str(found) == "LAS_3 = 1 (a random direction: 1 ± 0)"


def test_the_null_law_of_a_random_direction():
    """O63, k = 10 of P = 1000: variance 1.97604790e−5; and 200 draws agree with mean, spread and uniform p-values."""
    size, k = 1000, 10
    basis = torch.eye(size, dtype=torch.float64)[:, :k]
    source = torch.Generator().manual_seed(1)
    draws = [anisotropy(torch.randn(size, dtype=torch.float64, generator=source), basis) for _ in range(200)]
    assert float(draws[0].null_sd[-1]) ** 2 == pytest.approx(1.97604790e-5, rel=1e-8)
    shares = np.array([float(draw.shares[-1]) for draw in draws])
    mean, deviation = float(draws[0].null_mean[-1]), float(draws[0].null_sd[-1])
    assert abs(shares.mean() - mean) < 4 * deviation / math.sqrt(200)
    assert shares.std() == pytest.approx(deviation, rel=0.2)
    p_values = np.array([float(draw.p_values[-1]) for draw in draws])
    assert abs(p_values.mean() - 0.5) < 4 / math.sqrt(12 * 200)


def test_a_critical_point_has_no_shares():
    found = anisotropy(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[:, :2])
    assert found.shares is None
    assert found.p_values is None
    assert found.null_mean.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert str(found) == "LAS undefined: the gradient vanishes"


@pytest.mark.parametrize("length", [1e-200, 1.0, 1e200])
def test_the_length_of_the_gradient_does_not_matter(length):
    found = anisotropy(length * torch.tensor([3.0, 4.0], dtype=torch.float64), torch.eye(2, dtype=torch.float64)[:, :1])
    assert found.shares.tolist() == pytest.approx([0.36])


@given(st.integers(2, 12), st.data())
def test_shares_grow_to_one_and_depend_on_the_subspace_alone(size, data):
    k = data.draw(st.integers(1, size))
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    basis = torch.linalg.qr(torch.randn(size, k, dtype=torch.float64, generator=source)).Q
    turn = torch.linalg.qr(torch.randn(k, k, dtype=torch.float64, generator=source)).Q
    g = torch.randn(size, dtype=torch.float64, generator=source)
    found = anisotropy(g, basis)
    assert bool((found.shares.diff() >= 0).all())
    assert float(found.shares[0]) >= -1e-12
    assert float(found.shares[-1]) <= 1 + 1e-12
    assert float(anisotropy(g, basis @ turn).shares[-1]) == pytest.approx(float(found.shares[-1]), abs=1e-12)
    if k == size:
        assert float(found.shares[-1]) == pytest.approx(1, abs=1e-12)


def test_single_precision():
    basis = torch.linalg.qr(torch.randn(500, 5, generator=torch.Generator().manual_seed(0))).Q
    found = anisotropy(basis[:, 1], basis)
    assert found.shares.tolist() == pytest.approx([0, 1, 1, 1, 1], abs=1e-6)


EYE = torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("gradient", "basis", "message"),
    [
        (
            torch.ones(3, dtype=torch.float64),
            exact_pairs(diagonal(3, 2, 1), 2).without_vectors(),
            "basis: .* got some without",
        ),
        (torch.ones(4, dtype=torch.float64), EYE, r"basis: expected shape \(P, k\) with P = 4, .*, got \(3, 3\)"),
        (torch.ones(3, dtype=torch.float64), EYE[:, :0], r"basis: expected shape .*, got \(3, 0\)"),
        (torch.ones(3, dtype=torch.float64), 2 * EYE, r"orthonormal columns, got \|VᵀV − I\| up to 3\.00e\+00.*qr"),
        (torch.ones(3, dtype=torch.float64), EYE[:, [0, 0]], r"orthonormal columns, got \|VᵀV − I\| up to 1\.00e\+00"),
        (torch.full((3,), math.nan, dtype=torch.float64), EYE, r"gradient: expected finite entries"),
        (torch.ones(3, dtype=torch.float64), EYE * math.inf, r"basis: expected finite entries"),
    ],
)
def test_bad_input_is_named(gradient, basis, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        anisotropy(gradient, basis)

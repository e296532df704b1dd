"""Lengths and energies against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.landscape.models import randn
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.paths import Curve, curve_energy, curve_length, straight
from thalweg.paths._arc import distances

PARABOLA = Curve(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64))


def test_the_parabola_in_closed_form():
    """(2t, 2t(1 − t)): energy 16/3, length √2 + asinh 1."""
    assert curve_energy(PARABOLA) == pytest.approx(16 / 3, rel=1e-15)
    assert curve_length(PARABOLA) == pytest.approx(2.29558714939264, rel=1e-14)
    assert curve_length(PARABOLA) == pytest.approx(math.sqrt(2) + math.asinh(1), rel=1e-14)
    assert curve_length(PARABOLA, 0.0, 0.5) == pytest.approx(curve_length(PARABOLA) / 2, rel=1e-13)
    # From 0 to t: the antiderivative of 2√(1 + u²) with u = 1 − 2t, halved.
    u = 0.4
    expected = (math.sqrt(2) + math.asinh(1) - u * math.sqrt(1 + u * u) - math.asinh(u)) / 2
    assert curve_length(PARABOLA, 0.0, 0.3) == pytest.approx(expected, rel=1e-12)


def test_a_chain_is_the_sum_of_its_segments():
    chain = Curve(PARABOLA.nodes, "chain")
    assert curve_length(chain) == pytest.approx(2 * math.sqrt(2))
    assert curve_length(chain, 0.25, 0.75) == pytest.approx(math.sqrt(2))
    assert curve_energy(chain) == pytest.approx(8)
    assert distances(chain, [0.0, 0.25, 0.5, 1.0]) == pytest.approx([0, math.sqrt(0.5), math.sqrt(2), math.sqrt(8)])


@given(seed=st.integers(0, 10**6), nodes=st.integers(2, 6), kind=st.sampled_from(["bezier", "chain"]))
def test_length_is_at_least_the_distance_and_at_most_the_root_of_the_energy(seed, nodes, kind):
    curve = Curve(randn(nodes, 3, seed=seed), kind)
    length = curve_length(curve)
    direct = float((curve.nodes[-1] - curve.nodes[0]).norm())
    around = float((curve.nodes[1:] - curve.nodes[:-1]).norm(dim=1).sum())
    assert direct - 1e-9 <= length <= around + 1e-9
    assert length**2 <= curve_energy(curve) + 1e-9
    parts = [curve_length(curve, a, b) for a, b in ((0.0, 0.3), (0.3, 0.8), (0.8, 1.0))]
    assert sum(parts) == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize("bends", [0, 1, 3])
def test_a_straight_line_runs_at_constant_speed(bends):
    line = straight(torch.zeros(2).double(), torch.tensor([3.0, 4.0]).double(), bends=bends)
    assert curve_length(line) == pytest.approx(5, rel=1e-13)
    assert curve_energy(line) == pytest.approx(25, rel=1e-13)
    assert curve_length(line, 0.2, 0.5) == pytest.approx(1.5, rel=1e-13)


def test_bad_positions_and_ends_are_named():
    with pytest.raises(ArgumentError, match="first, last: expected positions 0 ≤ first ≤ last ≤ 1"):
        curve_length(PARABOLA, 0.5, 0.2)
    with unchecked(), pytest.raises(ArgumentError, match=r"end: expected the shape of start, \(2,\), got \(3,\)"):
        straight(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ArgumentError, match=r"end: expected torch.float32 on cpu as start, got torch.float64"):
        straight(torch.zeros(2), torch.zeros(2).double())

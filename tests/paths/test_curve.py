"""Curves by nodes, against closed forms."""

import pytest
import torch

from thalweg.errors import ArgumentError
from thalweg.paths._curve import Curve


def test_parabola_by_three_nodes():
    curve = Curve(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64))
    for t in (0.0, 0.25, 0.5, 1.0):
        assert torch.allclose(curve.point(t), torch.tensor([2 * t, 2 * t * (1 - t)], dtype=torch.float64), atol=1e-15)
        assert torch.allclose(curve.velocity(t), torch.tensor([2.0, 2 - 4 * t], dtype=torch.float64), atol=1e-15)


def test_chain_meets_its_nodes():
    nodes = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    curve = Curve(nodes, "chain")
    for i, node in enumerate(nodes):
        assert torch.equal(curve.point(i / 4), node)
    assert torch.allclose(curve.velocity(0.3), 4 * (nodes[2] - nodes[1]))


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_two_nodes_are_a_line(kind):
    nodes = torch.tensor([[1.0, 2.0], [3.0, -2.0]], dtype=torch.float64)
    assert torch.allclose(Curve(nodes, kind).point(0.25), torch.tensor([1.5, 1.0], dtype=torch.float64))


def test_refusals():
    nodes = torch.zeros(3, 2)
    with pytest.raises(ArgumentError, match="nodes: expected shape"):
        Curve(nodes[:1]).point(0.5)
    with pytest.raises(ArgumentError, match="kind: expected 'bezier' or 'chain'"):
        Curve(nodes, "spline").point(0.5)
    with pytest.raises(ArgumentError, match="t: expected a position"):
        Curve(nodes).point(1.5)

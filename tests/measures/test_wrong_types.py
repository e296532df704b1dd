"""Values of the wrong type are told of by the argument's name."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.golden import g1
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.measures._crossing import interval_of

V = torch.eye(3, dtype=torch.float64)[:, :2]
G = torch.ones(3, dtype=torch.float64)

CALLS = {
    "intrinsic dimension, tensor": (lambda: tw.intrinsic_dimension(g1(), torch.tensor([2, 3])), "dimensions: .*tolist"),
    "intrinsic dimension, number": (lambda: tw.intrinsic_dimension(g1(), 5), "dimensions: expected a sequence .* 5"),
    "intrinsic dimension, share": (lambda: tw.intrinsic_dimension(g1(), share="a"), "share: .* got 'a'"),
    "intrinsic dimension, baseline": (lambda: tw.intrinsic_dimension(g1(), baseline="a"), "baseline: .* got 'a'"),
    "intrinsic dimension, resolution": (lambda: tw.intrinsic_dimension(g1(), resolution="a"), "resolution: .* 'a'"),
    "perturbation law": (lambda: tw.perturbation_law(g1(), "a"), "epsilons: .* got 'a'"),
    "perturbation law, largest": (lambda: tw.perturbation_law(g1(), [0.1, 1], largest="a"), "largest: .* got 'a'"),
    "anisotropy, list": (lambda: tw.anisotropy([1.0, 2.0], V), r"gradient: expected a tensor .* got list"),
    "anisotropy, nothing": (lambda: tw.anisotropy(None, None), "gradient: .* got NoneType"),
    "anisotropy, no basis": (lambda: tw.anisotropy(G, None), "basis: expected eigenpairs, or .* got NoneType"),
    "anisotropy, whole numbers": (lambda: tw.anisotropy(G.long(), V), r"gradient: .* got torch.int64 of shape \(3,\)"),
    "directional sharpness": (lambda: tw.directional_sharpness(g1(), G), "operator: expected an operator, got Land"),
    "effective rank": (lambda: tw.effective_rank(None, 3), "density: .* got NoneType"),
    "predicted decrease": (lambda: tw.predicted_decrease(g1(), eta="a"), "eta: .* got 'a'"),
    "quadratic sharpness": (lambda: tw.quadratic_sharpness(g1(), 0.1, tol="a"), "tol: .* got 'a'"),
    "critical point": (lambda: tw.critical_point(g1(), tol="a"), "tol: .* got 'a'"),
    "critical point, flat": (lambda: tw.critical_point(g1(), flat="a"), "flat: .* got 'a'"),
    "null space": (lambda: tw.null_space(G, items=1, outputs=1, threshold="a"), "threshold: .* got 'a'"),
    "two nn": (lambda: tw.two_nn(torch.rand(20, 2), discard="a"), "discard: .* got 'a'"),
    "radius": (lambda: tw.sharpness(g1(), torch.tensor(0.1)), r"rho: .* got Tensor. Take its number by .item\(\)"),
    "trajectory of a dict": (lambda: tw.trajectory([{"w": G}] * 2), "checkpoints.*got dict. .*landscape.theta"),
    "trajectory of modules": (lambda: tw.trajectory([torch.nn.Linear(1, 1)] * 2), "parameters_to_vector"),
    "trajectory that is a dict": (lambda: tw.trajectory({"w": G}), "checkpoints: expected vectors, got one dict"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_argument_is_named(name):
    call, message = CALLS[name]
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("number", [np.float32(0.125), np.float64(0.125)])
def test_numbers_of_numpy_are_numbers(number):
    with unchecked():
        assert tw.sharpness(g1(), number).value == tw.sharpness(g1(), 0.125).value
        assert tw.predicted_decrease(g1(), number).actual == tw.predicted_decrease(g1(), 0.125).actual


@pytest.mark.parametrize(
    ("crossings", "value", "size", "expected"),
    [
        ([200, 900], 518, 1000, (1.0, 1000.0)),  # e^(mean ± 12.7 · 0.75) without the bounds
        ([1, 2], 1, 5, (1.0, 5.0)),
        ([1, 1_000_000], 1000, 1_000_000, (1.0, 1e6)),
    ],
)
def test_an_interval_of_dimensions_stays_within_them(crossings, value, size, expected):
    assert interval_of(crossings, value, size) == pytest.approx(expected, rel=1e-12)

"""What must not move a measure: the names of units, and how the data are cut into batches."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, mlp, randn

CROSS = tw.objectives.cross_entropy()


def landscape(model: nn.Module, *sizes: int) -> tw.Landscape:
    inputs, targets = randn(sum(sizes), 4, seed=5), classes(sum(sizes))
    return tw.Landscape(model, CROSS, list(zip(inputs.split(sizes), targets.split(sizes), strict=True)))


def permuted(model: nn.Module) -> nn.Module:
    """The same function with its hidden units in another order."""
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        model[0].weight.copy_(model[0].weight[order])
        model[0].bias.copy_(model[0].bias[order])
        model[2].weight.copy_(model[2].weight[:, order])
    return model


MEASURES = {
    "sharpness": lambda each: tw.sharpness(each, 0.1).value,
    "quadratic sharpness": lambda each: tw.quadratic_sharpness(each, 0.1, tol=1e-6).model,
    "adaptive sharpness, elements": lambda each: tw.adaptive_sharpness(each, 0.1).value,
    "adaptive sharpness, filters": lambda each: tw.adaptive_sharpness(each, 0.1, normalization="filter").value,
    "gradient noise": lambda each: tw.gradient_noise(each).trace.value,
    "noise scale": lambda each: tw.gradient_noise(each).scale.value,
    "cosine": lambda each: tw.alignment(tw.gradient_covariance(each), tw.hessian(each)).cosine.value,
    "Zhu's ratio": lambda each: tw.alignment(tw.gradient_covariance(each), tw.ggn(each)).zhu.value,
    "difficulty": lambda each: tw.difficulty(each).index.value,
}


@pytest.mark.parametrize("name", MEASURES)
def test_permuting_units_moves_nothing(name):
    before, after = landscape(mlp(), 12), landscape(permuted(mlp()), 12)
    assert not torch.equal(before.theta, after.theta)
    assert MEASURES[name](after) == pytest.approx(MEASURES[name](before), rel=1e-6)


def test_the_partition_into_batches_moves_nothing():
    settings = tw.MeasureSettings(top=3, bottom=2, probes=4, steps=9, noise=2, tol=1e-6)
    one, other = (tw.measure(landscape(mlp(), *sizes), settings=settings) for sizes in ((12,), (1, 6, 2, 3)))
    assert one.names == other.names
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert (mine.kind, mine.note) == (theirs.kind, theirs.note), mine.name
        for field in ("value", "standard_error", "low", "high"):
            left, right = getattr(mine, field), getattr(theirs, field)
            assert (left is None) == (right is None), mine.name
            if left is not None:
                assert left == pytest.approx(right, rel=1e-6, abs=1e-9), (mine.name, field)

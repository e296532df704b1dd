"""Batch norm in train mode: no item has a gradient of its own, and what is made of these says so."""

import functools

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, randn
from thalweg.errors import ArgumentError, DependentItemsWarning

NO_GRADIENT = "has no gradient of its own"
EMPIRICAL = functools.partial(tw.fisher, kind="empirical")


def landscape(mode: str = "train", *, norm: bool = True) -> tw.Landscape:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), *([nn.BatchNorm1d(4)] if norm else []), nn.Tanh(), nn.Linear(4, 3)]
    model = nn.Sequential(*layers).double()
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(8, 3), classes(8))], mode=mode)


@pytest.mark.parametrize("make", [tw.gradient_covariance, tw.gradient_gram, EMPIRICAL])
def test_operators_warn(make):
    with pytest.warns(DependentItemsWarning, match=NO_GRADIENT) as seen:
        make(landscape())
    assert len(seen) == 1
    make(landscape("eval"))
    make(landscape("train", norm=False))


@pytest.mark.parametrize("make", [tw.gradient_covariance, EMPIRICAL])
@pytest.mark.filterwarnings("ignore::thalweg.errors.DependentItemsWarning")
def test_measures_refuse(make):
    place = landscape()
    noise, curvature = make(place), tw.hessian(place)
    with pytest.raises(ArgumentError, match=f"first: expected a .* {NO_GRADIENT}"):
        tw.alignment(noise, curvature)
    with pytest.raises(ArgumentError, match=f"second: expected a .* {NO_GRADIENT}"):
        tw.alignment(curvature, noise)
    with pytest.raises(ArgumentError, match=f"covariance: expected a .* {NO_GRADIENT}"):
        tw.difficulty(place, covariance=noise)
    # Without batch norm items do not meet.
    plain = landscape(norm=False)
    assert tw.alignment(make(plain), tw.hessian(plain)).cosine is not None


@pytest.mark.parametrize("names", ["gradient_covariance", ["hessian", "empirical_fisher"]])
def test_spectra_refuse(names):
    with pytest.raises(ArgumentError, match=NO_GRADIENT):
        tw.matrix_spectra(landscape(), names)
    assert tw.matrix_spectra(landscape("eval"), names).spectra
    assert tw.matrix_spectra(landscape("train"), ["hessian", "ggn"]).spectra

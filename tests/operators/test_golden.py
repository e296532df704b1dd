"""Gauss–Newton, covariance and Fisher of the golden networks, and closed forms."""

import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.golden import g1, g2
from tests.landscape.models import classes, randn, scrambled

ENGINES = ["double-backward", "forward-over-reverse", "auto"]


def close(found, expected, rel: float = 1e-8) -> None:
    assert float(found) == pytest.approx(expected, rel=rel, abs=1e-12)


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum() / (a.norm() * b.norm())


@pytest.mark.parametrize("engine", ENGINES)
def test_g1(engine):
    """O1, O3, O4."""
    landscape = g1()
    hessian = tw.hessian(landscape, engine=engine).dense()
    gauss_newton = tw.ggn(landscape, engine=engine).dense()
    covariance = tw.gradient_covariance(landscape, engine=engine).dense()
    close(hessian.trace(), 3.8718508986352)
    close((hessian @ hessian).trace(), 8.39983556039988)
    close(gauss_newton.trace(), 3.68461134541426)
    close(covariance.trace(), 1.29064319046283)
    close(tw.fisher(landscape, "empirical", engine=engine).dense().trace(), 1.36573640579991)
    torch.testing.assert_close(
        torch.linalg.eigvalsh(gauss_newton)[-4:],
        torch.tensor([0.02234239261, 0.1683465568, 0.9400149082, 2.553907488], dtype=torch.float64),
        rtol=1e-8,
        atol=1e-8,
    )
    assert torch.linalg.eigvalsh(gauss_newton)[:5].abs().max() < 1e-12
    noise = [0.01999881847237, 0.2681655782890, 1.002478793701]
    torch.testing.assert_close(
        torch.linalg.eigvalsh(covariance)[-3:], torch.tensor(noise, dtype=torch.float64), rtol=1e-8, atol=1e-8
    )
    assert torch.linalg.eigvalsh(covariance)[:6].abs().max() < 1e-12
    close(cosine(covariance, hessian), 0.946927145834954)
    close(cosine(covariance, gauss_newton), 0.978051798922172)
    close((hessian @ covariance).trace(), 2.84849554297161)


@pytest.mark.parametrize("engine", ENGINES)
def test_g2(engine):
    """O6, O7."""
    landscape = g2()
    hessian = tw.hessian(landscape, engine=engine).dense()
    gauss_newton = tw.ggn(landscape, engine=engine).dense()
    covariance = tw.gradient_covariance(landscape, engine=engine).dense()
    close(hessian.trace(), 1.57529958402072)
    close((hessian @ hessian).trace(), 3.16370051190239)
    close(gauss_newton.trace(), 2.13939588864828)
    close(covariance.trace(), 1.94398813599978)
    assert int((torch.linalg.eigvalsh(gauss_newton) > 1e-10).sum()) == 8
    close(torch.linalg.eigvalsh(gauss_newton)[-1], 1.011429957)
    close(torch.linalg.eigvalsh(covariance)[-1], 1.184846144273)
    close(cosine(covariance, hessian), 0.473541910178068)
    close(cosine(covariance, gauss_newton), 0.784565351960791)


@pytest.mark.parametrize("make", [g1, g2])
def test_the_parts_of_the_hessian(make):
    landscape = make()
    whole = tw.added(tw.ggn(landscape), tw.residual(landscape))
    torch.testing.assert_close(whole.dense(), tw.hessian(landscape).dense(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "objective", [tw.objectives.cross_entropy(), tw.objectives.squared_error(), tw.objectives.mse()]
)
def test_linear_models_have_no_residual_part(objective):
    model = scrambled(nn.Linear(4, 3).double())
    targets = classes(6) if objective.name == "cross_entropy" else randn(6, 3, seed=1)
    landscape = tw.Landscape(model, objective, [(randn(6, 4), targets)])
    torch.testing.assert_close(tw.ggn(landscape).dense(), tw.hessian(landscape).dense(), rtol=1e-12, atol=1e-14)
    assert tw.residual(landscape).dense().abs().max() < 1e-15


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("a", "b", "y"), [(1.0, 1.0, 1.0), (0.0, 0.0, 1.0), (2.0, -1.0, 0.5)])
def test_the_scalar_net(engine, a, b, y):
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(a)
        model[1].weight.fill_(b)
    one = torch.ones(1, 1, dtype=torch.float64)
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, y * one)])
    expected = {
        tw.hessian: [[b * b, 2 * a * b - y], [2 * a * b - y, a * a]],
        tw.ggn: [[b * b, a * b], [a * b, a * a]],
        tw.residual: [[0, a * b - y], [a * b - y, 0]],
    }
    for make, matrix in expected.items():
        found = make(landscape, engine=engine).dense()
        torch.testing.assert_close(found, torch.tensor(matrix, dtype=torch.float64), rtol=1e-14, atol=1e-14)


def test_small_known_matrices():
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    operator = tw.FunctionOperator(lambda v: matrix @ v, 2, dtype=torch.float64)
    close(torch.logdet(operator.dense()), math.log(5), rel=1e-14)
    gram = 2.5 * torch.eye(4, dtype=torch.float64) + 0.5
    levels = tw.eigenpairs(tw.FunctionOperator(lambda v: gram @ v, 4, dtype=torch.float64), 4).values
    torch.testing.assert_close(levels, torch.tensor([4.5, 2.5, 2.5, 2.5], dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_planted_gradients_have_the_two_level_gram_matrix():
    """Four items, gradients with inner products 3 on and 0.5 off the diagonal: centred, {2.5 (3 times), 0}/4."""
    rows = torch.linalg.cholesky(2.5 * torch.eye(4, dtype=torch.float64) + 0.5)
    model = nn.Linear(4, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    # The gradient of ½(wᵀx − 1)² at w = 0 is −x.
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [(rows, torch.ones(4, 1, dtype=torch.float64))])
    expected = torch.tensor([0.0, 0.625, 0.625, 0.625], dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(tw.gradient_gram(landscape)), expected, rtol=1e-12, atol=1e-14)
    found = torch.linalg.eigvalsh(tw.gradient_covariance(landscape).dense())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)

"""The golden networks and closed forms: loss, gradient, and the Hessian's whole spectrum."""

import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests import golden

G1 = [-0.248545330009527, -0.0988372319266986, -0.0439324470984702, 0.0351383325198522, 0.0693245138751935]
G1 += [0.224447620009740, 0.267686107248948, 0.974092196238280, 2.69247713777789]


def eigenvalues(landscape: tw.Landscape) -> torch.Tensor:
    return torch.linalg.eigvalsh(tw.hessian(landscape).dense())


def close(value, expected, rel: float = 1e-8) -> None:
    assert float(value) == pytest.approx(expected, rel=rel)


def test_g1_loss_and_gradient():
    """O1."""
    landscape = golden.g1()
    assert landscape.size == 9
    assert landscape.count == 4
    close(landscape.loss(), 0.195783175766876)
    close(landscape.gradient().norm(), 0.2740314130480007)


def test_g1_spectrum():
    """O1, O2, O5."""
    matrix = tw.hessian(golden.g1()).dense()
    values = torch.linalg.eigvalsh(matrix)
    torch.testing.assert_close(values, torch.tensor(G1, dtype=torch.float64), rtol=1e-8, atol=1e-10)
    close(matrix.trace(), 3.8718508986352)
    close(matrix.square().sum(), 8.39983556039988)
    close((values.abs() + 1e-3).log().sum(), -14.6082290370)
    close(values[-1] / values[0], -10.8329419735)
    close(values.abs().max() / values.abs().min(), 76.6250685418)
    close(values[-1] - values[0], 2.94102246779)
    assert int((values < 0).sum()) == 3


def test_g1_gradient_against_the_spectrum():
    """O4, O5: gᵀHg and LAS_k, the energy of the gradient in the leading eigenvectors."""
    landscape = golden.g1()
    op, gradient = tw.hessian(landscape), landscape.gradient()
    close(gradient @ (op @ gradient), 0.0372598617618)
    vectors = torch.linalg.eigh(op.dense())[1].flip(1)
    shares = (vectors.mT @ gradient).square().cumsum(0) / gradient.square().sum()
    expected = [0.053219722662857, 0.328863119051945, 0.335259318827456, 0.753207637226831, 0.757632573018494]
    torch.testing.assert_close(shares[:5], torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)


def test_g1_steps():
    """O5: one SAM step of radius 0.05 and one gradient step of length 0.1."""
    landscape = golden.g1()
    loss, gradient = landscape.loss_and_gradient()
    close(landscape.loss(landscape.theta + 0.05 * gradient / gradient.norm()) - loss, 0.0143180843083978)
    step = 0.1 * gradient
    close(landscape.loss(landscape.theta - step) - loss, -0.00732243978786)
    quadratic = -step @ gradient + step @ (tw.hessian(landscape) @ step) / 2
    close(quadratic, -0.00732302222490)


def test_g2_loss_and_spectrum():
    """O6."""
    landscape = golden.g2()
    loss, gradient = landscape.loss_and_gradient()
    close(loss, 1.26938309677413)
    close(gradient.norm(), 0.788144698902798)
    matrix = tw.hessian(landscape).dense()
    values = torch.linalg.eigvalsh(matrix)
    assert landscape.size == 21
    close(matrix.trace(), 1.57529958402072)
    close(matrix.square().sum(), 3.16370051190239)
    for value, expected in zip(values.flip(0), [1.11987874979102, 0.702363455617064, 0.509282555936224], strict=False):
        close(value, expected)
    for value, expected in zip(values, [-0.555822042665639, -0.460300589628544, -0.353857951098184], strict=False):
        close(value, expected)
    threshold = 1e-10 * values.abs().max()
    assert int((values.abs() <= threshold).sum()) == 4
    assert int((values < -threshold).sum()) == 8
    assert int((values > threshold).sum()) == 9


def test_g2_null_modes_are_the_softmax_shifts():
    """Adding one vector to all rows of the last layer shifts every logit alike: h + 1 directions."""
    op = tw.hessian(golden.g2())
    for unit in range(4):
        vector = torch.zeros(21, dtype=torch.float64)
        if unit < 3:
            vector[9:18].view(3, 3)[:, unit] = 1
        else:
            vector[18:] = 1
        assert float((op @ vector).abs().max()) < 1e-15


def test_g2_gradient_against_the_spectrum():
    """O7."""
    landscape = golden.g2()
    loss, gradient = landscape.loss_and_gradient()
    vectors = torch.linalg.eigh(tw.hessian(landscape).dense())[1].flip(1)
    shares = (vectors.mT @ gradient).square().cumsum(0) / gradient.square().sum()
    expected = [0.0248246549794571, 0.104754847698440, 0.761590595207952]
    torch.testing.assert_close(shares[:3], torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)
    close(landscape.loss(landscape.theta + 0.05 * gradient / gradient.norm()) - loss, 0.0398962255209423)


def linear(outputs: int, seed: int | None = None) -> nn.Module:
    model = nn.Linear(2, outputs, bias=False).double()
    with torch.no_grad():
        if seed is None:
            model.weight.zero_()
        else:
            model.weight.copy_(torch.randn(outputs, 2, generator=torch.Generator().manual_seed(seed)))
    return model


X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
ROOT = math.sqrt(8185)


@pytest.mark.parametrize(("objective", "factor"), [(tw.objectives.squared_error(), 1), (tw.objectives.mse(), 2)])
@pytest.mark.parametrize("seed", [None, 1])
def test_linear_regression(objective, factor, seed):
    """O8: H = XᵀX/N for ½‖f − y‖², twice that for torch's mean squared error, at any point."""
    targets = torch.tensor([[1.0], [0.0], [2.0]], dtype=torch.float64)
    values = eigenvalues(tw.Landscape(linear(1, seed), objective, [(X, targets)]))
    close(values[1] / factor, (91 + ROOT) / 6, rel=1e-12)
    close(values[0] / factor, (91 - ROOT) / 6, rel=1e-12)
    close(values[1] / factor, 30.2451649709114)
    close(values[1] / values[0], 343.038751544)
    step = 2 / (values[0] + values[1])
    close(step * factor, 0.0659340659340659)
    close((values[1] - values[0]) / (values[1] + values[0]), 0.994186701378773)


def test_the_two_squared_errors_differ_by_half_the_outputs():
    """mse divides by all entries and has no ½: squared_error = mse · C/2."""
    targets = torch.ones(3, 4, dtype=torch.float64)
    model = linear(4, 3)
    half = tw.Landscape(model, tw.objectives.squared_error(), [(X, targets)])
    mean = tw.Landscape(model, tw.objectives.mse(), [(X, targets)])
    close(half.loss(), mean.loss() * 4 / 2, rel=1e-14)
    torch.testing.assert_close(tw.hessian(half).dense(), tw.hessian(mean).dense() * 2, rtol=1e-13, atol=0)


def test_logistic_regression_at_zero():
    """O9."""
    targets = torch.tensor([[1.0], [0.0], [1.0]], dtype=torch.float64)
    values = eigenvalues(tw.Landscape(linear(1), tw.objectives.binary_cross_entropy(), [(X, targets)]))
    close(values[1], 7.56129124272785)
    close(values[0], 0.0220420906054848)


def test_softmax_regression_at_zero():
    """O9: XᵀX/N times the eigenvalues 1/3, 1/3, 0 of I/3 − 11ᵀ/9."""
    landscape = tw.Landscape(linear(3), tw.objectives.cross_entropy(), [(X, torch.tensor([0, 1, 2]))])
    values = eigenvalues(landscape)
    expected = [0, 0, 0.0293894541406464, 0.0293894541406464, 10.0817216569705, 10.0817216569705]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-13)
    close(landscape.loss(), math.log(3), rel=1e-14)


class Chain(nn.Module):
    """f(x) = w_L … w_1 x."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))

    def forward(self, x):
        return self.weights.prod() * x


def chain(*weights: float, y: float = 1.0) -> tw.Landscape:
    one = torch.ones(1, 1, dtype=torch.float64)
    return tw.Landscape(Chain(*weights), tw.objectives.squared_error(), [(one, y * one)])


@pytest.mark.parametrize(("a", "b", "y"), [(1.0, 1.0, 1.0), (0.0, 0.0, 1.0), (0.3, -2.0, 0.7)])
def test_scalar_net(a, b, y):
    """O11: ½(ab − y)²."""
    expected = torch.tensor([[b * b, 2 * a * b - y], [2 * a * b - y, a * a]], dtype=torch.float64)
    torch.testing.assert_close(tw.hessian(chain(a, b, y=y)).dense(), expected, rtol=1e-14, atol=1e-15)


def test_scalar_chain_of_four():
    """O11."""
    assert eigenvalues(chain(1.0, 1.0, 1.0, 1.0))[-1] == pytest.approx(4, rel=1e-13)
    # At a minimum the sharpness is y² Σ 1/w².
    weights = (0.5, 2.0, 1.25, 0.8)
    assert math.prod(weights) == pytest.approx(1)
    assert eigenvalues(chain(*weights))[-1] == pytest.approx(sum(w**-2 for w in weights), rel=1e-12)

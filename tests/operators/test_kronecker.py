"""Matrices of Kronecker products as operators: products, inverses, spectra, and the model that they leave alone."""

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import Counting, classes, cnn, generator, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.operators.kronecker_twin import (
    BINARY,
    BOTH,
    CONVOLUTIONAL,
    CROSS,
    HALF,
    MSE,
    close,
    cut,
    dense_matrix,
    diagonal_blocks,
    factors,
    labels,
    ragged,
)
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.operators._kfac import ekfac, kfac

pytest.importorskip("curvlinops")


@BOTH
@pytest.mark.parametrize("kind", ["ggn", "monte-carlo", "empirical"])
def test_is_an_operator(make, kind):
    model = cnn()
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 1, 6, 6), params=CONVOLUTIONAL)
    op = make(landscape, kind=kind)
    assert isinstance(op, tw.Operator)
    size = landscape.size
    assert (op.shape, op.space, op.dtype, op.device.type) == ((size, size), landscape.space, torch.float64, "cpu")
    matrix = op.dense()
    assert op.matvecs == size
    close(matrix, matrix.mT)
    assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-14
    block = op.space.randn(generator(2), 4)
    product = op @ block
    assert op.matvecs == size + 4
    close(product, matrix @ block)
    assert product.mT.is_contiguous()
    close(op @ block[:, 1], product[:, 1], rtol=1e-13)
    close(op @ block.contiguous(), product, rtol=1e-13)
    assert op.matvecs == size + 9
    assert op.engine == op.provenance.engine == ("kfac" if make is kfac else "ekfac")
    assert op.provenance.samples == 7
    assert repr(op) == f"{op.engine} of {landscape!r}"
    assert op.landscape is landscape
    with unchecked(), pytest.raises(ArgumentError, match=rf"vectors: expected shape \({size},\) or \({size}, k\)"):
        op @ block[1:]
    with pytest.raises(MemoryBudgetError, match="limit"):
        op.dense(limit=3)


@BOTH
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("params", [None, "*.bias", "*.weight", ["0.weight", "2.bias"], "2.*"])
def test_inverse_trace_norm_and_spectrum(make, separate, params):
    landscape = tw.Landscape(mlp(), CROSS, ragged(CROSS, 4), params=params)
    op = make(landscape, separate_bias=separate)
    matrix, eye = op.dense(), torch.eye(landscape.size, dtype=torch.float64)
    assert op.trace() == pytest.approx(float(matrix.trace()), rel=1e-12)
    assert op.frobenius_norm() == pytest.approx(float(matrix.norm()), rel=1e-12)
    close(op.eigenvalues(), torch.linalg.eigvalsh(matrix).flip(0))
    for damping in (1e-6, 0.3):
        damped = matrix + damping * eye
        inverse = op.inverse(damping)
        close(inverse.dense() @ damped, eye, rtol=1e-8)
        close(inverse.dense(), torch.linalg.inv(damped), rtol=1e-8)
        assert op.logdet(damping) == pytest.approx(float(torch.logdet(damped)), rel=1e-10)
        v = op.space.randn()
        close(inverse @ (op @ v + damping * v), v, rtol=1e-8)
    assert isinstance(inverse, tw.Operator)
    assert inverse.matvecs == landscape.size * 2 + 1
    assert (inverse.shape, inverse.dtype, inverse.space, inverse.device) == (op.shape, op.dtype, op.space, op.device)
    assert inverse.damping == 0.3
    assert inverse.landscape is landscape
    assert inverse.engine == inverse.provenance.engine == f"{op.engine} inverse"
    assert repr(inverse) == f"{op.engine} inverse of {landscape!r}, damping 0.3"
    block = op.space.randn(count=2)
    assert (inverse @ block).mT.is_contiguous()


def test_a_part_of_the_parameters_is_a_part_of_the_matrix():
    model, data = mlp(), ragged(CROSS, 4)
    whole = kfac(tw.Landscape(model, CROSS, data)).dense()
    part = kfac(tw.Landscape(model, CROSS, data, params="2.*")).dense()
    close(part, whole[25:, 25:])
    # A layer's weights without its biases are factored alone.
    weight = kfac(tw.Landscape(model, CROSS, data, params="0.weight")).dense()
    A, B = factors(model, 0, CROSS, data, bias=False)
    close(weight, torch.kron(B, A))


def test_the_order_is_that_of_the_models_parameters():
    """A module may register its bias first, and its layers in another order than it runs them in."""

    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(5, 3), nn.Linear(4, 5)
            weight = self.first.weight
            del self.first.weight
            self.first.weight = weight

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)))

    model = scrambled(Backwards().double())
    names = list(dict(model.named_parameters()))
    assert names == ["last.weight", "last.bias", "first.bias", "first.weight"]
    data = [(randn(1, 4), classes(1))]
    close(
        kfac(tw.Landscape(model, CROSS, data)).dense(),
        diagonal_blocks(dense_matrix(model, CROSS, data, names), [18, 25]),
    )


@BOTH
def test_batches_do_not_matter_but_data_do(make):
    model, (inputs, targets) = mlp(), (randn(7, 4), classes(7))
    expected = make(tw.Landscape(model, CROSS, [(inputs, targets)])).dense()
    for sizes in ((5, 2), (1, 6), (3, 3, 1)):
        close(make(tw.Landscape(model, CROSS, cut(inputs, targets, *sizes))).dense(), expected)
    close(make(tw.Landscape(model, CROSS, [(inputs, targets)], microbatch=3)).dense(), expected)
    other = make(tw.Landscape(model, CROSS, cut(inputs, targets, 5, 2)[:1])).dense()
    assert float((other - expected).norm()) > 0.01


def test_outputs_of_one_axis():
    model = nn.Sequential(scrambled(nn.Linear(4, 1).double()), nn.Flatten(start_dim=0))
    inputs, targets = randn(6, 4), randn(6, seed=1)
    augmented = torch.cat([inputs, torch.ones(6, 1).double()], dim=1)
    for objective, factor in ((HALF, 1), (MSE, 2)):
        op = kfac(tw.Landscape(model, objective, cut(inputs, targets, 4, 2)))
        close(op.dense(), factor * augmented.mT @ augmented / 6)
    # One entry an item is one term an item, whose gradients may be taken from the data.
    residuals = (model(inputs) - targets).detach()
    naive = 4 * residuals.square().mean() * augmented.mT @ augmented / 6
    close(kfac(tw.Landscape(model, MSE, cut(inputs, targets, 4, 2)), kind="empirical").dense(), naive)


def test_soft_targets_have_the_same_second_derivatives():
    model, inputs = mlp(), randn(6, 4)
    soft, hard = torch.rand(6, 3, generator=generator(1)).double(), labels(BINARY, 6)
    one, other = (kfac(tw.Landscape(model, BINARY, [(inputs, targets)])).dense() for targets in (soft, hard))
    assert torch.equal(one, other)


def test_inputs_of_any_structure():
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, left, right):
            return self.body(left + right)

    model, inputs, targets = Sum(), randn(5, 4), classes(5)
    expected = kfac(tw.Landscape(mlp(), CROSS, [(inputs, targets)])).dense()
    for nested in ((inputs / 2, inputs / 2), {"left": inputs / 2, "right": inputs / 2}):
        close(kfac(tw.Landscape(model, CROSS, [(nested, targets)])).dense(), expected)


def test_a_frozen_parameter_that_is_chosen():
    model, data = mlp(), ragged(CROSS, 4)
    expected = kfac(tw.Landscape(model, CROSS, data)).dense()
    model.requires_grad_(False)
    with unchanged(model):
        found = kfac(tw.Landscape(model, CROSS, data, params="*")).dense()
    assert torch.equal(found, expected)


@BOTH
def test_the_landscapes_point_and_not_the_models(make):
    model, data = mlp(), ragged(CROSS, 4)
    landscape = tw.Landscape(model, CROSS, data)
    partial = tw.Landscape(model, CROSS, data, params="2.*")
    expected, block = make(landscape).dense(), make(partial).dense()
    theta = 2 * landscape.theta
    moved = make(landscape.at(theta)).dense()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    assert torch.equal(make(landscape).dense(), expected)
    assert torch.equal(make(partial).dense(), block), "frozen parameters are part of the point"
    assert torch.equal(moved, make(tw.Landscape(model, CROSS, data)).dense())
    assert not torch.equal(moved, expected)


def test_buffers_are_part_of_the_point():
    model, data = cnn(), ragged(CROSS, 1, 6, 6)
    landscape = tw.Landscape(model, CROSS, data, params=CONVOLUTIONAL)
    expected = kfac(landscape).dense()
    buffers = {name: 2 * buffer for name, buffer in landscape.buffers.items()}
    moved = kfac(landscape.at(landscape.theta, buffers=buffers)).dense()
    model[1].running_mean.mul_(2)
    model[1].running_var.mul_(2)
    assert torch.equal(kfac(landscape).dense(), expected)
    assert torch.equal(kfac(tw.Landscape(model, CROSS, data, params=CONVOLUTIONAL)).dense(), moved)
    assert not torch.equal(moved, expected)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_mode_is_the_landscapes(mode):
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x):
            return self.body(2 * x if self.training else x)

    model, inputs, targets = Doubling(), randn(5, 4), classes(5)
    twice = inputs if mode == "eval" else 2 * inputs
    found = kfac(tw.Landscape(model, CROSS, [(inputs, targets)], mode=mode)).dense()
    close(found, kfac(tw.Landscape(mlp(), CROSS, [(twice, targets)])).dense())


def test_single_precision_and_types_that_a_landscape_casts():
    data = ragged(CROSS, 4)
    expected = kfac(tw.Landscape(mlp(), CROSS, data)).dense()
    single = kfac(tw.Landscape(mlp().float(), CROSS, [(x.float(), y) for x, y in data]))
    assert single.dtype == single.dense().dtype == torch.float32
    torch.testing.assert_close(single.dense().double(), expected, rtol=1e-4, atol=1e-6)
    cast = kfac(tw.Landscape(mlp(), CROSS, data, dtype=torch.float32))
    torch.testing.assert_close(cast.dense(), single.dense(), rtol=1e-5, atol=1e-7)
    whole = [(x.float(), y.float()) for x, y in ragged(HALF, 4)]
    wide = kfac(tw.Landscape(mlp().float(), HALF, whole, dtype=torch.float64), kind="empirical")
    assert wide.dense().dtype == torch.float64


# ------------------------------------------------------------------ the model is left alone


@BOTH
@pytest.mark.parametrize("kind", ["ggn", "monte-carlo", "empirical"])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_alone(make, kind, training):
    model = cnn().train(training)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model[1].weight.requires_grad_(False)
    seen = []
    model[0].register_forward_hook(lambda *args: seen.append(1))
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 1, 6, 6), params=CONVOLUTIONAL)
    with unchanged(model):
        op = make(landscape, kind=kind)
        v = op.space.randn()
        op @ v
        op.inverse(0.1) @ v
        op.trace(), op.frobenius_norm(), op.logdet(0.1), op.eigenvalues()


@BOTH
@pytest.mark.parametrize("at", [1, 2])
def test_the_model_is_left_alone_when_it_fails(make, at):
    model = Counting(mlp()).train()
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 4))
    model.seen[0], model.fail_at = 0, at
    with unchanged(model), pytest.raises(RuntimeError, match="the model stops here"):
        make(landscape)


def test_the_matrix_stays_what_it_is():
    model = mlp()
    op = kfac(tw.Landscape(model, CROSS, ragged(CROSS, 4)))
    v = op.space.randn()
    expected, copy = op @ v, v.clone()
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(op @ v, expected)
    assert torch.equal(v, copy)


def test_the_data_are_read_as_often_as_said():
    model = Counting(mlp())
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 4))
    seen = []
    model.body[0].register_forward_hook(lambda *args: seen.append(1))  # the copy's hook appends to the same list
    op = kfac(landscape)
    assert len(seen) == 2
    op @ op.space.randn(count=3)
    op.inverse(1.0) @ op.space.randn()
    op.trace(), op.eigenvalues()
    assert len(seen) == 2
    ekfac(landscape).dense()
    assert len(seen) == 6

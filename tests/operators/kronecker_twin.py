"""Naive twins of K-FAC and EKFAC: everything item by item and position by position, in double precision."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import classes, generator, randn, scrambled
from thalweg.operators._kfac import ekfac, kfac

CROSS = tw.objectives.cross_entropy()
BINARY = tw.objectives.binary_cross_entropy()
MSE = tw.objectives.mse()
HALF = tw.objectives.squared_error()
BOTH = pytest.mark.parametrize("make", [kfac, ekfac])
CONVOLUTIONAL = ["0.*", "5.*"]  # the parameters of tests.landscape.models.cnn but batch norm's


def labels(objective, n):
    if objective is CROSS:
        return classes(n)
    targets = randn(n, 3, seed=1)
    return (targets > 0).double() if objective is BINARY else targets


def cut(inputs, targets, *sizes):
    return list(zip(inputs.split(list(sizes)), targets.split(list(sizes)), strict=True))


def ragged(objective, *shape):
    return cut(randn(7, *shape), labels(objective, 7), 5, 2)


def close(found, expected, rtol=1e-10):
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * (1e-3 + float(expected.abs().max())))


def term_losses(objective, output, target):
    """The losses of one item's terms (T,), from its outputs (C,)."""
    if objective is CROSS:
        return functional.cross_entropy(output[None], target[None], reduction="none")
    if objective is BINARY:
        return functional.binary_cross_entropy_with_logits(output, target, reduction="none")
    squares = (output - target).square()
    return squares if objective is MSE else squares.sum()[None] / 2


def middle(objective, kind, output, target):
    """M of the item's outputs: the Hessian of the summed losses, or products of the gradients of single terms."""

    def losses(output):
        return term_losses(objective, output, target)

    if kind == "ggn":
        return torch.autograd.functional.hessian(lambda output: losses(output).sum(), output)
    gradients = torch.autograd.functional.jacobian(losses, output)
    return gradients.mT @ gradients


def items(batches):
    return [(x, y) for inputs, targets in batches for x, y in zip(inputs, targets, strict=True)]


def dense_matrix(model, objective, batches, names, kind="ggn"):
    """(1/W) Σ_n J_nᵀ M_n J_n over the named parameters, item by item."""
    named = dict(model.named_parameters())
    values = tuple(named[name].detach() for name in names)
    total, weight = 0.0, 0
    for x, y in items(batches):

        def outputs(*values, x=x):
            return functional_call(model, dict(zip(names, values, strict=True)), (x[None],))[0]

        jacobian = torch.cat(
            [part.flatten(start_dim=1) for part in torch.autograd.functional.jacobian(outputs, values)], dim=1
        )
        output = outputs(*values).detach()
        total = total + jacobian.mT @ middle(objective, kind, output, y) @ jacobian
        weight += len(term_losses(objective, output, y))
    return total / weight


def patches(layer, value):
    """What a layer multiplies with its weight, a row for each position, of one item."""
    if isinstance(layer, nn.Linear):
        return value.reshape(-1, value.shape[-1])
    return functional.unfold(value, layer.kernel_size, layer.dilation, layer.padding, layer.stride)[0].mT


def factors(model, at, objective, batches, kind="ggn", sharing="expand", bias=True):
    """A and B of one layer of a sequential model, item by item, position by position."""
    layer, after = model[at], model[at + 1 :]
    A, B, weight = 0.0, 0.0, 0
    for x, y in items(batches):
        value = model[:at](x[None]).detach()
        rows = patches(layer, value)
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1) if bias else rows
        s = layer(value).detach()
        jacobian = torch.autograd.functional.jacobian(lambda s: after(s)[0], s)
        jacobian = jacobian.movedim(2, -1) if isinstance(layer, nn.Conv2d) else jacobian
        jacobian = jacobian.reshape(jacobian.shape[0], -1, jacobian.shape[-1] if jacobian.ndim < 5 else len(s[0]))
        M = middle(objective, kind, after(s)[0].detach(), y)
        if sharing == "expand":
            A = A + rows.mT @ rows / len(rows)
            B = B + sum(jacobian[:, s].mT @ M @ jacobian[:, s] for s in range(len(rows)))
        else:
            A = A + torch.outer(rows.mean(dim=0), rows.mean(dim=0))
            B = B + jacobian.sum(dim=1).mT @ M @ jacobian.sum(dim=1)
        weight += len(term_losses(objective, after(s)[0], y))
    return A / len(items(batches)), B / weight


def in_order(matrix, outs):
    """Reorder a matrix over (out, in + 1), row-major, into weights first and biases then."""
    index = torch.arange(len(matrix)).view(outs, -1)
    order = torch.cat([index[:, :-1].reshape(-1), index[:, -1]])
    return matrix[order][:, order]


def naive_kfac(model, objective, batches, kind="ggn", sharing="expand", separate=False):
    blocks = []
    for at, layer in enumerate(model):
        if not isinstance(layer, (nn.Linear, nn.Conv2d)):
            continue
        if separate or layer.bias is None:
            A, B = factors(model, at, objective, batches, kind, sharing, bias=False)
            blocks.append(torch.kron(B, A))
            if layer.bias is not None:
                blocks.append(B)
        else:
            A, B = factors(model, at, objective, batches, kind, sharing)
            blocks.append(in_order(torch.kron(B, A), len(B)))
    return torch.block_diag(*blocks)


def diagonal_blocks(matrix, sizes):
    return torch.block_diag(*(matrix[a : a + n, a : a + n] for a, n in zip(starts(sizes), sizes, strict=True)))


def starts(sizes):
    return [sum(sizes[:i]) for i in range(len(sizes))]


class Mixing(nn.Module):
    """Logits at every position, each depending on all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        scrambled(self.double())

    def forward(self, x):
        return torch.tanh(self.first(x)).cumsum(dim=1).mT


def positions(model):
    return model, CROSS, [(randn(4, 3, 4), torch.randint(3, (4, 3), generator=generator(2)))]

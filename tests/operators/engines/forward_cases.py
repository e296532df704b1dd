"""Models, forms and dense twins that forward over reverse is held against."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import thalweg as tw
from tests.landscape.models import (
    DOUBLE,
    Attention,
    MultiHead,
    Recurrent,
    Residual,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tokens,
)
from thalweg.operators._form import Congruence, Form, SecondDerivative

CROSS = tw.objectives.cross_entropy()


class Masked(nn.Module):
    """Attention in which the last position sees the first two alone."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 0]], dtype=torch.bool)
        return self.head(functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)).mean(dim=1)


class Padded(nn.Module):
    """Words to classes, with a word that is no word."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3, padding_idx=0)
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embed(x).sum(dim=1)))


class Between(nn.Module):
    """A linear layer with a function in front and behind."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.function, self.last = nn.Linear(4, 3), function, nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))


class Sine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope * ctx.saved_tensors[0].cos()


def between(function: Callable[[Tensor], Tensor]) -> nn.Module:
    return scrambled(Between(function).double())


def leaving() -> nn.Module:
    """A model that NumPy has a part in, as a constant."""
    return between(lambda h: torch.tanh(h) * float(h.detach().numpy()[0, 0]))


def checkpointed() -> nn.Module:
    return between(lambda h: checkpoint(torch.tanh, h, use_reentrant=False))


def normed() -> nn.Module:
    return scrambled(nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)).double())


def images(n: int = 7) -> Tensor:
    return randn(n, 1, 6, 6)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], str]] = {
    "tanh": (mlp, lambda: randn(7, 4), "eval"),
    "relu": (lambda: mlp(nn.ReLU), lambda: randn(7, 4), "eval"),
    "layer norm": (normed, lambda: randn(7, 4), "eval"),
    "residual": (lambda: scrambled(Residual().double()), lambda: randn(7, 4), "eval"),
    "convolutions, eval": (cnn, images, "eval"),
    "convolutions, train": (cnn, images, "train"),
    "attention, causal": (lambda: scrambled(Attention().double()), lambda: randn(7, 3, 4), "eval"),
    "attention, mask": (lambda: scrambled(Masked().double()), lambda: randn(7, 3, 4), "eval"),
    "multi-head attention": (lambda: scrambled(MultiHead().double()), lambda: randn(7, 3, 4), "eval"),
    "lstm": (lambda: scrambled(Recurrent().double()), lambda: randn(7, 3, 4), "eval"),
    "padding": (lambda: scrambled(Padded().double()), lambda: tokens(7), "eval"),
    "leaving": (leaving, lambda: randn(7, 4), "eval"),
    "checkpointing": (checkpointed, lambda: randn(7, 4), "eval"),
}


def summed(model: Callable[..., Any], batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


def dense_ggn(model: nn.Module, batches: list[Any], total: float) -> Tensor:
    """Σ_b J_bᵀ M_b J_b / total for the outputs' Jacobian and the cross entropy's Hessian, entry by entry."""
    named = dict(model.named_parameters())
    shapes = [parameter.shape for parameter in named.values()]
    flat = torch.cat([parameter.detach().flatten() for parameter in named.values()])
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    matrix = torch.zeros(len(flat), len(flat), dtype=DOUBLE)
    for inputs, targets in batches:

        def outputs(vector: Tensor, inputs: Tensor = inputs) -> Tensor:
            parts = vector.split([shape.numel() for shape in shapes])
            tensors = {name: part.view(shape) for name, part, shape in zip(named, parts, shapes, strict=True)}
            return functional_call(model, {**tensors, **{k: b.clone() for k, b in buffers.items()}}, inputs).flatten()

        def loss(values: Tensor, targets: Tensor = targets) -> Tensor:
            return functional.cross_entropy(values.view(len(targets), -1), targets, reduction="sum")

        jacobian = torch.autograd.functional.jacobian(outputs, flat)
        middle = torch.autograd.functional.hessian(loss, outputs(flat).detach())
        matrix += jacobian.mT @ middle @ jacobian
    return matrix / total


def second(landscape: tw.Landscape) -> Form:
    return SecondDerivative(lambda leaves, batch: landscape.terms(leaves, batch).weighted_sum())


def gauss_newton(landscape: tw.Landscape) -> Form:
    """With M = diag(p) − ppᵀ in closed form."""

    def middle(values: tuple[Tensor, ...], _: Any) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
        p = values[0].softmax(-1)
        return lambda tangents: (p * tangents[0] - p * (p * tangents[0]).sum(-1, keepdim=True),)

    return Congruence(lambda leaves, batch: (landscape.outputs(leaves, batch),), middle)


FORMS = {"hessian": second, "ggn": gauss_newton}


def built(name: str, **options: Any) -> tuple[tw.Landscape, nn.Module, list[Any]]:
    make, inputs, mode = MODELS[name]
    model = make().train(mode == "train")
    batches = list(zip(inputs().split(4), classes(7).split(4), strict=True))
    return tw.Landscape(model, CROSS, batches, mode=mode, **options), model, batches


def close(found: Tensor, expected: Tensor, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * (1e-3 + float(expected.abs().max())))

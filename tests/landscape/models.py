"""Small models of every kind that a landscape must cope with, in double precision."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

DOUBLE = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def classes(n: int, count: int = 3, seed: int = 1) -> Tensor:
    return torch.randint(count, (n,), generator=generator(seed))


def scrambled(model: nn.Module, seed: int = 0, scale: float = 0.5) -> nn.Module:
    """Give every parameter reproducible random values, and every running statistic some that are not 0 and 1."""
    source = generator(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=source, dtype=DOUBLE))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=source, dtype=DOUBLE))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=source, dtype=DOUBLE))
    return model


def mlp(activation: Callable[[], nn.Module] = nn.Tanh) -> nn.Module:
    return scrambled(nn.Sequential(nn.Linear(4, 5), activation(), nn.Linear(5, 3)).double())


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)]
    return scrambled(nn.Sequential(*layers).double())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6), nn.GELU()) for _ in range(2))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class ConvolutionalResidual(nn.Module):
    """A residual network of convolutions in small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
        self.branch = nn.Sequential(
            nn.Conv2d(2, 2, 3, padding=1, bias=False),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.Conv2d(2, 2, 3, padding=1, bias=False),
            nn.BatchNorm2d(2),
        )
        self.shortcut = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.relu(self.branch(x) + self.shortcut(x))
        return self.head(x.mean(dim=(2, 3)))


class Grouped(nn.Module):
    """Group norm over features, and over a sequence of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 4), nn.GroupNorm(2, 4)
        self.other, self.last = nn.GroupNorm(1, 2, affine=False), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        return self.last(self.other(x.view(-1, 2, 2)).flatten(1))


class Attention(nn.Module):
    """One head written with scaled_dot_product_attention, whose fused kernels have no second derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        return self.head(functional.scaled_dot_product_attention(query, key, value, is_causal=True)).mean(dim=1)


class MultiHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0].mean(dim=1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(4, 3, batch_first=True)
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Tied(nn.Module):
    """Token indices to logits of the next token, the head tied to the embedding."""

    def __init__(self, tokens: int = 5, width: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mix(self.embed(tokens).cumsum(dim=1))))


def tied() -> nn.Module:
    return scrambled(Tied().double())


def tokens(n: int = 4, length: int = 6, count: int = 5, seed: int = 3) -> Tensor:
    return torch.randint(count, (n, length), generator=generator(seed))


class Counting(nn.Module):
    """Counts its forward passes, and may fail at one of them."""

    def __init__(self, body: nn.Module, fail_at: int | None = None, error: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self.body = body
        self.seen = [0]
        self.fail_at = fail_at
        self.error = error

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.seen[0] += 1
        if self.seen[0] == self.fail_at:
            raise self.error("the model stops here")
        return self.body(*args, **kwargs)

"""Networks whose hidden units stand in many ways, in double precision, each with a batch and what it is made for."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.landscape import models
from tests.landscape.models import classes, randn, scrambled
from thalweg.landscape import Landscape
from thalweg.models._residual import residual_network

CROSS = tw.objectives.cross_entropy()
ROWS, SMALL, IMAGES, SEQUENCES = randn(5, 4), randn(5, 1, 6, 6), randn(5, 3, 8, 8), randn(5, 6, 4)
CLASSES = classes(5)


class Heads(nn.Module):
    """Attention by hand over a residual stream: separate queries, keys and values."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(4, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix, self.head = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        parts = (layer(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2) for layer in self.layers())
        query, key, value = parts
        weights = (query @ key.transpose(-2, -1) / 2).softmax(-1)
        return self.head((x + self.mix((weights @ value).transpose(1, 2).reshape(x.shape))).mean(1))

    def layers(self) -> tuple[nn.Module, ...]:
        return self.query, self.key, self.value


class Fused(nn.Module):
    """Queries, keys and values from one layer, told apart by a reshape as vision transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.mix, self.head = nn.Linear(4, 18), nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        query, key, value = self.qkv(x).reshape(n, t, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1)).softmax(-1)
        return self.head(torch.tanh(self.mix((weights @ value).transpose(1, 2).flatten(2)))).mean(1)


class Separable(nn.Module):
    """Pointwise, depthwise and grouped convolutions, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depth = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, groups=6, padding=1)
        self.group, self.norm = nn.Conv2d(12, 6, 3, groups=3), nn.GroupNorm(3, 6)
        self.side = nn.Conv2d(3, 2, 3)
        self.last, self.head = nn.Conv2d(8, 4, 1), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.group(functional.relu(self.depth(functional.relu(self.first(x))))))
        out = self.last(torch.cat([out, self.side(x)], dim=1))
        return self.head(functional.adaptive_max_pool2d(out, 2).flatten(1))


class Sorted(nn.Module):
    """The middle layer's outputs are sorted: no rule is known for that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.sort(self.middle(torch.tanh(self.first(x))), dim=-1).values)


class Deciding(nn.Module):
    """Goes another way for large activations: a trace cannot say which."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 5), Gate())
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(x))


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x if x.sum() > 0 else x


def landscape(model: nn.Module, batch: object = (ROWS, CLASSES), seed: int = 0, **options: object) -> Landscape:
    """Return a model with reproducible random weights on one batch."""
    return Landscape(scrambled(model.double(), seed), CROSS, [batch], check=False, **options)


def perceptron(seed: int = 0) -> Landscape:
    return landscape(tw.models.mlp((4, 7, 6, 3)), seed=seed)


def residual(shortcut: str, norm: str | None, seed: int = 0) -> Landscape:
    """Two short blocks, the second with twice the channels."""
    model = residual_network(
        3, 3, stages=(4, 8), blocks=1, project=shortcut == "projection", norm=norm, skip=True, width=1.0,
        activation="relu", generator=None,
    )  # fmt: skip
    return landscape(model, (IMAGES, CLASSES), seed)


NETWORKS: dict[str, Callable[[], Landscape]] = {
    "perceptron": perceptron,
    "perceptron with shortcuts": lambda: landscape(tw.models.mlp((4, 6, 6, 6, 3), skip=True, norm="layer")),
    "convolutions": lambda: landscape(tw.models.vanilla_cnn(3, 3, width=0.05, image_size=8), (IMAGES, CLASSES)),
    "convolutions with batch norm": lambda: landscape(models.cnn(), (SMALL, CLASSES)),
    "identity shortcuts": lambda: residual("pad", "batch"),
    "projected shortcuts": lambda: residual("projection", None),
    "group norm": lambda: landscape(models.Grouped()),
    "separable": lambda: landscape(Separable(), (IMAGES, CLASSES)),
    "heads": lambda: landscape(Heads(), (SEQUENCES, CLASSES)),
    "fused heads": lambda: landscape(Fused(), (SEQUENCES, CLASSES)),
    "causal attention": lambda: landscape(models.Attention(), (SEQUENCES, CLASSES)),
    "PyTorch's attention": lambda: landscape(models.MultiHead(), (SEQUENCES, CLASSES)),
    "recurrent": lambda: landscape(models.Recurrent(), (SEQUENCES[:, :2], CLASSES)),
}  # fmt: skip

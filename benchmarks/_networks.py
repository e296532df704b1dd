"""The networks that products are timed on, each with a batch, a loss, and what the contestants need of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from thalweg.objectives import Objective


class GPT(nn.Module):
    """A decoder in the manner of GPT-2: pre-LN blocks, learned positions, fused attention, the head tied to the tokens.

    With 50,257 tokens, a context of 1,024, 12 layers, 768 units and 12 heads it has GPT-2's 124,439,808 parameters.
    """

    def __init__(self, vocabulary: int, context: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        self.apply(_as_gpt2_starts)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, T, V) of the token after each of (N, T)."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _as_gpt2_starts(module: nn.Module) -> None:
    """Small weights: PyTorch's own embeddings, tied to the head, give a softmax that is certain of one token.

    Such a Gauss-Newton matrix is 1e-10 of what it is here, and in single precision nothing but rounding.
    """
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Block(nn.Module):
    """Causal attention and a perceptron, each added to what it reads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.before_perceptron = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, T, D) to (N, T, D)."""
        parts = self.qkv(self.before_attention(x)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).flatten(-2))
        return x + self.perceptron(self.before_perceptron(x))


class NextToken(nn.CrossEntropyLoss):
    """The mean over tokens of what ``tw.objectives.causal_lm()`` sums: each predicted from those before it."""

    def forward(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Logits (N, T, V) against tokens (N, T)."""
        return super().forward(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


@dataclass(frozen=True)
class Case:
    """One network on one batch.

    Attributes:
        name: Of the column.
        model: In eval mode, so that all contestants see one matrix.
        criterion: ``criterion(model(inputs), targets)``, a mean.
        inputs: N items.
        targets: What they are compared with.
        objective: The same loss for Thalweg.
        batch: What it reads.
    """

    name: str
    model: nn.Module
    criterion: nn.Module
    inputs: Tensor
    targets: Tensor
    objective: Objective
    batch: object

    def landscape(self, *, check: bool = True) -> tw.Landscape:
        """Return the case as a landscape."""
        return tw.Landscape(self.model, self.objective, [self.batch], check=check)


def perceptron(quick: bool) -> Case:
    """A multi-layer perceptron 784-512-512-10 with 256 images."""
    hidden, images = (128, 64) if quick else (512, 256)
    name = f"MLP 784-{hidden}-{hidden}-10, {images} images"
    return _images(name, lambda source: tw.models.mlp((784, hidden, hidden, 10), generator=source), images, 1, 28)


def residual(quick: bool) -> Case:
    """ResNet-20 with 32 images of CIFAR's size, its running statistics those of the images."""
    width, images = (0.5, 4) if quick else (1.0, 32)
    name = f"ResNet-20{' × 0.5' if quick else ''}, {images} images"
    return _images(name, lambda source: tw.models.resnet20(3, 10, width=width, generator=source), images, 3, 32)


def decoder(quick: bool) -> Case:
    """A GPT of 4 layers × 128 units on 4 × 64 tokens of 256 kinds."""
    layers, width, length = (2, 32, 16) if quick else (4, 128, 64)
    source = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(256, length, layers, width, heads=4)
    return language(f"GPT {layers} × {width}, 4 × {length} tokens", model, 256, (4, length), source)


def language(name: str, model: nn.Module, vocabulary: int, shape: tuple[int, int], source: torch.Generator) -> Case:
    """A language model on random tokens."""
    tokens = torch.randint(vocabulary, shape, generator=source)
    return Case(name, model.eval(), NextToken(), tokens, tokens, tw.objectives.causal_lm(), tokens)


def _images(name: str, build: Callable[[torch.Generator], nn.Module], count: int, channels: int, side: int) -> Case:
    source = torch.Generator().manual_seed(0)
    model = build(source)
    inputs = torch.randn(count, channels, side, side, generator=source)
    targets = torch.randint(10, (count,), generator=source)
    with torch.no_grad():
        for _ in range(30):
            model.train()(inputs)
    objective = tw.objectives.cross_entropy()
    return Case(name, model.eval(), nn.CrossEntropyLoss(), inputs, targets, objective, (inputs, targets))

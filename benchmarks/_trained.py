"""The networks whose spectra are asked for, trained shortly on real data, each with the batch of its Hessian."""

import os
from pathlib import Path

import torch
from _networks import GPT, Case, NextToken
from torch import Tensor, nn

import thalweg as tw


def perceptron(root: Path | None, quick: bool, seed: int = 0, count: int = 1024) -> Case:
    """A perceptron 784-256-256-10, two epochs of Fashion-MNIST, and some of its images."""
    data = tw.data.fashion_mnist(root)
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), tw.models.mlp((784, 256, 256, 10), generator=generator))
    subset = data.subset(train=6000) if quick else data
    objective = tw.objectives.cross_entropy()
    tw.train(model, objective, subset, epochs=2, batch_size=128, lr=0.05, momentum=0.9, generator=generator)
    return _images(f"MLP, {count:,} Fashion-MNIST images", model, data, count)


def residual(root: Path | None, quick: bool) -> Case:
    """ResNet-20, two epochs of 5,000 images of CIFAR-10, and 512 of them."""
    data = tw.data.cifar10(root)
    generator = torch.Generator().manual_seed(0)
    images, width, count = (512, 0.25, 32) if quick else (5000, 1.0, 512)
    model = tw.models.resnet20(3, 10, width=width, generator=generator)
    objective = tw.objectives.cross_entropy()
    subset = data.subset(train=images, test=1)
    tw.train(model, objective, subset, epochs=2, batch_size=64, lr=0.05, momentum=0.9, generator=generator)
    return _images(f"ResNet-20{' × 0.25' if quick else ''}, {count} CIFAR-10 images", model, data, count)


def decoder(root: Path | None, quick: bool) -> Case:
    """A GPT of 6 layers × 384 units (10.7 million parameters), shortly trained on characters of Shakespeare."""
    layers, width, sequences, length, steps = (2, 48, 2, 32, 30) if quick else (6, 384, 4, 64, 100)
    tokens, kinds = characters(root)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(kinds, length, layers, width, heads=6)
    criterion = NextToken()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(steps):
        batch = _excerpts(tokens, 8, length, generator)
        optimizer.zero_grad()
        criterion(model(batch), batch).backward()
        optimizer.step()
    model.zero_grad()
    batch = _excerpts(tokens, sequences, length, generator)
    name = f"GPT {layers} × {width}, {sequences} × {length} characters"
    return Case(name, model.eval(), criterion, batch, batch, tw.objectives.causal_lm(), batch)


def characters(root: Path | None) -> tuple[Tensor, int]:
    """Tiny Shakespeare as numbers of its characters, and how many kinds there are."""
    folder = root if root is not None else Path(os.environ["THALWEG_DATA"])
    text = (folder / "tinyshakespeare" / "input.txt").read_bytes()
    kinds, tokens = torch.tensor(list(text)).unique(return_inverse=True)
    return tokens, len(kinds)


def _excerpts(tokens: Tensor, count: int, length: int, generator: torch.Generator) -> Tensor:
    starts = torch.randint(len(tokens) - length, (count, 1), generator=generator)
    return tokens[starts + torch.arange(length)]


def _images(name: str, model: nn.Module, data: tw.data.Dataset, count: int) -> Case:
    batch = data.batches("train", limit=count)[0]
    objective = tw.objectives.cross_entropy()
    return Case(name, model.eval(), nn.CrossEntropyLoss(), *batch, objective, batch)

"""What the scripts of laws share: records that say what was expected, and the recipes' data and training."""

import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _records import Record, data_parser, finish

import thalweg as tw

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Finding(Record):
    """A figure that a law speaks of.

    Attributes:
        expected: What the law asks of it, in words; empty where it is only reported.
        holds: Whether it does; ``None`` where nothing is asked.
    """

    expected: str = ""
    holds: bool | None = None


def found(case: str, metric: str, value: float, expected: str = "", *, holds: bool | None = None) -> Finding:
    """Record one figure of ours."""
    return Finding(case, "thalweg", "ours", metric, value, "", None, expected, holds)


def first_images(root: Path | None, count: int) -> tuple[Tensor, Tensor]:
    """Return the first training images of Fashion-MNIST, with mean 0 and deviation 1 over all, and their classes."""
    data = tw.data.fashion_mnist(root)
    inputs, targets = data.train_inputs[:count], data.train_targets[:count]
    return (inputs - inputs.mean()) / inputs.std(), targets


def trained(
    model: nn.Module, images: tuple[Tensor, Tensor], batch: int, lr: float, epochs: Iterable[int], seed: int
) -> dict[int, dict[str, Tensor]]:
    """Train by plain SGD at a constant rate, in a new order each epoch; return the state after each of these epochs."""
    inputs, targets = images
    wanted, generator = sorted(epochs), torch.Generator().manual_seed(seed)
    optimizer, states = torch.optim.SGD(model.parameters(), lr=lr), dict[int, dict[str, Tensor]]()
    for epoch in range(wanted[-1] + 1):
        if epoch in wanted:
            states[epoch] = {name: value.clone() for name, value in model.state_dict().items()}
        model.train()
        for index in torch.randperm(len(inputs), generator=generator).split(batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[index]), targets[index]).backward()
            optimizer.step()
    return states


def main(description: str, measured: Callable[[Path | None, bool], list[Finding]]) -> None:
    """Read the flags, measure, print, and say which expectations are met."""
    options = data_parser(description).parse_args()
    findings = measured(options.data_root, options.quick)
    finish(list(findings), options.json)
    for finding in findings:
        if finding.holds is not None:
            verdict = "holds" if finding.holds else "DOES NOT HOLD"
            print(f"{verdict}: {finding.metric}, {finding.case}: {finding.value:.4g}, expected {finding.expected}")


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)

"""Are two minima joined by a curve of low loss where the straight line between them is high?

Garipov et al. (2018, Fig. 1 and 2) and Draxler et al. (2018): networks trained from different initialisations have a
barrier between them on the line, and none on a curve with a single trained bend. Perceptrons 784-w-w-10 with ReLU and
4,000 images of Fashion-MNIST, w = 64 and 16, 10 epochs of SGD (B = 100, rate 0.1 falling as a cosine); a quadratic
Bezier curve, 600 steps (B = 200, rate 0.03, momentum 0.9). Three pairs of seeds. Barriers are bracketed, of the loss on
training and of the error on 2,000 test images.
"""

from dataclasses import replace
from pathlib import Path

import torch
from _law import SEEDS, Finding, found, main

import thalweg as tw
from thalweg.data import Dataset
from thalweg.paths import Barrier, barrier, straight, train_curve

WIDTHS, IMAGES, TESTED = (64, 16), 4000, 2000


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return the barriers of line and curve, and whether they are what the law says."""
    data, findings = images(root), list[Finding]()
    for width in WIDTHS[:1] if quick else WIDTHS:
        for seed in SEEDS[:1] if quick else SEEDS:
            findings += _pair(data, width, seed)
    return findings


def images(root: Path | None) -> Dataset:
    """Return the first training images with mean 0 and deviation 1 over all, and test images on the same scale."""
    data = tw.data.fashion_mnist(root)
    inputs = data.train_inputs[:IMAGES]
    mean, spread = inputs.mean(), inputs.std()
    return replace(
        data,
        train_inputs=(inputs - mean) / spread,
        train_targets=data.train_targets[:IMAGES],
        test_inputs=(data.test_inputs[:TESTED] - mean) / spread,
        test_targets=data.test_targets[:TESTED],
    )


def _pair(data: Dataset, width: int, seed: int) -> list[Finding]:
    objective, landscapes = tw.objectives.cross_entropy(), list[tw.Landscape]()
    for part in (2 * seed, 2 * seed + 1):
        model = tw.models.mlp((784, width, width, 10), generator=torch.Generator().manual_seed(part))
        order = torch.Generator().manual_seed(100 + part)
        tw.train(model, objective, data, epochs=10, lr=0.1, batch_size=100, generator=order)
        landscapes.append(tw.Landscape(model, objective, [data.split("train")]))
    start, end = landscapes
    curve = train_curve(
        start,
        end,
        steps=600,
        batch_size=200,
        lr=0.03,
        schedule="constant",
        generator=torch.Generator().manual_seed(seed),
    ).curve
    line = straight(start.theta, end.theta)
    tested = start.on([data.split("test")])
    case = f"w = {width}, seed {seed}"
    across, along = barrier(line, start), barrier(curve, start)
    excess, limit = along.max, 0.05 * across.max
    return [
        found(case, "line barrier (linear)", across.linear, "above 0.3", holds=across.linear > 0.3),
        found(case, "line barrier (max)", across.max),
        found(case, "highest loss of the ends", across.peak - across.max),
        found(case, "curve barrier (max)", excess, "below 0.02", holds=excess < 0.02),
        found(case, "curve barrier, upper end", _upper(along)),
        found(case, "curve over line", excess / across.max, "below 0.05", holds=excess < limit),
        found(case, "test error, line (max)", barrier(line, tested, metric="error").max),
        found(case, "test error, curve (max)", barrier(curve, tested, metric="error").max),
    ]


def _upper(along: Barrier) -> float:
    """The most that the curve may rise above its higher end."""
    return along.max if along.peak_interval is None else along.max + along.peak_interval[1] - along.peak


if __name__ == "__main__":
    main(__doc__ or "", measured)

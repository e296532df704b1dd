"""What does a surface cost?

A full grid, in the forward passes and losses that it cannot do without: by Thalweg as it comes, which shares the
product of a linear first layer among cells, and without that; by loss-landscapes 3.0.6 and Landscaper 1.3.1 (where
they are installed), alternated in one process. "error" is the largest difference from the loss at the coordinates
that the table has, computed directly, relative to the surface's range.

An adaptive scan against the full surface of 51 × 51: the share of its evaluations, the largest error in units of the
range, and what the scan itself said of it.

Memory of a full scan beyond one pass, in a process of its own, against the budget for shared products.

A perceptron 784-256-256-10, two epochs of Fashion-MNIST, on 1,024 images; ResNet-20, two epochs of 5,000 images of
CIFAR-10, on 64 of them. One thread.
"""

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from _memory import forget_peak, peak_bytes
from _networks import Case
from _records import Record, arguments, finish
from _scans import adaptive, timed
from _trained import perceptron, residual

import thalweg as tw


def main() -> None:
    """Measure all cases."""
    options = arguments(__doc__ or "")
    torch.set_num_threads(1)
    quick = options.quick
    peers = all(importlib.util.find_spec(name) for name in ("loss_landscapes", "landscaper"))
    records: list[Record] = []
    for part in _parts(options.data_root, quick, peers):
        records += part
        if options.json is not None:
            # The last part takes far longer than the others: they are not lost with it.
            with contextlib.redirect_stdout(io.StringIO()):
                finish(records, options.json)
    finish(records, options.json)


def _parts(root: Path | None, quick: bool, peers: bool) -> Iterator[list[Record]]:
    dense = perceptron(root, quick)
    if peers:
        yield timed(dense, 5 if quick else 11, 2 if quick else 5)
    yield adaptive(dense, 21 if quick else 51)
    yield _memory()
    images = residual(root, quick)
    if peers:
        yield timed(_of(images, 8 if quick else 32), 3 if quick else 5, 2 if quick else 9)
    yield adaptive(_of(images, 8 if quick else 64), 11 if quick else 51)


def _of(case: Case, count: int) -> Case:
    """The same network on fewer items."""
    inputs, targets = case.inputs[:count], case.targets[:count]
    words = [*case.name.split(", ")[:-1], f"{count} images"]
    return replace(case, name=", ".join(words), inputs=inputs, targets=targets, batch=(inputs, targets))


def _memory() -> list[Record]:
    """Bytes that a scan takes beyond one pass, with the first layer's products and without."""
    records = []
    for contestant, share in (("thalweg, as it comes", True), ("thalweg, share=False", False)):
        job = [sys.executable, str(Path(__file__)), "--scan", json.dumps(share)]
        ran = subprocess.run(job, capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        for metric in ("memory", "products", "one pass"):
            if share or metric != "products":
                name = "MLP 784-256-256-10, 1,024 images, 15 × 15"
                records.append(Record(name, contestant, "ours", metric, found[metric] / 2**20, "MiB", None))
    return records


def _scan(share: bool) -> dict[str, int]:
    from thalweg.surfaces._first_layer import FirstLayer

    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), tw.models.mlp((784, 256, 256, 10), generator=source))
    batch = (torch.randn(1024, 1, 28, 28, generator=source), torch.randint(10, (1024,), generator=source))
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [batch], check=False)
    directions = tw.random_directions(landscape)
    forget_peak()
    start = peak_bytes()
    landscape.evaluate()
    before = peak_bytes()
    tw.plane_scan(landscape, directions, share=share)
    memory = peak_bytes() - before
    products = FirstLayer(landscape, directions.vectors.mT.contiguous(), 225, 1 << 28).bytes
    return {"memory": memory, "products": products, "one pass": before - start}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--scan"]:
        print(json.dumps(_scan(json.loads(sys.argv[2]))))
    else:
        main()

"""The protocol of a first study: two architectures, two seeds, and the path between two solutions."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from thalweg.data import Dataset, load
from thalweg.errors import ArgumentError
from thalweg.estimate import versions
from thalweg.landscape import Landscape
from thalweg.models import simple_resnet, vanilla_cnn
from thalweg.objectives import cross_entropy
from thalweg.paths import barrier, linear_path
from thalweg.progress import Progress, track
from thalweg.study._results import Connection, Findings, Measurement
from thalweg.study._survey import SurveySettings, survey
from thalweg.training import History, train


@dataclass(frozen=True)
class DemoSettings:
    """How the networks of the demo are built and trained.

    Attributes:
        data: A data set of :func:`thalweg.data.load`.
        data_root: Folder of the data; ``None`` for the environment variable THALWEG_DATA.
        samples: Training items used, for training and measuring alike; ``None`` for all.
        width: Width multiplier of both architectures.
        epochs: Passes over the data.
        batch_size: Items a step.
        lr: Learning rate, with cosine schedule.
        momentum: Of SGD.
        weight_decay: Of SGD.
        path: Points of the interpolation between the two residual networks.
        seed: The two seeds are this one and the next.
        device: Where to train and measure.
    """

    data: str = "digits"
    data_root: str | None = None
    samples: int | None = 600
    width: float = 0.125
    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    path: int = 15
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise ArgumentError(f"samples: expected at least 1, got {self.samples}.")
        if not 0 <= self.seed < 2**63 - 1:
            raise ArgumentError(f"seed: expected a number from 0 to 2^63 - 2, got {self.seed}.")


def demo(
    settings: DemoSettings | None = None,
    measuring: SurveySettings | None = None,
    *,
    progress: bool | Progress = False,
) -> Findings:
    """Train a vanilla CNN and a SimpleResNet from two seeds each, measure all four, and join the residual ones.

    Args:
        settings: Of data, architectures and training.
        measuring: Of the measurement; its seed is replaced by that of the network.
        progress: Whether to show bars, or a reporter.

    Returns:
        Four measurements, and the straight path between the two residual networks with its barrier.

    Raises:
        ThalwegError: If the data are not there, or as training and measuring do.
    """
    settings = DemoSettings() if settings is None else settings
    measuring = SurveySettings() if measuring is None else measuring
    started = time.perf_counter()
    data = load(settings.data, settings.data_root)
    if settings.samples is not None:
        data = data.subset(train=settings.samples)
    builders = {"vanilla CNN": _vanilla, "SimpleResNet": _resnet}
    measured, residual = list[Measurement](), list[tuple[str, Landscape]]()
    with track(2 * len(builders) * 2 + 1, "demo", progress) as bar:
        for architecture, build in builders.items():
            for seed in (settings.seed, settings.seed + 1):
                name = f"{architecture}, seed {seed}"
                model, history = _trained(build, data, settings, seed, bar)
                bar.advance(note=f"{name}: measuring")
                landscape = _landscape(model, data, "train")
                test = _landscape(model, data, "test")
                measured.append(
                    survey(landscape, _seeded(measuring, seed), name=name, test=test, history=history, progress=bar)
                )
                if architecture == "SimpleResNet":
                    residual.append((name, landscape))
                bar.advance(note=name)
        (first, start), (second, end) = residual
        path = linear_path(start, end, points=settings.path, labels=(first, second), progress=bar)
        bar.advance(note="path")
    return Findings(
        title=f"Loss landscapes on {data.name}",
        measurements=tuple(measured),
        connections=(Connection(path, barrier(path)),),
        configuration={
            **asdict(settings),
            **{f"measure.{key}": value for key, value in asdict(measuring).items() if key != "seed"},
            "objective": "cross_entropy",
            "mode": "eval",
            "path.buffers": "interpolated",
        },
        versions=versions(),
        seconds=time.perf_counter() - started,
    )


Builder = Callable[[Dataset, float, torch.Generator], nn.Module]


def _vanilla(data: Dataset, width: float, generator: torch.Generator) -> nn.Module:
    channels, side = data.train_inputs.shape[1], data.train_inputs.shape[-1]
    return vanilla_cnn(channels, len(data.classes), width=width, image_size=side, generator=generator)


def _resnet(data: Dataset, width: float, generator: torch.Generator) -> nn.Module:
    return simple_resnet(data.train_inputs.shape[1], len(data.classes), width=width, generator=generator)


def _trained(
    build: Builder, data: Dataset, settings: DemoSettings, seed: int, bar: Progress
) -> tuple[nn.Module, History]:
    generator = torch.Generator().manual_seed(seed)
    model = build(data, settings.width, generator).to(settings.device)
    history = train(
        model,
        cross_entropy(),
        data,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        schedule="cosine",
        generator=generator,
        progress=bar,
    )
    return model, history


def _landscape(model: nn.Module, data: Dataset, split: str) -> Landscape:
    return Landscape(model, cross_entropy(), data.batches("train" if split == "train" else "test", 1000))


def _seeded(measuring: SurveySettings, seed: int) -> SurveySettings:
    return replace(measuring, seed=seed)

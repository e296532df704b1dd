"""Findings that look like those of a run, made from closed forms and one seed: nothing is trained or measured."""

import math

import torch
from torch import Tensor

from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.krylov._results import Density, Eigenpairs
from thalweg.landscape._evaluation import Evaluation
from thalweg.measures._measure_results import Quantity
from thalweg.measures._results import (
    Anisotropy,
    Conditioning,
    NegativeCurvature,
    Sharpness,
    SpectralWidth,
    StepPrediction,
)
from thalweg.paths._results import Barrier, PathScan
from thalweg.study._results import Connection, Findings, Measurement
from thalweg.surfaces._results import Line, Surface
from thalweg.training._results import History

SAMPLES, TEST_SAMPLES = 1347, 450
PROVENANCE = Provenance(
    "double-backward", None, "float32", "cpu", 2, SAMPLES, {"thalweg": "0.1.0", "torch": "2.13.0", "python": "3.11.7"}
)


def _grid(low: float, high: float, points: int) -> Tensor:
    return torch.linspace(low, high, points, dtype=torch.float64)


def eigenpairs(values: Tensor, which: str, *, unconverged: int = 0) -> Eigenpairs:
    scale = float(values.abs().max())
    residuals = 3e-5 * scale * torch.ones_like(values)
    converged = torch.ones(len(values), dtype=torch.bool)
    if unconverged:
        residuals[-unconverged:] = 0.02 * scale
        converged[-unconverged:] = False
    return Eigenpairs(
        values, None, residuals, converged, not unconverged, which, scale, 88, Cost(88, 0, 0, 5.41), PROVENANCE
    )


def density(top: Tensor, bottom: Tensor, size: int, seed: int, probes: int = 10, steps: int = 48) -> Density:
    generator = torch.Generator().manual_seed(seed)
    bulk = torch.randn(probes, steps - 12, generator=generator, dtype=torch.float64) * float(top[0]) * 0.006
    bulk = bulk.abs() * (1 - 1.25 * (torch.rand(bulk.shape, generator=generator, dtype=torch.float64) < 0.3))
    outer = torch.cat([top[:10], bottom[:2]]).expand(probes, 12)
    nodes = torch.cat([outer, bulk], dim=1)
    weights = torch.rand(nodes.shape, generator=generator, dtype=torch.float64)
    weights[:, :12] *= 2 / size
    weights = weights / weights.sum(dim=1, keepdim=True)
    span = float(top[0] - bottom[0])
    width = 0.008 * span
    grid = _grid(float(bottom[0]) - 0.06 * span, float(top[0]) + 0.06 * span, 500)
    bells = torch.exp(-0.5 * ((grid[:, None, None] - nodes) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    curves = (bells * weights).sum(dim=2)
    error = curves.std(dim=1) / math.sqrt(probes)
    return Density(nodes, weights, grid, curves.mean(dim=1), error, width, Cost(probes * steps, 0, 0, 14.2), PROVENANCE)


def history(seed: int, final: float, accuracy: float, *, epochs: int = 15) -> History:
    generator = torch.Generator().manual_seed(seed)
    epoch = torch.arange(epochs + 1)
    t = epoch.double()
    noise = 1 + 0.05 * torch.randn(2, epochs + 1, generator=generator, dtype=torch.float64)
    train = (2.31 * torch.exp(-t / 1.9) + final) * noise[0]
    test = (2.32 * torch.exp(-t / 1.8) + 3.1 * final + 0.03) * noise[1]
    return History(
        epoch,
        train,
        1 - 0.9 * torch.exp(-t / 1.5) - (1 - 0.999) * 0.5,
        test,
        accuracy - (accuracy - 0.1) * torch.exp(-t / 1.4),
        0.05 * (1 + torch.cos(math.pi * t / epochs)) / 2,
        21.4,
        {"optimizer": "SGD", "momentum": 0.9, "learning_rate": 0.05, "batch_size": 64, "epochs": epochs, "seed": seed},
    )


def surface(base: float, sharp: float, *, side: int = 15, holes: int = 0) -> Surface:
    x = _grid(-1, 1, side)
    rows, columns = torch.meshgrid(x, x, indexing="ij")
    loss = base + sharp * (columns**2 + 0.45 * rows**2 + 0.35 * columns * rows) + 0.4 * sharp * (rows**2 * columns**2)
    loss = loss + 0.05 * sharp * (1 - torch.cos(4 * columns)) * (1 + rows)
    if holes:
        loss.view(-1)[:holes] = math.nan
    return Surface(
        x, x, loss, {}, ("random direction 1", "random direction 2"), (9.31, 9.02), 1e-8, Cost(0, 0, side**2, 6.3)
    )


def line(base: float, curvature: float, slope: float) -> Line:
    s = _grid(-0.5, 1.5, 61)
    norm = 0.32
    quadratic = base + slope * s * norm + 0.5 * curvature * (s * norm) ** 2
    true = quadratic + 0.9 * curvature * (s * norm) ** 3 * torch.exp(-s.abs())
    return Line(s, true, {}, "leading eigenvector e₁", norm, quadratic, Cost(1, 1, 61, 1.9))


def measurement(
    name: str = "vanilla CNN, seed 0",
    *,
    seed: int = 0,
    size: int = 52330,
    largest: float = 24.6,
    smallest: float = -0.31,
    gradient: float = 0.0041,
    loss: float = 0.0123,
    accuracy: float = 0.9756,
    outliers: int | None = 9,
    holes: int = 0,
    unconverged: int = 0,
    bare: bool = False,
) -> Measurement:
    ranks = torch.arange(20, dtype=torch.float64)
    top = largest * torch.exp(-0.17 * ranks) * torch.where(ranks < 9, 1.0, 0.3)
    bottom = smallest * torch.exp(-0.35 * torch.arange(5, dtype=torch.float64))
    trace = Estimate(7.4 * largest, 0.31 * largest, 19, None, True, Cost(20, 0, 0, 1.31), PROVENANCE)
    negatives = int((bottom < -1e-4 * largest).sum())
    gain = gradient**2 / (2 * largest) if largest > 0 else 0.0
    null = ranks[:10] + 1
    k_over_p = null / size
    evaluated = Estimate(loss, 0.0, None, 0.0021, None, Cost(0, 0, 1, 0.04), PROVENANCE)
    test = Evaluation(
        Estimate(3.1 * loss + 0.03, 0.0, None, 0.0153),
        {"accuracy": Estimate(accuracy, 0.0, None, 0.0073)},
        TEST_SAMPLES,
        TEST_SAMPLES,
    )
    return Measurement(
        name=name,
        size=size,
        train=Evaluation(evaluated, {"accuracy": Estimate(0.9985, 0.0, None, 0.001)}, SAMPLES, SAMPLES),
        test=None if bare else test,
        gradient_norm=Estimate(gradient, 0.0, None, 0.0007, None, Cost(0, 1, 0, 0.08), PROVENANCE),
        top=eigenpairs(top, "LA", unconverged=unconverged),
        bottom=eigenpairs(bottom, "SA"),
        trace=trace,
        density=density(top, bottom, size, seed),
        width=SpectralWidth(largest - smallest, 2e-5 * largest, largest, smallest, True, Cost(163, 0, 0, 3.1)),
        conditioning=Conditioning(
            largest / smallest if smallest else None,
            largest / 1e-3,
            largest / max(abs(smallest), 1e-3),
            None,
            None,
            None,
            1e-3,
            1e-2,
        ),
        negative=NegativeCurvature(negatives, float(bottom.clamp(max=0).abs().sum()), smallest, 1e-4 * largest, False),
        anisotropy=Anisotropy(
            0.61 * (1 - torch.exp(-null / 3)),
            k_over_p,
            torch.sqrt(2 * k_over_p / size),
            torch.full((10,), 1e-30, dtype=torch.float64),
        ),
        one_step=Sharpness(0.0187, 0.0187, 0.05, "one-step", loss, None, True, Cost(0, 1, 1, 0.11)),
        ascent=Sharpness(
            0.5 * largest * 0.05**2 * 1.07,
            0.5 * largest * 0.05**2 * 1.07,
            0.05,
            "ascent",
            loss,
            torch.tensor([0.03, 0.031], dtype=torch.float64),
            True,
            Cost(0, 40, 44, 3.7),
        ),
        step=StepPrediction(1 / largest, -2 * gain, -1.1 * gain, -1.08 * gain, 0.9 * largest, Cost(1, 0, 1, 0.1))
        if largest > 0
        else None,
        outliers=outliers,
        effective_rank=Estimate(38.2, 4.6, 19, None, None, Cost(20, 0, 0, 1.3), PROVENANCE),
        further=(
            Quantity("trace of Σ", 4.7, 0.0, 4.7, 4.7, "exact", "± 0.4 on other data of the kind"),
            Quantity("Zhu's ratio", None, None, None, None, "estimate", "a trace may be zero"),
        ),
        line=line(loss, largest, gradient),
        surface=None if bare else surface(loss, 0.12 * largest, holes=holes),
        history=None if bare else history(seed, 0.9 * loss, accuracy),
        cost=Cost(712, 44, 398, 38.6),
    )


def connection(
    start: str = "SimpleResNet, seed 0", end: str = "SimpleResNet, seed 1", height: float = 1.62
) -> Connection:
    alpha = _grid(0, 1, 15)
    chord = 0.0087 * (1 - alpha) + 0.0102 * alpha
    loss = chord + height * torch.sin(math.pi * alpha) ** 4
    accuracy = 0.999 - 0.72 * torch.sin(math.pi * alpha) ** 4
    rise, at = (loss - chord).max(0)
    peak, where = loss.max(0)
    barrier = Barrier(
        float(rise),
        float(peak - 0.0102),
        float(peak - 0.00945),
        float(peak - 0.0087),
        float(alpha[at]),
        float(peak),
        float(alpha[where]),
    )
    path = PathScan(alpha, 14.2 * alpha, loss, {"accuracy": accuracy}, "linear", (start, end), Cost(0, 0, 15, 2.2))
    return Connection(path, barrier)


def findings(title: str = "Digits: two networks, two seeds each") -> Findings:
    return Findings(
        title,
        (
            measurement(),
            measurement(
                "vanilla CNN, seed 1",
                seed=1,
                largest=31.9,
                smallest=-0.42,
                gradient=0.0068,
                loss=0.0141,
                accuracy=0.9733,
            ),
            measurement(
                "SimpleResNet, seed 0",
                seed=2,
                size=43818,
                largest=8.7,
                smallest=-0.055,
                gradient=0.0013,
                loss=0.0087,
                accuracy=0.9889,
                outliers=8,
            ),
            measurement(
                "SimpleResNet, seed 1",
                seed=3,
                size=43818,
                largest=10.2,
                smallest=-0.061,
                gradient=0.0019,
                loss=0.0102,
                accuracy=0.9844,
                outliers=None,
                holes=3,
            ),
        ),
        (connection(),),
        {
            "data": "digits",
            "samples": SAMPLES,
            "test_samples": TEST_SAMPLES,
            "epochs": 15,
            "batch_size": 64,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "schedule": "cosine",
            "seed": 0,
            "rho": 0.05,
            "top": 20,
            "probes": 10,
            "batch_norm": "running statistics are computed anew at every point of the path",
            "device": "cpu",
            "checkpoint": None,
        },
        {"thalweg": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
        187.4,
    )


def single(name: str = "mine.py:landscape") -> Findings:
    """What `thalweg measure` finds: one point, no test data, no training."""
    return Findings(name, (measurement(name, bare=True),), (), {"target": name, "seed": 0}, {"thalweg": "0.1.0"}, 41.2)

"""Do networks come to be connected as they get wider, and can the chance of it be predicted?

Entezari et al. (2022) and Ainsworth et al. (2023): once hidden units are put in the same order, the barrier on the
line between two networks falls with the width, by theory as its power of -1/2 for one hidden layer; without that it
need not. Garipov et al. (2018): a curve finds a way without a barrier either way. Perceptrons with ReLU of one and two
hidden layers, 8 to 256 wide, on 2,000 images of Fashion-MNIST, 10 epochs of SGD (B = 100, rate 0.1 falling as a
cosine); lines at 11 points.

Pairs that share a network are not independent, so there are ten pairs of twenty networks at each width. The model of
P(conn | c) is fitted on the first half of them and held against the other half, at the levels where it says 0.1, 0.3,
0.5, 0.7 and 0.9: all levels together for the scores, and each by itself for its p-value, whose outcomes must be
independent. Of eight networks all pairs are walked, for the level at which they are all connected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from _law import Finding, found, main, median

import thalweg as tw
from thalweg.data import Dataset
from thalweg.paths import Barrier, PathScan, barrier, curve_scan, linear_path, path_maxima, train_curve
from thalweg.predict import Reliability, reliability, variance_rate, variance_rate_law
from thalweg.theory import connection_level

WIDTHS, DEPTHS, PAIRS, IMAGES, POINTS = (8, 16, 32, 64, 128, 256), (1, 2), 10, 2000, 11
THRESHOLD, LEVELS = 0.1, (0.1, 0.3, 0.5, 0.7, 0.9)
WALKED, JOINED, CURVED, STEPS = 64, 8, 4, 400


@dataclass(frozen=True)
class Line:
    """What is on the straight line between two networks."""

    start: float
    end: float
    length: float
    barrier: Barrier


@dataclass(frozen=True)
class Sweep:
    """The lines between ten pairs of networks of each width, as they stand and aligned."""

    depth: int
    widths: tuple[int, ...]
    parameters: list[int]
    lines: dict[str, list[list[Line]]]

    def rises(self, kind: str) -> list[list[float]]:
        """Return the barriers, a row a width."""
        return [[line.barrier.linear for line in row] for row in self.lines[kind]]


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return barriers, how they fall, what the model of their connection predicts, and the ways around."""
    data, findings = images(root), list[Finding]()
    for depth in DEPTHS[:1] if quick else DEPTHS:
        sweep = swept(data, depth, WIDTHS[::2] if quick else WIDTHS, 4 if quick else PAIRS)
        findings += _barriers(sweep)
        for kind in ("raw", "aligned"):
            findings += _critical(sweep, kind) + _rates(sweep, kind) + _predicted(sweep, kind)
    return findings + _joined(data, *((4, 2, 200) if quick else (JOINED, CURVED, STEPS)))


def images(root: Path | None) -> Dataset:
    """Return the first training images with mean 0 and deviation 1 over all, and none to test on."""
    data = tw.data.fashion_mnist(root)
    inputs = data.train_inputs[:IMAGES]
    return replace(
        data,
        train_inputs=(inputs - inputs.mean()) / inputs.std(),
        train_targets=data.train_targets[:IMAGES],
        test_inputs=data.test_inputs[:0],
        test_targets=data.test_targets[:0],
    )


def swept(data: Dataset, depth: int, widths: Sequence[int], pairs: int) -> Sweep:
    """Train two networks for each pair, and walk from one to the other."""
    parameters, lines = list[int](), {"raw": list[list[Line]](), "aligned": list[list[Line]]()}
    for width in widths:
        raw, aligned = list[Line](), list[Line]()
        for pair in range(pairs):
            start, end = (minimum(data, depth, width, 2 * pair + part) for part in (0, 1))
            raw.append(_line(linear_path(start, end, points=POINTS)))
            aligned.append(_line(straight_when_aligned(start, end)))
        parameters.append(start.theta.numel())
        lines["raw"].append(raw)
        lines["aligned"].append(aligned)
    return Sweep(depth, tuple(widths), parameters, lines)


def minimum(data: Dataset, depth: int, width: int, seed: int) -> tw.Landscape:
    """Train one network."""
    objective = tw.objectives.cross_entropy()
    model = tw.models.mlp((784, *[width] * depth, 10), generator=torch.Generator().manual_seed(seed))
    order = torch.Generator().manual_seed(1000 + seed)
    tw.train(model, objective, data, epochs=10, lr=0.1, batch_size=100, generator=order)
    return tw.Landscape(model, objective, [data.split("train")])


def straight_when_aligned(start: tw.Landscape, end: tw.Landscape) -> PathScan:
    """Walk to the other network with its units in the order of the first."""
    return linear_path(start, tw.align(start, end).apply(end), points=POINTS)


def curved(start: tw.Landscape, end: tw.Landscape, steps: int) -> PathScan:
    """Walk along a quadratic Bezier curve that was trained."""
    curve = train_curve(start, end, steps=steps, batch_size=200, lr=0.03, schedule="constant").curve
    return curve_scan(curve, start, end, points=21)


def critical(sweep: Sweep, kind: str) -> tw.CriticalWidth:
    """Return the width from which on barriers are below the threshold."""
    return tw.critical_width(sweep.widths, sweep.rises(kind), THRESHOLD)


def calibration(sweep: Sweep, kind: str) -> tuple[Reliability, list[Reliability]]:
    """Return how predictions for the second half of the pairs turn out: at all levels together, and at each."""
    happened = list[list[bool]]()
    for row in sweep.lines[kind]:
        half = len(row) // 2
        rate = variance_rate(*_rises(row[:half])).rate
        for line in row[half:]:
            levels = (connection_level(chance, line.start, line.end, line.length, rate) for chance in LEVELS)
            happened.append([bool(line.barrier.peak <= level) for level in levels])
    count = len(happened)
    together = reliability(list(LEVELS) * count, [one for row in happened for one in row], bins=len(LEVELS))
    return together, [reliability([chance] * count, [row[i] for row in happened]) for i, chance in enumerate(LEVELS)]


def _line(scan: PathScan) -> Line:
    return Line(float(scan.loss[0]), float(scan.loss[-1]), float(scan.distance[-1]), barrier(scan))


def _rises(row: Sequence[Line]) -> tuple[list[float], list[float]]:
    return [line.barrier.linear for line in row], [line.length for line in row]


def _barriers(sweep: Sweep) -> list[Finding]:
    findings = list[Finding]()
    for width, raw, aligned in zip(sweep.widths, sweep.lines["raw"], sweep.lines["aligned"], strict=True):
        case = f"{sweep.depth} × {width}"
        before, after = (median(line.barrier.linear for line in row) for row in (raw, aligned))
        findings += [
            found(case, "loss of the networks, median", median(line.start for line in raw)),
            found(case, "raw barrier, median", before),
            found(case, "aligned barrier, median", after, "below the raw one", holds=after < before),
            found(case, "aligned barrier, largest", max(line.barrier.linear for line in aligned)),
            found(case, "aligned over raw distance, median", _shorter(raw, aligned)),
        ]
    return findings


def _shorter(raw: Sequence[Line], aligned: Sequence[Line]) -> float:
    return median(after.length / before.length for before, after in zip(raw, aligned, strict=True))


def _critical(sweep: Sweep, kind: str) -> list[Finding]:
    case, fit = _case(sweep, kind), critical(sweep, kind)
    low = fit.exponent_low
    falls = ("above 0", low > 0) if kind == "aligned" else ("", None)
    findings = [
        found(case, "exponent α", fit.exponent),
        found(case, "exponent α, lower end", low, falls[0], holds=falls[1]),
        found(case, "exponent α, upper end", fit.exponent_high),
        found(case, f"share below {THRESHOLD} at the widest", float(fit.share[-1])),
        *_known(case, "lack of fit, p", fit.lack_of_fit),
    ]
    for name, width, least, most, outside in (
        ("critical width", fit.width, fit.low, fit.high, fit.extrapolated),
        ("logistic width", fit.logistic_width, fit.logistic_low, fit.logistic_high, fit.logistic_extrapolated),
    ):
        findings += _known(case, f"{name}, extrapolated" if outside else name, width)
        findings += _known(case, f"{name}, lower end", least) + _known(case, f"{name}, upper end", most)
    return findings


def _rates(sweep: Sweep, kind: str) -> list[Finding]:
    rates = [variance_rate(*_rises(row)) for row in sweep.lines[kind]]
    law, case = variance_rate_law(sweep.parameters, rates), _case(sweep, kind)
    findings = [
        found(f"{sweep.depth} × {width}, {kind}", metric, value)
        for width, fit in zip(sweep.widths, rates, strict=True)
        for metric, value in (("variance rate s²", fit.rate), ("law of Rayleigh, p", fit.p_value))
    ]
    findings += [
        found(case, "exponent γ of s²", law.exponent),
        found(case, "exponent γ of s², lower end", law.exponent_low),
        found(case, "exponent γ of s², upper end", law.exponent_high),
    ]
    return findings + _known(case, "scatter about the law of s²", law.scatter)


def _predicted(sweep: Sweep, kind: str) -> list[Finding]:
    case, (together, each) = _case(sweep, kind), calibration(sweep, kind)
    findings = list[Finding]()
    for chance, one in zip(LEVELS, each, strict=True):
        findings.append(found(case, f"connected where P is {chance}", one.base_rate))
        findings += _known(case, f"connected where P is {chance}, p", one.p_value)
    return [
        *findings,
        found(case, "Brier score", together.brier),
        found(case, "calibration error", together.calibration_error),
        *_known(case, "skill", together.skill),
    ]


def _joined(data: Dataset, lines: int, curves: int, steps: int) -> list[Finding]:
    """Between all pairs of some networks: the highest loss on the way, direct or over others."""
    minima, findings = [minimum(data, 1, WALKED, seed) for seed in range(lines)], list[Finding]()
    for name, walked, path in (
        ("raw lines", minima, lambda a, b: linear_path(a, b, points=POINTS)),
        ("aligned lines", minima, straight_when_aligned),
        ("curves", minima[:curves], lambda a, b: curved(a, b, steps)),
    ):
        ways = tw.bottlenecks(path_maxima(walked, path))
        rows, columns = torch.triu_indices(len(walked), len(walked), 1)
        ends = torch.maximum(ways.direct.diagonal()[:, None], ways.direct.diagonal())
        direct, best = (levels[rows, columns] for levels in (ways.direct, ways.level))
        rise = float((direct - ends[rows, columns]).max())
        case = f"1 × {WALKED}, {len(walked)} networks, {name}"
        expected = ("below 0.02", rise < 0.02) if name == "curves" else ("", None)
        findings += [
            found(case, "largest barrier (max)", rise, expected[0], holds=expected[1]),
            found(case, "highest loss of a network", float(ways.direct.diagonal().max())),
            found(case, "highest level, direct", float(direct.max())),
            found(case, "highest level, over others", float(best.max())),
            found(case, "share of pairs with a lower way over others", float((best < direct).double().mean())),
        ]
    return findings


def _case(sweep: Sweep, kind: str) -> str:
    return f"{sweep.depth} hidden, {kind}"


def _known(case: str, metric: str, value: float | None) -> list[Finding]:
    """A figure, where there is one."""
    return [] if value is None else [found(case, metric, value)]


if __name__ == "__main__":
    main(__doc__ or "", measured)

"""The contestants of a scan: the same network, loss and number of cells for all."""

import contextlib
import io
import statistics
from collections.abc import Callable

import torch
from _networks import Case
from _records import Record
from _timing import in_turn
from torch import Tensor, nn

import thalweg as tw

CPU = torch.device("cpu")
Values = list[list[float]]


def bare(case: Case, cells: int) -> Callable[[], object]:
    """As many forward passes and losses as there are cells, and nothing else."""

    def call() -> float:
        with torch.no_grad():
            return sum(case.criterion(case.model(case.inputs), case.targets).item() for _ in range(cells))

    return call


def timed(case: Case, points: int, repeats: int) -> list[Record]:
    """Time a grid of points × points by all, in turn, each between two runs of the bare passes."""
    landscape = case.landscape(check=False)
    directions = tw.random_directions(landscape)
    calls: dict[str, Callable[[], object]] = {
        "thalweg, as it comes": lambda: tw.plane_scan(landscape, directions, points=points),
        "thalweg, share=False": lambda: tw.plane_scan(landscape, directions, points=points, share=False),
        "loss-landscapes 3.0.6": lambda: _loss_landscapes(case, points),
        "Landscaper 1.3.1": lambda: _landscaper(case, directions, points),
    }
    errors = {
        "thalweg, as it comes": _own_error(landscape, directions, points, share=True),
        "thalweg, share=False": _own_error(landscape, directions, points, share=False),
        "loss-landscapes 3.0.6": _error_of_loss_landscapes(case, landscape, points),
        "Landscaper 1.3.1": _error_of_landscaper(case, landscape, directions, points),
    }
    pairs = in_turn(bare(case, points**2), calls, repeats, CPU)
    name = f"{case.name}, {points} × {points}"
    unit = min(one for rounds in pairs.values() for one, _ in rounds)
    records = [Record(name, "bare passes", "reference", "a pass", unit / points**2, "s", None)]
    ratios = {who: statistics.median(call / one for one, call in rounds) for who, rounds in pairs.items()}
    for who, ratio in ratios.items():
        role = "ours" if who.startswith("thalweg") else "peer"
        records.append(Record(name, who, role, "full grid", ratio, "bare passes", errors[who]))
    faster = min(ratio for who, ratio in ratios.items() if not who.startswith("thalweg"))
    own = ("thalweg, as it comes", "thalweg, share=False")
    records += [Record(name, who, "ours", "of faster peer", ratios[who] / faster, "times", None) for who in own]
    return records


def adaptive(case: Case, points: int) -> list[Record]:
    """Hold adaptive scans against the full surface."""
    landscape = case.landscape(check=False)
    directions = tw.random_directions(landscape)
    full = tw.plane_scan(landscape, directions, points=points)
    extent = float(full.loss.max() - full.loss.min())
    found = tw.adaptive_scan(landscape, directions, points=points)
    off = (found.loss - full.loss).abs()
    name, who = f"{case.name}, {points} × {points}", "adaptive_scan, 1 %"
    covered = float((off <= found.error + 1e-6 * extent).double().mean())
    figures = [
        ("evaluations", found.share, "of full"),
        ("largest error", float(off.max()) / extent, "of range"),
        ("its estimate", found.largest_error or 0.0, "of range"),
        ("cells covered", covered, "of all"),
        ("time", found.cost.seconds / full.cost.seconds, "of full"),
    ]
    return [Record(name, who, "ours", metric, value, unit, None) for metric, value, unit in figures]


def _own_error(landscape: tw.Landscape, directions: tw.Directions, points: int, *, share: bool) -> float:
    found = tw.plane_scan(landscape, directions, points=points, share=share)
    theta, (first, second) = landscape.theta, directions.vectors.unbind(1)
    truth = [[landscape.loss(theta + x * first + y * second) for x in found.x] for y in found.y]
    return _relative(found.loss.tolist(), truth)


def _loss_landscapes(case: Case, points: int, metric: object = None) -> Values:
    import loss_landscapes
    from loss_landscapes.metrics import Loss

    with torch.no_grad():
        values = loss_landscapes.random_plane(
            case.model,
            metric or Loss(case.criterion, case.inputs, case.targets),
            distance=1,
            steps=points,
            normalization="filter",
            deepcopy_model=True,
        )
    return values.tolist()


def _error_of_loss_landscapes(case: Case, landscape: tw.Landscape, points: int) -> float:
    """By how much its table misses start + i·d₁ + j·d₂, which it says it is."""
    places: list[Tensor] = []

    def metric(wrapper: object) -> float:
        parameters = wrapper.get_module_parameters().parameters
        places.append(torch.cat([part.detach().flatten() for part in parameters]))
        return landscape.loss(places[-1])

    values = _loss_landscapes(case, points, metric)
    # In even rows the walk goes forward; so steps and corner are those of the first and third row.
    across = places[1] - places[0]
    down = (places[2 * points] - places[0]) / 2
    truth = [[landscape.loss(places[0] + i * down + j * across) for j in range(points)] for i in range(points)]
    return _relative(values, truth)


def _landscaper(case: Case, directions: tw.Directions, points: int) -> tuple[Values, list[Tensor]]:
    from landscaper.compute import compute_loss_landscape

    shapes = [parameter.shape for parameter in case.model.parameters()]
    sizes = [shape.numel() for shape in shapes]
    given = [
        [part.view(shape) for part, shape in zip(vector.split(sizes), shapes, strict=True)]
        for vector in directions.vectors.unbind(1)
    ]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
        return case.criterion(model(batch[0]), batch[1]).item()

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        values, axes = compute_loss_landscape(
            case.model, (case.inputs, case.targets), given, loss, steps=points, distance=1.0, dim=2, device="cpu"
        )
    return values.tolist(), axes


def _error_of_landscaper(case: Case, landscape: tw.Landscape, directions: tw.Directions, points: int) -> float:
    """By how much its table misses the loss at its own coordinates, in units of ‖θ‖ along its own directions."""
    values, axes = _landscaper(case, directions, points)
    theta = landscape.theta
    # It gives every layer's part the length that its number of entries has.
    layers = landscape.layout.views
    units = []
    for vector in directions.vectors.unbind(1):
        parts = [part * part.numel() ** 0.5 / (part.norm() + 1e-10) for part in layers(vector)]
        flat = torch.cat([part.flatten() for part in parts])
        units.append(flat * theta.norm() / flat.norm())
    truth = [[landscape.loss(theta + a * units[0] + b * units[1]) for b in axes[1]] for a in axes[0]]
    return _relative(values, truth)


def _relative(values: Values, truth: Values) -> float:
    seen, true = torch.tensor(values, dtype=torch.float64), torch.tensor(truth, dtype=torch.float64)
    return float((seen - true).abs().max() / (true.max() - true.min()))

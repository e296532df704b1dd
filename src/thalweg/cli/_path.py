"""``thalweg path``: the way from one solution to another, and how far the loss rises on it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from thalweg.cli._pictures import require_folder, write_pictures
from thalweg.cli._surface import print_rows
from thalweg.cli._target import guarded, load_targets
from thalweg.cli._terminal import Device, Json, checked_device, notes
from thalweg.landscape import Landscape
from thalweg.paths import Barrier, PathScan, barrier, linear_path

_TARGET = "FILE.py:NAME, where NAME is a Landscape or a function that returns one."


def run_path(
    start: Annotated[str, typer.Argument(metavar="TARGET_A", help=_TARGET)],
    end: Annotated[str, typer.Argument(metavar="TARGET_B", help="The other end, on the same data.")],
    points: Annotated[
        int, typer.Option(min=3, help="Points on the way, ends included; odd ones have the middle.")
    ] = 25,
    out: Annotated[Path, typer.Option(help="Folder of the figure and of results.json.")] = Path("thalweg-path"),
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Walk from one model to another, and measure the barrier between them."""
    require_folder(out)
    place = checked_device(device)
    with notes():
        first, last = load_targets((start, end), place)
        scan = _scan(first, last, (start, end), points)
        found = barrier(scan)
    results = {"path": scan.to_dict(), "barrier": found.to_dict()}
    names = " to ".join(scan.labels)
    write_pictures(out, {"path": (scan, {"barrier": found, "title": f"Loss from {names}"})}, results)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_rows(_rows(scan, found), f"path from {names}")


def _scan(first: Landscape, last: Landscape, targets: tuple[str, str], points: int) -> PathScan:
    labels = _labels(targets)
    scan: PathScan = guarded(
        lambda: linear_path(first, last, points=points, labels=labels, progress=True), targets[0], "the path"
    )
    return scan


def _labels(targets: tuple[str, str]) -> tuple[str, str]:
    """Name the ends by their names, and by their files too where the names are the same."""
    (one, first), (other, second) = ((Path(file).stem, name) for file, _, name in (t.rpartition(":") for t in targets))
    return (first, second) if first != second else (f"{one}:{first}", f"{other}:{second}")


def _rows(scan: PathScan, found: Barrier) -> dict[str, str]:
    ends = [float(scan.loss[0]), float(scan.loss[-1])]
    rows = {f"loss of {label}": f"{loss:.4g}" for label, loss in zip(scan.labels, ends, strict=True)}
    rows["distance"] = f"{float(scan.distance[-1]):.4g}"
    rows["largest loss on the way"] = f"{found.peak:.4g} at α = {found.peak_position:.3g}"
    rows["barrier above the chord"] = f"{found.linear:.4g} at α = {found.position:.3g}"
    rows["above the higher end"] = f"{found.max:.4g}"
    rows["above the mean of the ends"] = f"{found.mean:.4g}"
    rows["above the lower end"] = f"{found.min:.4g}"
    for name, values in scan.metrics.items():
        rows[f"{name}: ends; lowest, highest on the way"] = (
            f"{float(values[0]):.4g}, {float(values[-1]):.4g}; "
            f"{float(values[values.isfinite()].min()):.4g}, {float(values[values.isfinite()].max()):.4g}"
        )
    if found.excluded:
        rows["points not finite, left out"] = str(found.excluded)
    rows["cost"] = str(scan.cost)
    return rows

"""``thalweg path``: the ways from one solution to another, and how far the loss rises on them."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from safetensors import SafetensorError
from safetensors.torch import save_file

from thalweg.cli._pictures import require_folder, write_pictures
from thalweg.cli._routes import Measured, Route, route_rows
from thalweg.cli._table import print_columns
from thalweg.cli._target import guarded, load_targets
from thalweg.cli._terminal import Device, Json, Seed, checked_device, notes, say
from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._reestimated import has_statistics
from thalweg.paths import Curve, NetworkAlignment, TrainedCurve, align, train_curve
from thalweg.paths._alike import require_alike, require_arrival
from thalweg.paths._along import Statistics

Shape = Literal["bezier", "chain"]
Matching = Literal["weights", "activations"]
Treatment = Literal["interpolated", "re-estimated", "both"]

_STEPS = 1000
_TARGET = "FILE.py:NAME, where NAME is a Landscape or a function that returns one."


def run_path(
    start: Annotated[str, typer.Argument(metavar="TARGET_A", help=_TARGET)],
    end: Annotated[str, typer.Argument(metavar="TARGET_B", help="The other end, on the same data.")],
    points: Annotated[
        int, typer.Option(min=3, help="Points to begin with, ends included; more follow where the loss may be highest.")
    ] = 25,
    tolerance: Annotated[
        float, typer.Option(help="How closely to bracket the highest point, in units of the range of the loss.")
    ] = 0.01,
    align_by: Annotated[
        Matching | None,
        typer.Option("--align", help="Put B's hidden units in the order of A's first, by weights or activations."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Also the line with the statistics of hidden units repaired.")
    ] = False,
    curve: Annotated[Shape | None, typer.Option(help="Train a bent path, too: bezier, or chain of segments.")] = None,
    bends: Annotated[int, typer.Option(min=1, help="Points that the curve is bent by.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Of the curve's training.")] = _STEPS,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Items a step of it; by default all.")] = None,
    lr: Annotated[float | None, typer.Option(help="Its learning rate, by default 0.03.")] = None,
    statistics: Annotated[
        Treatment, typer.Option(help="Of batch norm along the way: interpolated, re-estimated, or both compared.")
    ] = "interpolated",
    test: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Measure on the data of this landscape instead.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the figures and of results.json.")] = Path("thalweg-path"),
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Walk from one model to another, and measure the barrier between them.

    The straight line; with --align, --repair and --curve also these, all in one picture.
    """
    require_folder(out)
    place = checked_device(device)
    if not 0 < tolerance < float("inf"):
        raise ArgumentError(f"tolerance: expected a positive finite number, got {tolerance}.")
    if curve is None:
        for name, asked in {
            "--bends": bends != 1,
            "--steps": steps != _STEPS,
            "--batch-size": batch_size,
            "--lr": lr,
        }.items():
            if asked:
                raise ArgumentError(f"curve: expected bezier or chain with {name}, which belongs to its training.")
    if repair and test is not None:
        raise ArgumentError("repair: expected none with --test, since units are repaired on the data measured.")
    labels = _labels((start, end))
    treatments: tuple[Statistics, ...] = ("interpolated", "re-estimated") if statistics == "both" else (statistics,)
    with notes():
        first, last, *others = load_targets([start, end, *([] if test is None else [test])], place)
        if curve is not None and statistics == "interpolated" and has_statistics(first.model):
            say(
                "note: a curve leaves the line that interpolated statistics of batch norm belong to; "
                "--statistics re-estimated says more about its weights.",
                error=False,
            )
        measured = _measured(first, others, points, tolerance)

        # Ends that do not fit together are told before anything is trained.
        require_alike(first, last)

        def walked() -> tuple[list[Route], NetworkAlignment | None, TrainedCurve | None]:
            require_arrival(first.at(last.theta, buffers=last.buffers).loss(), last)
            routes = [measured.line(_named("line", how, treatments), first, last, labels, how) for how in treatments]
            found, there, names = None, last, labels
            if align_by is not None:
                found = align(first, last, method=align_by, generator=_source(seed))
                there, names = found.apply(last), (labels[0], f"{labels[1]}, aligned")
                routes += [
                    measured.line(_named("aligned line", how, treatments), first, there, names, how)
                    for how in treatments
                ]
            if repair:
                name = "repaired line" if found is None else "aligned, repaired"
                routes.append(measured.repaired(name, first, there, names))
            trained = None
            if curve is not None:
                trained = train_curve(
                    first,
                    there,
                    kind=curve,
                    bends=bends,
                    steps=steps,
                    batch_size=batch_size,
                    lr=lr,
                    labels=names,
                    generator=_source(seed),
                    progress=True,
                )
                routes += [
                    measured.curve(_named(curve, how, treatments), trained.curve, first, there, how)
                    for how in treatments
                ]
            return routes, found, trained

        routes, alignment, trained = guarded(walked, start, "the path")
    results = _results(routes, alignment, trained)
    straight, *rest = routes
    title = f"Loss from {' to '.join(labels)}"
    options = {
        "barrier": straight.barrier,
        "beside": [route.scan for route in rest],
        "names": [route.name for route in routes],
        "scale": "auto",
        "title": title,
    }
    pictures: dict[str, tuple[Any, dict[str, Any]]] = {"path": (straight.scan, options)}
    if trained is not None:
        pictures["training"] = (trained, {"title": f"Training of the curve from {' to '.join(labels)}"})
    write_pictures(out, pictures, results)
    if trained is not None:
        _write_nodes(out, trained.curve)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_columns(route_rows(routes), f"path from {' to '.join(labels)}", [route.name for route in routes])
        for line in (alignment, trained):
            if line is not None:
                typer.echo(f"  {line}")


def _measured(first: Landscape, others: list[Landscape], points: int, tolerance: float) -> Measured:
    if not others:
        return Measured(points, tolerance, lambda landscape: landscape, None)
    # Statistics of batch norm remain those of the data that the ends were given with.
    return Measured(points, tolerance, lambda landscape: landscape.on(others[0].data), first.data)


def _named(name: str, statistics: Statistics, treatments: tuple[Statistics, ...]) -> str:
    return f"{name}, {statistics}" if len(treatments) > 1 else name


def _source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _labels(targets: tuple[str, str]) -> tuple[str, str]:
    """Name the ends by their names, and by their files too where the names are the same."""
    (one, first), (other, second) = ((Path(file).stem, name) for file, _, name in (t.rpartition(":") for t in targets))
    return (first, second) if first != second else (f"{one}:{first}", f"{other}:{second}")


def _write_nodes(out: Path, curve: Curve) -> None:
    try:
        save_file({"nodes": curve.nodes.contiguous()}, out / "curve.safetensors", {"kind": curve.kind})
    except (OSError, SafetensorError) as error:
        raise ArgumentError(f"out: could not write to {out} ({error}).") from error


def _results(routes: list[Route], alignment: NetworkAlignment | None, trained: TrainedCurve | None) -> dict[str, Any]:
    """The line as ``path`` and ``barrier``, the others ``beside`` it by name."""
    return {
        **routes[0].to_dict(),
        "beside": {route.name: route.to_dict() for route in routes[1:]},
        "alignment": None if alignment is None else alignment.to_dict(),
        "training": None if trained is None else {k: v for k, v in trained.to_dict().items() if k != "curve"},
    }

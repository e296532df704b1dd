"""``thalweg surface``: the loss on a plane, and the shape of its sub-level sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from thalweg.cli._pictures import Pictures, require_folder, write_pictures
from thalweg.cli._table import print_rows
from thalweg.cli._target import guarded, load_target
from thalweg.cli._terminal import Device, Json, Seed, Target, checked_device, notes, say
from thalweg.errors import ArgumentError, MissingExtraError
from thalweg.krylov import eigenpairs
from thalweg.landscape import Landscape
from thalweg.operators import ggn, hessian
from thalweg.surfaces import (
    Directions,
    MergeTree,
    Persistence,
    Surface,
    adaptive_scan,
    eigen_directions,
    merge_tree,
    persistence,
    plane_scan,
    random_directions,
)

Plane = Literal["random", "layer", "plain", "eigen", "ggn"]

_PLANES: dict[str, Callable[[Landscape, torch.Generator], Directions]] = {
    "random": lambda landscape, source: random_directions(landscape, normalization="filter", generator=source),
    "layer": lambda landscape, source: random_directions(landscape, normalization="layer", generator=source),
    "plain": lambda landscape, source: random_directions(landscape, normalization=None, generator=source),
    "eigen": lambda landscape, source: eigen_directions(eigenpairs(hessian(landscape), 2, generator=source)),
    "ggn": lambda landscape, source: eigen_directions(eigenpairs(ggn(landscape), 2, generator=source)),
}
_KINDS = ("3d", "contour", "heat")
_LISTED = 8


def run_surface(
    target: Target,
    directions: Annotated[
        Plane,
        typer.Option(help="random, layer, plain: drawn, scaled by filter, by layer, or not; eigen, ggn: eigenvectors."),
    ] = "random",
    points: Annotated[int, typer.Option(min=2, help="Points a side; odd numbers have the model in the middle.")] = 25,
    span: Annotated[float, typer.Option(help="Coefficients go from -SPAN to SPAN.")] = 1.0,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Measure more where the loss bends, and interpolate the rest.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="With --adaptive: the error to aim at, in units of the range of the loss.")
    ] = 0.01,
    quadratic: Annotated[
        bool, typer.Option("--quadratic", help="Draw the quadratic model's contours, too: a gradient, two products.")
    ] = False,
    threshold: Annotated[
        float, typer.Option(min=0.0, help="Minima and loops over which the loss rises by no more are left out.")
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder of the figures and of results.json.")] = Path("thalweg-surface"),
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to keep points in: the same command goes on from there if it is cut off.")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Scan the loss on a plane through a model, and draw it."""
    require_folder(out)
    place = checked_device(device)
    if not 0 < span < float("inf"):
        raise ArgumentError(f"span: expected a positive finite number, got {span}.")
    if not threshold < float("inf"):
        raise ArgumentError(f"threshold: expected a finite number of at least 0, got {threshold}.")
    if adaptive and quadratic:
        raise ArgumentError(
            "quadratic: expected no --adaptive with it, which measures and interpolates the loss alone."
        )
    if tolerance != 0.01 and not adaptive:
        raise ArgumentError("tolerance: expected --adaptive with it; without, every point is measured.")
    with notes():
        landscape = load_target(target, place)

        def scanned() -> Surface:
            plane = _PLANES[directions](landscape, torch.Generator().manual_seed(seed))
            common: dict[str, Any] = {
                "points": points, "span": (-span, span), "checkpoint": checkpoint, "progress": True
            }  # fmt: skip
            if adaptive:
                source = torch.Generator().manual_seed(seed)
                return adaptive_scan(landscape, plane, tolerance=tolerance, generator=source, **common)
            return plane_scan(landscape, plane, quadratic=quadratic, **common)

        surface: Surface = guarded(scanned, target, "its surface")
    if surface.nonfinite == surface.loss.numel():
        raise ArgumentError("span: expected a plane with at least one finite loss, got none; a smaller one may help.")
    tree, features = _shape(surface, threshold)
    name = target.rpartition(":")[2]
    results = {
        "surface": surface.to_dict(),
        "merge_tree": tree.to_dict(),
        "persistence": None if features is None else features.to_dict(),
    }
    write_pictures(out, _pictures(surface, tree, features, name), results)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        _print(surface, tree, features, name)


def _shape(surface: Surface, threshold: float) -> tuple[MergeTree, Persistence | None]:
    tree = merge_tree(surface, threshold=threshold)
    try:
        return tree, persistence(surface, threshold=threshold)
    except MissingExtraError as error:
        say(f"note: {error}", error=False)
        return tree, None


def _pictures(surface: Surface, tree: MergeTree, features: Persistence | None, name: str) -> Pictures:
    found: dict[str, tuple[Any, dict[str, Any]]] = {
        f"surface-{kind}": (surface, {"kind": kind, "title": f"Loss of {name}"}) for kind in _KINDS
    }
    found["merge-tree"] = (tree, {"title": f"How the minima of {name} join on the plane"})
    if features is not None:
        found["persistence"] = (features, {"title": f"Sub-level sets of {name} on the plane"})
        found["barcode"] = (features, {"view": "barcode", "title": f"Sub-level sets of {name} on the plane"})
    return found


def _print(surface: Surface, tree: MergeTree, features: Persistence | None, name: str) -> None:
    rows = {"plane": str(surface)}
    for label, norm, axis in zip(surface.labels, surface.norms, (surface.x, surface.y), strict=True):
        reach = f"{float(axis[0]) * norm:.4g} to {float(axis[-1]) * norm:.4g}"
        rows[f"distances along {label}"] = reach
    rows["loss from, to"] = f"{tree.limits[0]:.4g}, {tree.limits[1]:.4g}"
    if surface.nonfinite:
        rows["cells not finite, left out"] = str(surface.nonfinite)
    rows["minima" + (f" deeper than {tree.threshold:.3g}" if tree.threshold else "")] = str(tree.minima)
    lasting = tree.persistence()
    for leaf in sorted(range(tree.minima), key=lambda leaf: -(lasting[leaf] or float("inf")))[:_LISTED]:
        row, column = tree.position[leaf].tolist()
        rise = "reaches no deeper one" if lasting[leaf] is None else f"a rise of {lasting[leaf]:.4g} to a deeper one"
        rows[f"  at ({float(surface.x[column]):.3g}, {float(surface.y[row]):.3g})"] = (
            f"{float(tree.level[leaf]):.4g}, {rise}"
        )
    if tree.minima > _LISTED:
        rows["  …"] = f"{tree.minima - _LISTED} more"
    if features is not None:
        rows["sub-level sets"] = str(features)
    rows["cost"] = str(surface.cost)
    print_rows(rows, f"surface of {name}")

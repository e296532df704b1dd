"""``thalweg spectrum``: every spectral question about one matrix of a landscape."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Literal

import torch
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg.cli._picture import Figure, picture, require_figure
from thalweg.cli._target import guarded, load_target
from thalweg.cli._terminal import Checkpoint, Device, Json, Seed, Target, Top, checked_device, notes
from thalweg.estimate import Estimate
from thalweg.krylov import Budget, Eigenpairs
from thalweg.landscape import Landscape
from thalweg.measures import Spectrum, spectrum
from thalweg.operators import Operator, fisher, ggn, gradient_covariance, hessian, residual

Matrix = Literal["hessian", "ggn", "fisher", "residual", "gradient-covariance"]
View = Literal["eigenvalues", "density", "convergence"]

_MATRICES: dict[str, Callable[[Landscape], Operator]] = {
    "hessian": hessian,
    "ggn": ggn,
    "fisher": fisher,
    "residual": residual,
    "gradient-covariance": gradient_covariance,
}


def run_spectrum(
    target: Target,
    matrix: Annotated[Matrix, typer.Option(help="Which curvature.")] = "hessian",
    top: Top = 20,
    bottom: Annotated[int, typer.Option(min=1, help="Smallest eigenvalues to compute.")] = 5,
    probes: Annotated[int, typer.Option(min=2, help="Random probes of everything between the ends.")] = 8,
    products: Annotated[int | None, typer.Option(min=1, help="The most products to make.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Time after which to print what there is.")] = None,
    checkpoint: Checkpoint = None,
    figure: Figure = None,
    view: Annotated[View, typer.Option(help="What is drawn.")] = "eigenvalues",
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Answer every spectral question about a landscape's curvature from one run."""
    require_figure(figure)
    budget = None if products is None and seconds is None else Budget(products, seconds)
    place = checked_device(device)
    with notes():
        landscape = load_target(target, place)
        found: Spectrum = guarded(
            lambda: spectrum(
                _MATRICES[matrix](landscape),
                top=min(top, landscape.size),
                bottom=min(bottom, landscape.size),
                probes=probes,
                budget=budget,
                checkpoint=checkpoint,
                generator=torch.Generator().manual_seed(seed),
                progress=True,
            ),
            target,
            "its curvature",
        )
    if figure is not None:
        picture(found, figure, view=view, title=f"{matrix} of {target.rpartition(':')[2]}")
    if as_json:
        typer.echo(json.dumps(found.without_vectors().to_dict()))
    else:
        _print(found, f"{matrix} of {target.rpartition(':')[2]}")


def _print(found: Spectrum, title: str) -> None:
    table = Table(box=box.SIMPLE_HEAD, title=escape(title), title_justify="left", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for label, text in _rows(found).items():
        table.add_row(label, text)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


def _rows(found: Spectrum) -> dict[str, str]:
    rows = {"parameters": f"{found.size:,}"}
    rows["largest eigenvalues"] = _listed(found.top)
    rows["smallest eigenvalues"] = _listed(found.bottom)
    rows["outliers above the widest gap"] = "–" if found.outliers is None else str(found.outliers)
    rows["trace"] = _with_doubt(found.trace)
    rows["squared Frobenius norm"] = _with_doubt(found.frobenius)
    rows[f"ln det(A + {found.damping:.3g})"] = "–, not definite" if found.logdet is None else _with_doubt(found.logdet)
    rows[f"ln det(|A| + {found.damping:.3g})"] = _with_doubt(found.logdet_absolute)
    rows["negative mass"] = _with_doubt(found.negative_mass)
    rows["negative eigenvalues"] = _with_doubt(found.index)
    rows[f"zero eigenvalues (within {found.zero:.1e})"] = _with_doubt(found.nullity)
    rows["participation ratio"] = _with_doubt(found.participation_ratio)
    rows["stable rank"] = _with_doubt(found.stable_rank)
    rows[f"effective dimension at {found.damping:.3g}"] = _with_doubt(found.effective_dimension)
    rows["entropy rank"] = _with_doubt(found.entropy_rank)
    ratio = found.conditioning.raw
    rows["λ_max / λ_min"] = "–" if ratio is None else f"{ratio:.4g}"
    if not (found.top.converged.all() and found.bottom.converged.all()):
        rows["?"] = "has not converged"
    rows["cost"] = str(found.cost)
    return rows


def _with_doubt(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate}{' (not converged)' if estimate.converged is False else ''}"


def _listed(pairs: Eigenpairs) -> str:
    shown = [
        f"{value:.4g}{'' if done else '?'}"
        for value, done in zip(pairs.values.tolist()[:5], pairs.converged.tolist()[:5], strict=True)
    ]
    return ", ".join(shown) + (", …" if len(pairs.values) > 5 else "")

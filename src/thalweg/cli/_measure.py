"""``thalweg measure --which``: some quantities of a landscape as a table, without a report."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg.cli._picture import picture
from thalweg.cli._target import guarded
from thalweg.cli._terminal import say
from thalweg.estimate import Cost, format_with_error
from thalweg.landscape import Landscape
from thalweg.measures import Measures, MeasureSettings, Quantity, measure, measure_cost


def announce(what: str, expected: Callable[[], Cost], target: str) -> None:
    """Say beforehand what something will take."""
    cost = guarded(expected, target, f"measuring {target.rpartition(':')[2]}")
    say(f"{what}: about {cost}", error=False)


def measure_quantities(
    landscape: Landscape,
    which: list[str],
    target: str,
    settings: MeasureSettings,
    *,
    checkpoint: Path | None,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Print a table of quantities, and before it what they will take."""
    name = target.rpartition(":")[2]
    # A long list says less than its length.
    what = ", ".join(which) if len(which) < 4 else f"{len(which)} quantities"
    announce(what, lambda: measure_cost(landscape, which, settings=settings), target)
    found: Measures = guarded(
        lambda: measure(landscape, which, settings=settings, checkpoint=checkpoint, progress=True),
        target,
        f"measuring {name}",
    )
    if figure is not None:
        picture(found, figure, title=f"quantities of {name}")
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    else:
        _print(found, f"{name}: {landscape.size:,} parameters, {landscape.count:,} data items")


def _print(found: Measures, title: str) -> None:
    table = Table(box=box.SIMPLE_HEAD, title=escape(title), title_justify="left")
    for header in ("quantity", "value", "at least", "at most", "kind", ""):
        table.add_column(header, justify="right" if header in ("value", "at least", "at most") else "left")
    for row in found.rows:
        table.add_row(*map(escape, (row.name, _value(row), *_ends(row), row.kind, row.note)))
    # Where there is no terminal there is no width to keep to.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"  took {found.cost}")


def _value(row: Quantity) -> str:
    return "–" if row.value is None else format_with_error(row.value, row.standard_error)


def _ends(row: Quantity) -> tuple[str, str]:
    """Both ends of the interval, unless they would repeat the value."""
    low, high = ("" if end is None else f"{end:.4g}" for end in (row.low, row.high))
    return ("", "") if low == high == _value(row) else (low, high)

"""What commands have in common: options, and how they speak on a terminal."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from thalweg.errors import ThalwegWarning
from thalweg.landscape._arguments import check_device

Target = Annotated[str, typer.Argument(help="FILE.py:NAME, where NAME is a Landscape or a function that returns one.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.")]
Device = Annotated[str | None, typer.Option(help="Where to compute, for instance cuda.")]
Top = Annotated[int, typer.Option(min=1, help="Largest eigenvalues to compute.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of a table.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="Folder to keep products in: the same command goes on from there if it is cut off."),
]


def checked_device(name: str | None) -> str | None:
    """Return a device that is there.

    Raises:
        ArgumentError: If there is none of this name.
    """
    if name is None:
        return None
    check_device(name)
    return name


def say(text: str, *, error: bool = True) -> None:
    """Write one line to standard error."""
    line = f"thalweg: {'error: ' if error else ''}{' '.join(text.split())}"
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(line)


@contextmanager
def notes() -> Iterator[None]:
    """Show each of Thalweg's warnings as one line."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        del category
        say(f"note: {message}", error=False)

    with warnings.catch_warnings():
        warnings.simplefilter("always", ThalwegWarning)
        warnings.showwarning = show
        yield

"""Figures that commands write beside what they print."""

from pathlib import Path
from typing import Annotated, Any

import typer

from thalweg.cli._terminal import say
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot, save
from thalweg.figures._paper import FORMATS

Figure = Annotated[Path | None, typer.Option(help="Also draw it: a file ending in .html, .png, .svg or .pdf.")]


def require_figure(path: Path | None) -> None:
    """Refuse a file that no figure can be written as.

    Raises:
        ArgumentError: If its suffix is another one.
    """
    if path is not None and path.suffix not in (".html", *FORMATS):
        raise ArgumentError(f"figure: expected a file ending in .html, .png, .svg or .pdf, got {path}.")


def picture(found: Any, path: Path, **options: Any) -> None:
    """Draw a result into a file: for the screen as HTML, for paper otherwise.

    Raises:
        ArgumentError: If the file cannot be written.
    """
    try:
        if path.suffix == ".html":
            plot(found, **options).write_html(path)
        else:
            save(draw(found, **options), path)
    except OSError as error:
        raise ArgumentError(f"figure: could not write {path} ({error}).") from error
    say(f"figure written to {path}", error=False)

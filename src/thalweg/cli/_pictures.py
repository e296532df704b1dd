"""Figures of a result in a folder, for the screen and for paper."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thalweg.cli._terminal import say
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot, save
from thalweg.figures._extra import load
from thalweg.record import Record

Pictures = Mapping[str, tuple[Record, Mapping[str, Any]]]
"""By file name: what is drawn, and with which options."""


def require_folder(out: Path) -> None:
    """Check that figures can be drawn and written there, before any work is done.

    Raises:
        ArgumentError: If it is a file, or lies where nothing can be written.
        MissingExtraError: If plotly or matplotlib is not installed.
    """
    load("plotly.graph_objects")
    load("matplotlib.figure")
    place = out.absolute()
    if place.exists() and not place.is_dir():
        raise ArgumentError(f"out: expected a folder, got the file {out}; name another place.")
    above = place if place.exists() else next(folder for folder in place.parents if folder.exists())
    try:
        # The only sure test is to do it; permissions alone do not tell.
        tempfile.TemporaryDirectory(dir=above).cleanup()
    except OSError as error:
        raise ArgumentError(f"out: expected a place that can be written to, got {out} ({error.strerror}).") from error


def write_pictures(out: Path, pictures: Pictures, results: Mapping[str, Any]) -> None:
    """Write each figure as HTML, PNG and PDF, and what they show as ``results.json``.

    The pages share one ``plotly.min.js`` beside them.

    Files of the same names are replaced, others stay.

    Raises:
        ArgumentError: If the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (result, options) in pictures.items():
            # One copy of plotly beside them: they open without a network.
            plot(result, **options).write_html(out / f"{name}.html", include_plotlyjs="directory")
            paper = draw(result, **options)
            save(paper, out / f"{name}.png")
            # The layout has been found; finding it again for the second format would cost as much as drawing.
            paper.set_layout_engine("none")
            save(paper, out / f"{name}.pdf")
        (out / "results.json").write_text(json.dumps(results), encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"out: could not write to {out} ({error}).") from error
    say(f"{len(pictures)} {'figure' if len(pictures) == 1 else 'figures'} written to {out}", error=False)
